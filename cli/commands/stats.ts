import type { Command } from 'commander';
import { IndexStore } from '../../indexer/index-store.ts';
import { printable } from '../printable.ts';

export function registerStats(program: Command): void {
  program
    .command('stats')
    .description('show what an index holds')
    .requiredOption('--index <dir>', 'index folder')
    .option('--verify', 'read every byte and check every checksum')
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(options: { index: string; verify?: boolean; json?: boolean }): Promise<void> {
  const store = IndexStore.open(options.index, { readOnly: true });
  try {
    if (options.verify) store.verify();
    const stats = store.stats();
    if (options.json) {
      console.log(JSON.stringify(stats));
      return;
    }
    const number = (value: number) => value.toLocaleString('en');
    const { settings, bytes } = stats;
    console.log(`model       ${printable(settings.modelName)} ${printable(settings.modelHash)}`);
    console.log(
      `documents   ${number(stats.documents)} from ${number(stats.sources)} sources, ${number(stats.deleted)} deleted`,
    );
    const merging = stats.merging > 0 ? `, ${stats.merging} being merged` : '';
    console.log(`segments    ${stats.segments}${merging}, generation ${stats.generation}`);
    console.log(`postings    ${number(stats.postings)}`);
    for (const [name, size] of Object.entries(bytes))
      console.log(`  ${name.padEnd(10)}${number(size)} bytes`);
    const fields = settings.filterFields.map(({ name, type }) => `${name}:${type}`).join(', ');
    console.log(`filters     ${printable(fields) || 'none'}`);
    if (options.verify) console.log('verified    all checksums match');
  } finally {
    await store.close();
  }
}
