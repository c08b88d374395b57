import { Command } from 'commander';
import { wholeNumber } from '../cli/options.ts';

// `npm run bench -- NAME --json`. The benchmarks load peers and large data: each is imported only when it runs.
const bench = new Command('bench').description('measure kernels, the document encoder and the search engine');
bench
  .command('engine')
  .description('exact, pruned and filtered search over sparse vectors, from token ids to ids and scores')
  .requiredOption('--vectors <dir>', 'folder with counts.u16, terms.u16, weights.u8 and queries.jsonl')
  .option('--documents <n>', 'grow the collection to this size', wholeNumber(1, 20_000_000))
  .option('-k, --k <n>', 'hits', wholeNumber(1, 1000), 10)
  .option('--passes <n>', 'timed passes', wholeNumber(1, 100), 3)
  .option('--peers', 'also measure a plain JavaScript index and zvec (npm install --no-save @zvec/zvec)')
  .option('--json', 'print one JSON object')
  .action(async ({ json, ...options }) => {
    const { run } = await import('./engine.ts');
    print(await run(options), json);
  });
bench
  .command('build')
  .description('from sparse vectors to a durable index: segments, upserts, merges, reordering')
  .requiredOption('--vectors <dir>', 'folder with counts.u16, terms.u16, weights.u8 and queries.jsonl')
  .option('--documents <n>', 'grow the collection to this size', wholeNumber(1, 20_000_000))
  .option('--json', 'print one JSON object')
  .action(async ({ json, ...options }) => {
    const { run } = await import('./build.ts');
    print(await run(options), json);
  });
bench
  .command('search')
  .description('from query text to hits over an index, and over HTTP under load beside its own BM25')
  .requiredOption('--index <dir>', 'index folder')
  .requiredOption('--queries <file>', 'queries.jsonl with a "text" a line')
  .option('-k, --k <n>', 'hits', wholeNumber(1, 1000), 10)
  .option('--passes <n>', 'timed passes', wholeNumber(1, 100), 3)
  .option('--clients <n,n,…>', 'ask a server over HTTP with so many clients at once', clientCounts)
  .option('--seconds <n>', 'how long each system is asked at each number of clients', wholeNumber(1, 600), 6)
  .option('--peers', 'also measure MiniSearch (npm install --no-save minisearch)')
  .option('--json', 'print one JSON object')
  .action(async ({ json, ...options }) => {
    const { run } = await import('./search.ts');
    print(await run(options), json);
  });
bench
  .command('merge')
  .description('searches with and without a merge in the background')
  .requiredOption('--vectors <dir>', 'folder with counts.u16, terms.u16, weights.u8 and queries.jsonl')
  .option('--documents <n>', 'grow the collection to this size', wholeNumber(1, 20_000_000))
  .option('--json', 'print one JSON object')
  .action(async ({ json, ...options }) => {
    const { run } = await import('./merge.ts');
    print(await run(options), json);
  });
bench
  .command('kernels')
  .description('matrix products against onnxruntime-node')
  .option('--json', 'print one JSON object')
  .action(async ({ json }) => {
    const { run } = await import('./kernels.ts');
    print(await run({ json: false }), json);
  });
bench
  .command('encode')
  .description('document encoding against transformers.js, text in and vectors out')
  .requiredOption('--corpus <file>', 'corpus.jsonl to take documents from')
  .option('--documents <n>', 'documents to encode', wholeNumber(1, 100_000), 48)
  .option('--json', 'print one JSON object')
  .action(async ({ json, ...options }) => {
    const { run } = await import('./encode.ts');
    print(await run(options), json);
  });

/** Parser of `10,20,40`. */
function clientCounts(text: string): number[] {
  return text.split(',').map(wholeNumber(1, 1000));
}

interface Report {
  readonly machine: string;
  readonly commit: string;
  readonly rows: readonly object[];
}

function print(report: Report, json: boolean | undefined): void {
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  const { rows, ...facts } = report;
  for (const [name, value] of Object.entries(facts)) console.log(`${name.padEnd(10)} ${value}`);
  const rounded = rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [
        name,
        typeof value === 'number' ? Number(value.toPrecision(4)) : value,
      ]),
    ),
  );
  console.table(rounded);
}

await bench.parseAsync();
