import type { Command } from 'commander';
import { upgradeIndex } from '../../indexer/admin/upgrade.ts';
import { printRepair } from '../repair-report.ts';

export function registerUpgrade(program: Command): void {
  program
    .command('upgrade')
    .description('bring an index of an older format to this version, in place, without encoding again')
    .requiredOption('--index <dir>', 'index folder')
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run({ index, json }: { index: string; json?: boolean }): Promise<void> {
  const report = await upgradeIndex(index);
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  console.log(`${index} was brought from format ${report.from} to ${report.to}`);
  printRepair(index, report);
}
