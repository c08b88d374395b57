import { Command, Option } from 'commander';
import { wholeNumber } from '../cli/options.ts';
import type { BenchReport } from './report.ts';

// `npm run bench -- NAME --json`. The benchmarks load peers and large data: each is imported only when it runs.
const bench = new Command('bench').description(
  'measure kernels, the document encoder, reranking and the search engine',
);
benchmark(
  'engine',
  'exact, pruned and filtered search over sparse vectors, from token ids to ids and scores',
  () => import('./engine.ts'),
)
  .requiredOption('--vectors <dir>', 'folder with counts.u16, terms.u16, weights.u8 and queries.jsonl')
  .option('--documents <n>', 'a sample, or a grown collection, of this size', wholeNumber(1, 20_000_000))
  .option('--texts <jsonl>', 'title and text of each vector: also measure BM25 and hybrid search')
  .option('--index <dir>', 'keep the index here, and use it where it is there')
  .option('-k, --k <n>', 'hits', wholeNumber(1, 1000), 10)
  .option('--passes <n>', 'timed passes', wholeNumber(1, 100), 3)
  .option('--peers', 'also measure a plain JavaScript index and zvec (npm install --no-save @zvec/zvec)');
benchmark(
  'collection',
  'puts together a collection of real passages from Debian packages and text files; fetches some 1.2 GB',
  () => import('./collection/collect.ts'),
)
  .requiredOption('--out <dir>', 'folder of the collection')
  .option('--texts <dir>', 'folder of the text files that bench/collection/sources.yaml names')
  .option('--queries <jsonl>', 'queries, of which 2,000 are taken')
  .option('--only <a,b,…>', 'only cut these sources into passages', names);
benchmark(
  'growth',
  'time, bytes and memory against the documents and the terms of a query',
  () => import('./growth.ts'),
)
  .requiredOption('--vectors <dir>', 'folder with counts.u16, terms.u16, weights.u8 and queries.jsonl')
  .option(
    '--documents <n,n,…>',
    'sizes of the collection',
    wholeNumbers(1, 20_000_000),
    [5000, 20_000, 100_000, 500_000],
  )
  .option('--passes <n>', 'timed passes', wholeNumber(1, 100), 2)
  .option('--index <dir>', 'index of all documents, measured as well')
  .addOption(new Option('--measure <dir>', 'measure this index only').hideHelp());
benchmark(
  'build',
  'from sparse vectors to a durable index: segments, upserts, merges, reordering',
  () => import('./build.ts'),
)
  .requiredOption('--vectors <dir>', 'folder with counts.u16, terms.u16, weights.u8 and queries.jsonl')
  .option('--documents <n>', 'grow the collection to this size', wholeNumber(1, 20_000_000));
benchmark(
  'search',
  'from query text to hits over an index, and over HTTP under load beside its own BM25',
  () => import('./search.ts'),
)
  .requiredOption('--index <dir>', 'index folder')
  .requiredOption('--queries <file>', 'queries.jsonl with one "text" per line')
  .option('-k, --k <n>', 'hits', wholeNumber(1, 1000), 10)
  .option('--passes <n>', 'timed passes', wholeNumber(1, 100), 3)
  .option('--clients <n,n,…>', 'also measure over HTTP with so many clients at once', wholeNumbers(1, 1000))
  .option(
    '--seconds <n>',
    'how long each system is measured at each number of clients',
    wholeNumber(1, 600),
    6,
  )
  .option('--peers', 'also measure MiniSearch');
benchmark(
  'serve',
  'the built server over HTTP by mode and connections, beside MiniSearch, and beside a bulk load',
  () => import('./serve.ts'),
)
  .option('--corpus <path>', "what winnow index takes, such as a folder in BEIR's form (default: the demo)")
  .option('--queries <file>', 'queries.jsonl with one "text" per line (default: those of the corpus)')
  .option('--documents <n>', 'documents of the corpus that are used', wholeNumber(1, 10_000_000), 5000)
  .option('--connections <n,n,…>', 'requests at once', wholeNumbers(1, 1000), [1, 10, 50])
  .option('--seconds <n>', 'length of each measurement', wholeNumber(1, 600), 5)
  .option('--systems <a,b,…>', 'only these of sparse, bm25, hybrid, vector, cross, minisearch', names)
  .option('--words', 'a collection of words alone, without a model')
  .option('--bulk <n>', 'short documents of the bulk load; 0: none', wholeNumber(0, 10_000_000), 50_000)
  .option('--bulk-seconds <n>', 'end of the bulk load, however far it is', wholeNumber(1, 3600), 600);
benchmark(
  'cluster',
  'two-phase search on an OpenSearch cluster: recall and latency beside the exact one',
  () => import('./cluster.ts'),
)
  .requiredOption('--url <url...>', 'nodes of the cluster')
  .requiredOption('--index <name>', 'index of the cluster')
  .requiredOption('--queries <file>', 'queries.jsonl with one "text" per line')
  .option('-k, --k <n>', 'hits', wholeNumber(1, 1000), 10)
  .option('--passes <n>', 'timed passes', wholeNumber(1, 100), 3);
benchmark('merge', 'searches with and without a merge in the background', () => import('./merge.ts'))
  .requiredOption('--vectors <dir>', 'folder with counts.u16, terms.u16, weights.u8 and queries.jsonl')
  .option('--documents <n>', 'grow the collection to this size', wholeNumber(1, 20_000_000));
benchmark('kernels', 'matrix products against onnxruntime-node', () => import('./kernels.ts'));
benchmark(
  'encode',
  'document encoding against transformers.js, text in and vectors out',
  () => import('./encode.ts'),
)
  .requiredOption('--corpus <file>', 'corpus.jsonl to take documents from')
  .option('--documents <n>', 'documents to encode', wholeNumber(1, 100_000), 48)
  .option('--threads <n,n,…>', 'threads of each system', wholeNumbers(1, 64), [1, 2])
  .option('--rounds <n>', 'turns of each system', wholeNumber(1, 100), 2);
benchmark(
  'train',
  'forward and backward passes of training, beside PyTorch on the same threads',
  () => import('./train.ts'),
)
  .requiredOption('--corpus <file>', 'corpus.jsonl to take documents from')
  .option('--documents <n>', 'documents of a batch', wholeNumber(1, 1000), 16)
  .option('--tokens <n>', 'tokens of a document, at most', wholeNumber(8, 512), 256)
  .option('--threads <n,n,…>', 'threads of each system', wholeNumbers(1, 64), [1, 2])
  .option('--rounds <n>', 'timed passes of each turn', wholeNumber(1, 100), 3)
  .option('--python <path>', 'a Python with torch; without it there is no peer');

benchmark(
  'rerank',
  'the vector stage, and a cross-encoder, dense and pruned, against onnxruntime-node and transformers.js',
  () => import('./rerank.ts'),
)
  .requiredOption(
    '--corpus <dir>',
    "evaluation set in BEIR's form: its queries and judged documents are the pairs",
  )
  .option('--model <name or dir>', 'cross-encoder (default: the bundled one)')
  .option('--pairs <n>', 'pairs per request', wholeNumber(1, 10_000), 100)
  .option('--tokens <n>', 'tokens of a pair, at most', wholeNumber(16, 512), 128)
  .option('--encoder <name or dir>', 'document encoder of the vector stage (default: the bundled one)')
  .option('--threads <n,n,…>', 'threads of each cross-encoder', wholeNumbers(1, 64), [2])
  .option('--rounds <n>', 'turns of each system', wholeNumber(1, 100), 7)
  .option('--systems <a,b,…>', 'only systems whose names contain one of these', names);
benchmark(
  'query-pass',
  "the pass over a query's few tokens: sparse weights and sparse activations against dense int8",
  () => import('./query-pass.ts'),
)
  .option('--encoder <name or dir>', 'document encoder (default: the bundled one)')
  .option('--tokens <n,n,…>', 'tokens of a query', wholeNumbers(1, 64), [1, 4, 8, 12, 16])
  .option('--rounds <n>', 'turns of each system', wholeNumber(1, 10_000), 300);
benchmark(
  'pair-pass',
  'cross-encoders with the patterns of their own weights, beside each other on one thread',
  () => import('./pair-pass.ts'),
)
  .requiredOption('--corpus <dir>', "evaluation set in BEIR's form")
  .requiredOption('--models <a,b,…>', 'bundled names or folders; others are compared with the first', names)
  .option('--pairs <n>', 'pairs of a turn', wholeNumber(1, 1000), 4)
  .option('--tokens <n>', 'tokens of a pair, at most', wholeNumber(16, 512), 128)
  .option('--rounds <n>', 'turns of each model', wholeNumber(1, 10_000), 200);
benchmark(
  'text-pass',
  'document encoders with the patterns of their own weights, beside each other on one thread',
  () => import('./text-pass.ts'),
)
  .requiredOption('--corpus <jsonl>', 'documents with title and text')
  .requiredOption('--models <a,b,…>', 'bundled names or folders; others are compared with the first', names)
  .option('--documents <n>', 'documents of a turn', wholeNumber(1, 1000), 2)
  .option(
    '--tokens <n>',
    'tokens of a document, at most (default: all that the model reads)',
    wholeNumber(16, 512),
  )
  .option('--exact', 'without the screens of the heads')
  .option('--rounds <n>', 'turns of each model', wholeNumber(1, 10_000), 200);
benchmark(
  'rerank-load',
  'plain searches beside a running rerank, and memory over many reranked searches',
  () => import('./rerank-load.ts'),
)
  .requiredOption('--index <dir>', 'index folder')
  .requiredOption('--queries <file>', 'queries.jsonl with one "text" per line')
  .option('--model <folder>', 'model of the index, unless it is bundled')
  .option('--reranker <folder>', 'cross-encoder, unless it is bundled')
  .addOption(new Option('--rerank <stage>', 'stage').choices(['vector', 'cross']))
  .option('--depth <n>', 'documents that are reranked', wholeNumber(1, 1000), 50)
  .option('--seconds <n>', 'length of each phase', wholeNumber(1, 600), 5)
  .option('--soak <n>', 'reranked searches whose memory is watched', wholeNumber(10, 10_000_000), 10_000);

/** A command with `--json` that runs the module and prints its report. @returns the command, to which options are added */
function benchmark<Options>(
  name: string,
  description: string,
  load: () => Promise<{ run(options: Options): BenchReport<object> | Promise<BenchReport<object>> }>,
): Command {
  return bench
    .command(name)
    .description(description)
    .option('--json', 'print one JSON object')
    .action(async ({ json, ...options }) => {
      const { run } = await load();
      print(await run(options), json);
    });
}

/** Parser of `a,b,c`. */
function names(text: string): string[] {
  return text.split(',');
}

/** Parser of `10,20,40`. */
function wholeNumbers(low: number, high: number): (text: string) => number[] {
  return (text) => names(text).map(wholeNumber(low, high));
}

function print(report: BenchReport<object>, json: boolean | undefined): void {
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
