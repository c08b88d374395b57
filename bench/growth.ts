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
import { currentCommit, describeMachine } from './machine.ts';
import { benchIndex, impactQueries } from './vector-index.ts';
import { type BenchVectors, grow, readBenchQueries, readBenchVectors } from './vectors.ts';

export interface GrowthOptions {
  /** Folder that readBenchVectors reads. */
  readonly vectors: string;
  /** Sizes of the collection, ascending. */
  readonly documents: readonly number[];
  readonly passes: number;
  /** Of a process that only measures: folder of the index. */
  readonly measure?: string;
}

/** Microseconds of searches for the ten best; rssMB of a process that has only the index open. */
interface Searches {
  readonly exactMeanUs: number;
  readonly exactP99Us: number;
  readonly prunedMeanUs: number;
  readonly prunedP99Us: number;
  readonly rssMB: number;
  readonly startMB: number;
  readonly byTerms: readonly {
    readonly terms: number;
    readonly exactMeanUs: number;
    readonly prunedMeanUs: number;
  }[];
}

export interface GrowthRow extends Searches {
  readonly documents: number;
  readonly postings: number;
  /** More documents than there are: jittered copies. */
  readonly isGrown: boolean;
  readonly buildSeconds: number;
  /** Lists, maxima and terms: what sparse search reads. */
  readonly searchBytes: number;
  readonly fileBytes: number;
}

export interface GrowthReport {
  readonly machine: string;
  readonly commit: string;
  readonly rows: readonly (GrowthRow | Searches)[];
}

const K = 10;
/** Queries of one length whose mean counts. */
const LEAST_QUERIES = 20;

export async function run(options: GrowthOptions): Promise<GrowthReport> {
  const facts = { machine: describeMachine(), commit: currentCommit() };
  if (options.measure) return { ...facts, rows: [await measure(options.measure, options)] };
  const vectors = readBenchVectors(options.vectors);
  const rows: GrowthRow[] = [];
  for (const documents of options.documents) rows.push(await grownRow(vectors, documents, options));
  return { ...facts, rows };
}

async function grownRow(
  real: BenchVectors,
  documents: number,
  { vectors: folder, passes }: GrowthOptions,
): Promise<GrowthRow> {
  const scratch = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  const index = join(scratch, 'index');
  try {
    const { store, buildSeconds } = await benchIndex(index, openModel(), grow(real, documents, 1));
    const { bytes, postings } = store.stats();
    await store.close();
    const args = ['growth', '--vectors', folder, '--measure', index, '--passes', String(passes), '--json'];
    const output = execFileSync(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
      encoding: 'utf8',
    });
    return {
      documents,
      postings,
      isGrown: documents > real.offsets.length - 1,
      buildSeconds: buildSeconds!,
      searchBytes: (bytes.impacts ?? 0) + (bytes.maxima ?? 0) + (bytes.terms ?? 0),
      fileBytes: statSync(join(index, INDEX_FILE)).size,
      ...(JSON.parse(output) as { readonly rows: readonly [Searches] }).rows[0],
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
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
      exactMeanUs: of('exact', group).meanUs,
      prunedMeanUs: of('pruned', group).meanUs,
    }));
  await store.close();
  return {
    exactMeanUs: exact.meanUs,
    exactP99Us: exact.p99Us,
    prunedMeanUs: pruned.meanUs,
    prunedP99Us: pruned.p99Us,
    rssMB,
    startMB,
    byTerms,
  };
}
