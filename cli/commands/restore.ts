import type { Command } from 'commander';
import { restoreSnapshot } from '../../indexer/admin/restore.ts';
import { printable } from '../printable.ts';
import { printRepair } from '../repair-report.ts';

export function registerRestore(program: Command): void {
  program
    .command('restore')
    .description('make an index from a snapshot, after checking every byte of it')
    .argument('<snapshot>', 'folder that winnow snapshot made')
    .requiredOption('--index <dir>', 'index folder')
    .option('--overwrite', 'replace an index that is there')
    .option('--upgrade', 'bring a snapshot of an older format to this version on the way')
    .action(run);
}

interface RestoreCliOptions {
  readonly index: string;
  readonly overwrite?: boolean;
  readonly upgrade?: boolean;
}

async function run(
  snapshot: string,
  { index, overwrite = false, upgrade = false }: RestoreCliOptions,
): Promise<void> {
  const report = await restoreSnapshot(snapshot, index, { overwrite, upgrade });
  if (report.upgrade) {
    console.log(`the snapshot of ${printable(report.createdAt)} had format ${report.upgrade.from}`);
    printRepair(index, report.upgrade);
    return;
  }
  console.log(
    `${printable(index)} holds the ${report.documents.toLocaleString('en')} documents of ${printable(report.createdAt)}`,
  );
}
