// How time, bytes and memory grow with the documents and with the terms of a query.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModel } from '../encoder/model.ts';
import { IndexStore } from '../indexer/index-store.ts';
import { INDEX_FILE } from '../indexer/store/files.ts';
import { Searcher } from '../query/search/searcher.ts';
import type { QuantizedQuery } from '../query/weights/quantized-query.ts';
import { latencies, time } from './latency.ts';
import { type BenchReport, report } from './report.ts';
import { benchIndex, impactQueries } from './vector-index.ts';
import { type BenchVectors, grow, readBenchQueries, readBenchVectors } from './vectors.ts';

export interface GrowthOptions {
  /** Folder that readBenchVectors reads. */
  readonly vectors: string;
  /** Sizes of the collection, ascending. */
  readonly documents: readonly number[];
  readonly passes: number;
  /** Index of all documents, which is measured as well. */
  readonly index?: string;
  /** Of a process that only measures: folder of the index. */
  readonly measure?: string;
}

/** Microseconds of searches for the ten best; rssMB of a process that has only the index open. */
interface Searches {
  readonly exactP50Us: number;
  readonly exactP99Us: number;
  readonly prunedP50Us: number;
  readonly prunedP99Us: number;
  readonly rssMB: number;
  readonly startMB: number;
  readonly byTerms: readonly {
    readonly terms: number;
    readonly exactP50Us: number;
    readonly prunedP50Us: number;
  }[];
}

export interface GrowthRow extends Searches {
  readonly documents: number;
  readonly postings: number;
  /** More documents than there are: jittered copies. */
  readonly isGrown: boolean;
  /** Absent for an index that was there. */
  readonly buildSeconds?: number;
  /** Lists, maxima and terms: what sparse search reads. */
  readonly searchBytes: number;
  readonly fileBytes: number;
}

export type GrowthReport = BenchReport<GrowthRow | Searches>;

const K = 10;
/** Queries of one length whose mean counts. */
const LEAST_QUERIES = 20;

export async function run(options: GrowthOptions): Promise<GrowthReport> {
  if (options.measure) return report([await measure(options.measure, options)]);
  const vectors = readBenchVectors(options.vectors);
  const rows: GrowthRow[] = [];
  for (const documents of options.documents) rows.push(await grownRow(vectors, documents, options));
  if (options.index) rows.push(await indexRow(options.index, options));
  return report(rows);
}

async function grownRow(real: BenchVectors, documents: number, options: GrowthOptions): Promise<GrowthRow> {
  const scratch = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  const folder = join(scratch, 'index');
  try {
    const { store, buildSeconds } = await benchIndex(folder, openModel(), grow(real, documents, 1));
    await store.close();
    const isGrown = documents > real.offsets.length - 1;
    return { ...(await indexRow(folder, options)), isGrown, buildSeconds: buildSeconds! };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Sizes of an index, and what a process of its own measures. */
async function indexRow(index: string, { vectors, passes }: GrowthOptions): Promise<GrowthRow> {
  const store = IndexStore.open(index);
  const { bytes, postings, documents } = store.stats();
  await store.close();
  const args = ['growth', '--vectors', vectors, '--measure', index, '--passes', String(passes), '--json'];
  const output = execFileSync(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
    encoding: 'utf8',
  });
  return {
    documents,
    postings,
    isGrown: false,
    searchBytes: (bytes.impacts ?? 0) + (bytes.maxima ?? 0) + (bytes.terms ?? 0),
    fileBytes: statSync(join(index, INDEX_FILE)).size,
    ...(JSON.parse(output) as { readonly rows: readonly [Searches] }).rows[0],
  };
}

async function measure(folder: string, { vectors, passes }: GrowthOptions): Promise<Searches> {
  const model = openModel();
  const impacts = impactQueries({ queries: readBenchQueries(vectors) }, model);
  const startMB = process.memoryUsage().rss / 1e6;
  const store = IndexStore.open(folder);
  const searcher = new Searcher(store, model.query);
  const of = (scan: 'exact' | 'pruned', wanted: readonly QuantizedQuery[]) =>
    latencies(time(wanted.length, (i) => searcher.rankVector(wanted[i]!, K, { scan }), passes));
  const [exact, pruned] = [of('exact', impacts), of('pruned', impacts)];
  const rssMB = process.memoryUsage().rss / 1e6;
  const byLength = new Map<number, QuantizedQuery[]>();
  for (const query of impacts) {
    const { length } = query.termIds;
    byLength.set(length, [...(byLength.get(length) ?? []), query]);
  }
  const byTerms = [...byLength]
    .filter(([, group]) => group.length >= LEAST_QUERIES)
    .sort(([a], [b]) => a - b)
    .map(([terms, group]) => ({
      terms,
      exactP50Us: of('exact', group).p50Us,
      prunedP50Us: of('pruned', group).p50Us,
    }));
  await store.close();
  return {
    exactP50Us: exact.p50Us,
    exactP99Us: exact.p99Us,
    prunedP50Us: pruned.p50Us,
    prunedP99Us: pruned.p99Us,
    rssMB,
    startMB,
    byTerms,
  };
}
