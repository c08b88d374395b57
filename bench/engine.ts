// Exact and pruned search over real learned-sparse vectors, one thread, from token ids to (id, score) lists.
// Order of magnitude on 57,600 documents: tens of microseconds. Small, cache-warm collection: not comparable with
// figures on millions of documents.

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModel } from '../encoder/model.ts';
import { INDEX_FILE } from '../indexer/store/files.ts';
import { describeKernels } from '../kernels/index.ts';
import type { SearchOptions } from '../query/request.ts';
import { TopK } from '../query/retrieve/top-k.ts';
import { Searcher } from '../query/search/searcher.ts';
import type { QuantizedQuery } from '../query/weights/quantized-query.ts';
import type { EngineBenchRow } from './engine-row.ts';
import { latencies, time } from './latency.ts';
import { currentCommit, describeMachine } from './machine.ts';
import { plainJavaScript, zvecHnsw } from './peers.ts';
import { textRows } from './text-rows.ts';
import { benchIndex, impactQueries, SHARES, shareOf } from './vector-index.ts';
import { type BenchVectors, grow, readBenchVectors } from './vectors.ts';

export interface EngineBenchOptions {
  /** Folder that {@link readBenchVectors} reads. */
  readonly vectors: string;
  /** Documents of a grown collection; default: the collection as it is. */
  readonly documents?: number;
  /** JSON lines with title and text in the order of the vectors; BM25 and hybrid search are measured as well. Not for a grown collection. */
  readonly texts?: string;
  /** Folder of the index, which is kept, and used again where it is there. */
  readonly index?: string;
  /** Hits wanted; default 10. */
  readonly k?: number;
  /** Timed passes over all queries after the warm-up; default 3. */
  readonly passes?: number;
  /** Also measure other in-process engines; building them takes minutes. Default false. */
  readonly peers?: boolean;
}

export interface EngineBenchReport {
  readonly machine: string;
  readonly commit: string;
  readonly documents: number;
  readonly postings: number;
  readonly rows: readonly EngineBenchRow[];
}

/** One row to measure; `share` of the documents pass its filter. */
interface Measured {
  readonly mode: string;
  readonly share: number;
  readonly options: Pick<SearchOptions, 'scan' | 'alpha' | 'filter' | 'budgetMs'>;
}

/** Queries compared with brute force, at most, and postings that this reads, about: all queries would take minutes. */
const CHECKED_QUERIES = 200;
const CHECKED_POSTINGS = 5e9;
const GROW_SEED = 1;
/** Alphas of the pruned rows; 1 loses nothing. */
const ALPHAS = [1, 0.9, 0.8];
const FILTERED_SHARES = [0.5, 0.05, 0.001];
/** Time budgets, which the slowest searches of a large collection exceed without one. */
const BUDGETS_MS = [0.5, 0.2];

/** The searches of a run, each compared with brute force. */
const MEASURED: readonly Measured[] = [
  { mode: 'exact', share: 1, options: { scan: 'exact' } },
  ...ALPHAS.map(
    (alpha): Measured => ({ mode: `pruned, alpha ${alpha}`, share: 1, options: { scan: 'pruned', alpha } }),
  ),
  ...FILTERED_SHARES.map(
    (share): Measured => ({
      mode: `filter ${share * 100} %`,
      share,
      options: { filter: { share: { lt: share * SHARES } } },
    }),
  ),
  ...BUDGETS_MS.flatMap((budgetMs): Measured[] => [
    { mode: `pruned, ${budgetMs} ms`, share: 1, options: { scan: 'pruned', budgetMs } },
    { mode: `exact, ${budgetMs} ms`, share: 1, options: { scan: 'exact', budgetMs } },
  ]),
];

export async function run(options: EngineBenchOptions): Promise<EngineBenchReport> {
  const { k = 10, passes = 3 } = options;
  const real = readBenchVectors(options.vectors);
  const vectors = options.documents === undefined ? real : grow(real, options.documents, GROW_SEED);
  const documents = vectors.offsets.length - 1;
  const scratch = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  const folder = options.index ?? join(scratch, 'index');
  const model = openModel();
  const { store, buildSeconds } = await benchIndex(folder, model, vectors, options.texts);
  try {
    const queries = impactQueries(vectors, model);
    const truth = bestByBruteForce(vectors, queries, k, [1, ...FILTERED_SHARES]);
    const { bytes, postings } = store.stats();
    const searchBytes = (bytes.impacts ?? 0) + (bytes.maxima ?? 0) + (bytes.terms ?? 0);
    const size = {
      indexBytes: statSync(join(folder, INDEX_FILE)).size,
      bytesPerPosting: searchBytes / postings,
      ...(buildSeconds === undefined ? {} : { buildSeconds }),
    };
    const searcher = new Searcher(store, model.query);
    const { impactScale } = store.settings;
    const rows = MEASURED.map(({ mode, share, options }): EngineBenchRow => {
      const search = (query: QuantizedQuery): number[] =>
        searcher.rankVector(query, k, options).map(({ score }) => (score * query.scale) / impactScale);
      return {
        mode,
        backend: describeKernels().backend,
        k,
        ...latencies(time(queries.length, (i) => searcher.rankVector(queries[i]!, k, options), passes)),
        recall10: recall(search, truth.get(share)!, queries),
        rssMB: process.memoryUsage().rss / 1e6,
        ...size,
      };
    });
    if (options.texts) rows.push(...textRows(store, searcher, vectors.queries, k, passes));
    if (options.peers) rows.push(...measurePeers(vectors, queries, truth.get(1)!, k, passes));
    return { machine: describeMachine(), commit: currentCommit(), documents, postings, rows };
  } finally {
    await store.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

function measurePeers(
  vectors: BenchVectors,
  queries: readonly QuantizedQuery[],
  truth: Parameters<typeof recall>[1],
  k: number,
  passes: number,
): EngineBenchRow[] {
  return [plainJavaScript, zvecHnsw].map((open) => {
    const peer = open(vectors);
    const row: EngineBenchRow = {
      mode: peer.name,
      backend: 'peer',
      k,
      ...latencies(time(queries.length, (i) => peer.search(queries[i]!, k), passes)),
      recall10: recall((query) => peer.search(query, k), truth, queries),
      buildSeconds: peer.buildSeconds,
    };
    peer.close();
    return row;
  });
}

/** The k-th best score of a query and how many documents reach a place among the k. */
interface Truth {
  readonly query: number;
  readonly wanted: number;
  readonly threshold: number;
}

/**
 * Scores every document of a sample of queries from its vector, in integers.
 *
 * @returns what is best among all documents (share 1) and among those that a filter on a share keeps
 */
function bestByBruteForce(
  { offsets, termIds, impacts }: BenchVectors,
  queries: readonly QuantizedQuery[],
  k: number,
  shares: readonly number[],
): Map<number, Truth[]> {
  const numDocs = offsets.length - 1;
  const weights = new Uint16Array(65_536);
  const checked = Math.min(CHECKED_QUERIES, Math.ceil(CHECKED_POSTINGS / offsets[numDocs]!));
  const step = Math.max(1, Math.floor(queries.length / checked));
  const found = new Map<number, Truth[]>(shares.map((share) => [share, []]));
  for (let query = 0; query < queries.length; query += step) {
    queries[query]!.termIds.forEach((termId, i) => {
      weights[termId] = queries[query]!.weights[i]!;
    });
    const tops = shares.map((share) => ({ share, top: new TopK(k) }));
    for (let docId = 0; docId < numDocs; docId++) {
      let score = 0;
      for (let p = offsets[docId]!; p < offsets[docId + 1]!; p++)
        score += weights[termIds[p]!]! * impacts[p]!;
      for (const { share, top } of tops)
        if (score > top.threshold && shareOf(docId) < share * SHARES) top.offer(score, docId, docId);
    }
    for (const termId of queries[query]!.termIds) weights[termId] = 0;
    for (const { share, top } of tops) {
      const { count, scores } = top.sorted();
      const threshold = scores[count - 1] ?? Number.POSITIVE_INFINITY;
      found.get(share)!.push({ query, wanted: count, threshold });
    }
  }
  return found;
}

/** Share of the true best k that a search returns; any document with the k-th best score counts as one of them. */
function recall(
  search: (query: QuantizedQuery) => number[],
  truth: readonly Truth[],
  queries: readonly QuantizedQuery[],
): number {
  let found = 0;
  let total = 0;
  for (const { query, wanted, threshold } of truth) {
    total += wanted;
    for (const score of search(queries[query]!)) if (score >= threshold * (1 - 1e-6)) found++;
  }
  return total === 0 ? 1 : found / total;
}
