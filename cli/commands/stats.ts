import type { Command } from 'commander';
import { WinnowError } from '../../errors.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { addEngineOptions, type EngineCliOptions, isRemote, openEngine } from '../engine.ts';
import { printable } from '../printable.ts';

export function registerStats(program: Command): void {
  addEngineOptions(
    program
      .command('stats')
      .description('show what an index holds')
      .requiredOption('--index <dir>', 'index folder, or name of an index of a cluster'),
  )
    .option('--verify', 'read every byte and check every checksum')
    .option('--json', 'print one JSON object')
    .action(run);
}

interface StatsCliOptions extends EngineCliOptions {
  readonly verify?: boolean;
  readonly json?: boolean;
}

async function run(options: StatsCliOptions): Promise<void> {
  if (isRemote(options)) return runRemote(options);
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
    const { vectorSize } = settings;
    console.log(
      vectorSize === undefined
        ? 'vectors     none'
        : `vectors     ${number(stats.withVectors)} of ${vectorSize} numbers each`,
    );
    for (const [name, size] of Object.entries(bytes))
      console.log(`  ${name.padEnd(10)}${number(size)} bytes`);
    const fields = settings.filterFields.map(({ name, type }) => `${name}:${type}`).join(', ');
    console.log(`filters     ${printable(fields) || 'none'}`);
    if (options.verify) console.log('verified    all checksums match');
  } finally {
    await store.close();
  }
}

/** What a cluster knows is less than what an index file says of itself. */
async function runRemote(options: StatsCliOptions): Promise<void> {
  if (options.verify)
    throw new WinnowError('WINNOW_UNSUPPORTED', 'a cluster verifies its files itself', {
      place: '--verify',
      hint: 'leave it out',
    });
  const index = await openEngine(options, { readOnly: true });
  try {
    const stats = await index.stats();
    if (options.json) {
      console.log(JSON.stringify(stats));
      return;
    }
    const number = (value: number) => value.toLocaleString('en');
    console.log(`model       ${printable(stats.model)}`);
    console.log(`documents   ${number(stats.documents)} from ${number(stats.sources)} sources`);
    console.log(`generation  ${stats.generation}`);
  } finally {
    await index.close();
  }
}
