import type { Command } from 'commander';
import { restoreSnapshot } from '../../indexer/snapshot.ts';
import { printable } from '../printable.ts';

export function registerRestore(program: Command): void {
  program
    .command('restore')
    .description('make an index from a snapshot, after checking every byte of it')
    .argument('<snapshot>', 'folder that winnow snapshot made')
    .requiredOption('--index <dir>', 'index folder')
    .option('--overwrite', 'replace an index that is there')
    .action(run);
}

async function run(snapshot: string, options: { index: string; overwrite?: boolean }): Promise<void> {
  const info = await restoreSnapshot(snapshot, options.index, { overwrite: options.overwrite ?? false });
  console.log(
    `${printable(options.index)} holds the ${info.documents.toLocaleString('en')} documents of ${printable(info.createdAt)}`,
  );
}
