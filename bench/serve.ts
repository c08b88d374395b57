// What a user of `winnow serve` gets: the built server in one process, autocannon in another, hits with snippets. Systems take turns
// at each number of connections. Then searches go on while documents are loaded into the same collection.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CollectionClient, WinnowClient } from '../client/index.ts';
import type { CorpusDocument } from '../corpus/types.ts';
import { WinnowError } from '../errors.ts';
import { percentile } from '../evaluation/latency.ts';
import { packageRoot } from '../package-root.ts';
import type { SearchOptions } from '../query/request.ts';
import type { Worker } from './child.ts';
import { type BenchReport, report, round } from './report.ts';
import { readDocuments, readQueryTexts, shortDocuments } from './serve-inputs.ts';
import { type LoadOutcome, startLoad } from './serve-load.ts';
import { startMiniSearch } from './serve-minisearch.ts';

export interface ServeBenchOptions {
  readonly corpus?: string;
  readonly queries?: string;
  readonly documents: number;
  readonly connections: readonly number[];
  readonly seconds: number;
  readonly systems?: readonly string[];
  /** A collection without a model, which only bm25 searches. */
  readonly words?: boolean;
  readonly bulk: number;
  readonly bulkSeconds: number;
}

interface ServeBenchRow {
  readonly mode: string;
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Broken connections, timeouts, and statuses other than 200 and 503. */
  readonly errors: number;
  /** Answers 503 with `retry-after`: more was waiting than the server accepts. */
  readonly refused: number;
  /** Documents that were stored per second meanwhile. */
  readonly documentsPerSecond?: number;
}

interface ServeBenchReport extends BenchReport<ServeBenchRow> {
  readonly documents: number;
  readonly queries: number;
  readonly seconds: number;
  /** Documents of the bulk load. */
  readonly bulkStored?: number;
  readonly bulkFailed?: number;
}

/** Somewhere to send searches. */
interface System {
  readonly name: string;
  readonly url: string;
  readonly bodies: readonly string[];
}

const MODES: Readonly<Record<string, SearchOptions>> = {
  sparse: { mode: 'sparse', rerank: false },
  bm25: { mode: 'bm25', rerank: false },
  hybrid: { mode: 'hybrid', rerank: false },
  vector: { mode: 'sparse', rerank: 'vector' },
  cross: { mode: 'sparse', rerank: 'cross' },
};
const BY_WORDS = 'bm25';
const PEER = 'minisearch';
const NAME = 'bench';
const WARM_UP = { connections: 4, seconds: 1 } as const;
const BULK_CONNECTIONS = 10;
const TIMEOUT_MS = 300_000;

/** Vectors need a model that makes them: without one there is no row `vector`. */
export async function run(options: ServeBenchOptions): Promise<ServeBenchReport> {
  const { corpus, seconds, words = false } = options;
  const systems = options.systems ?? (words ? [BY_WORDS, PEER] : [...Object.keys(MODES), PEER]);
  requireSystems(systems);
  const queries = await readQueryTexts(corpus, options.queries);
  const documents = await readDocuments(corpus, options.documents);
  const folder = mkdtempSync(join(tmpdir(), 'winnow-bench-serve-'));
  const load = startLoad();
  const peer = systems.includes(PEER) ? startMiniSearch({ corpus, documents: options.documents }) : undefined;
  let server: ChildProcess | undefined;
  try {
    const started = await startServer(join(folder, 'data'));
    server = started.server;
    const collection = await fill(started.url, documents, words);
    const measured = await ownSystems(started.url, collection, queries, systems);
    if (peer) {
      const bodies = queries.map((query) => JSON.stringify({ query }));
      measured.push({ name: PEER, bodies, ...(await peer.call()) });
    }
    const rows = await measureAll(load, measured, options);
    const searched = measured.find(({ name }) => name === (words ? BY_WORDS : 'sparse'));
    const beside =
      options.bulk > 0 && searched
        ? await measureBulk(load, searched, collection, documents, options)
        : undefined;
    return {
      ...report([...rows, ...(beside ? [beside.row] : [])]),
      documents: documents.length,
      queries: queries.length,
      seconds,
      ...(beside ? { bulkStored: beside.stored, bulkFailed: beside.failed } : {}),
    };
  } finally {
    load.end();
    peer?.end();
    server?.kill('SIGTERM');
    if (server && server.exitCode === null) await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

function requireSystems(systems: readonly string[]): void {
  const known = [...Object.keys(MODES), PEER];
  const unknown = systems.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', `there is no system "${unknown}"`, {
    place: '--systems',
    hint: `known are ${known.join(', ')}`,
  });
}

async function startServer(folder: string): Promise<{ server: ChildProcess; url: string }> {
  const program = join(packageRoot, 'dist/cli/main.js');
  if (!existsSync(program))
    throw new WinnowError('WINNOW_NOT_FOUND', 'the built server is measured, and it is not built', {
      place: program,
      hint: 'npm run build',
    });
  const server = spawn(process.execPath, [program, 'serve', folder, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = await Promise.race([once(server.stdout!, 'data'), once(server, 'exit')]);
  const url = /http:\/\/[^\s]+/.exec(String(said[0]))?.[0];
  if (!url) throw new WinnowError('WINNOW_SERVER', 'the server did not start', { place: 'winnow serve' });
  return { server, url };
}

async function fill(
  url: string,
  documents: readonly CorpusDocument[],
  words: boolean,
): Promise<CollectionClient> {
  const client = new WinnowClient(url, { timeoutMs: TIMEOUT_MS });
  await client.createCollection({ name: NAME, ...(words ? { model: null } : {}) });
  const collection = client.collection(NAME);
  await collection
    .upload(
      documents.map(({ id, title, text, metadata }) => ({ id, title, text, metadata })),
      { results: 'none' },
    )
    .finish();
  return collection;
}

async function ownSystems(
  url: string,
  collection: CollectionClient,
  queries: readonly string[],
  wanted: readonly string[],
): Promise<System[]> {
  const { stages } = await collection.stats();
  const can = ({ rerank }: SearchOptions): boolean =>
    typeof rerank !== 'string' || stages.some((stage) => stage === rerank);
  return Object.entries(MODES)
    .filter(([name, options]) => wanted.includes(name) && can(options))
    .map(([name, options]) => ({
      name,
      url: `${url}/v1/collections/${NAME}/search`,
      bodies: queries.map((query) => JSON.stringify({ query, ...options })),
    }));
}

async function measureAll(
  load: Worker<LoadOutcome>,
  systems: readonly System[],
  { connections, seconds }: ServeBenchOptions,
): Promise<ServeBenchRow[]> {
  for (const { url, bodies } of systems) await load.call({ url, bodies, ...WARM_UP });
  const rows: ServeBenchRow[] = [];
  for (const count of connections)
    for (const { name, url, bodies } of systems)
      rows.push(rowOf(name, count, [await load.call({ url, bodies, connections: count, seconds })]));
  return rows;
}

/** Searches until all documents of the load are stored, or its time is over. */
async function measureBulk(
  load: Worker<LoadOutcome>,
  { name, url, bodies }: System,
  collection: CollectionClient,
  documents: readonly CorpusDocument[],
  { bulk, bulkSeconds, seconds }: ServeBenchOptions,
): Promise<{ row: ServeBenchRow; stored: number; failed: number }> {
  const end = AbortSignal.timeout(bulkSeconds * 1000);
  const started = performance.now();
  const counts = { stored: 0, failed: 0 };
  let isLoading = true;
  const loading = (async () => {
    for await (const { status } of collection.upload(shortDocuments(documents, bulk), { signal: end }))
      counts[status === 'failed' ? 'failed' : 'stored']++;
  })()
    .catch((error: unknown) => {
      if (!end.aborted) throw error;
    })
    .finally(() => {
      isLoading = false;
    });
  const outcomes: LoadOutcome[] = [];
  const searching = (async () => {
    while (isLoading) outcomes.push(await load.call({ url, bodies, connections: BULK_CONNECTIONS, seconds }));
  })();
  await loading;
  const took = (performance.now() - started) / 1000;
  await searching;
  const row = rowOf(`${name} beside a load of ${bulk}`, BULK_CONNECTIONS, outcomes);
  return { row: { ...row, documentsPerSecond: round(counts.stored / took, 1) }, ...counts };
}

function rowOf(mode: string, connections: number, outcomes: readonly LoadOutcome[]): ServeBenchRow {
  const millis = Float64Array.from(outcomes.flatMap((one) => one.millis)).sort();
  const total = (name: 'seconds' | 'errors' | 'refused') => outcomes.reduce((sum, one) => sum + one[name], 0);
  return {
    mode,
    connections,
    requestsPerSecond: round(millis.length / total('seconds'), 1),
    p50Ms: percentile(millis, 50),
    p95Ms: percentile(millis, 95),
    p99Ms: percentile(millis, 99),
    errors: total('errors'),
    refused: total('refused'),
  };
}
