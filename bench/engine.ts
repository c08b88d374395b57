// Exact and pruned search over real learned-sparse vectors, one thread, from token ids to (id, score) lists.
// Order of magnitude on 57,600 documents: tens of microseconds. Small, cache-warm collection: not comparable with
// figures on millions of documents.

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Model, openModel } from '../encoder/model.ts';
import { SPECIAL_IDS } from '../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../indexer/index-store.ts';
import { INDEX_FILE } from '../indexer/store/files.ts';
import type { IndexableSource } from '../indexer/types.ts';
import { describeKernels } from '../kernels/index.ts';
import type { Filter, ScanOptions } from '../query/request.ts';
import { TopK } from '../query/retrieve/top-k.ts';
import { Searcher } from '../query/search/searcher.ts';
import { type QuantizedQuery, quantizeQuery } from '../query/weights/quantized-query.ts';
import { type Latencies, latencies, time } from './latency.ts';
import { currentCommit, describeMachine } from './machine.ts';
import { plainJavaScript, zvecHnsw } from './peers.ts';
import { type BenchVectors, grow, readBenchVectors } from './vectors.ts';

export interface EngineBenchOptions {
  /** Folder that {@link readBenchVectors} reads. */
  readonly vectors: string;
  /** Documents of a grown collection; default: the collection as it is. */
  readonly documents?: number;
  /** Hits wanted; default 10. */
  readonly k?: number;
  /** Timed passes over all queries after the warm-up; default 3. */
  readonly passes?: number;
  /** Also measure other in-process engines; building them takes minutes. Default false. */
  readonly peers?: boolean;
}

export interface EngineBenchRow extends Latencies {
  /** `exact`, `pruned` with its alpha, `filter` with the share of documents that it keeps, or a peer's name. */
  readonly mode: string;
  readonly backend: string;
  readonly k: number;
  /** Share of the true top k that was returned, over a sample of queries scored by brute force; ties count as equal. */
  readonly recall10: number;
  /** The next three are absent for peers. */
  readonly indexBytes?: number;
  /** Of the parts that sparse search reads; forward vectors and words not counted. */
  readonly bytesPerPosting?: number;
  readonly rssMB?: number;
  readonly buildSeconds: number;
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
  readonly options: ScanOptions & { readonly filter?: Filter };
}

const BUILD_BATCH = 16_384;
/** Queries compared with brute force; all of them would take minutes. */
const CHECKED_QUERIES = 200;
const GROW_SEED = 1;
/** Alphas of the pruned rows; 1 loses nothing. */
const ALPHAS = [1, 0.9, 0.8];
/** A field of random numbers below this; filters on it keep a share of the documents. */
const SHARES = 1000;
const FILTERED_SHARES = [0.5, 0.05, 0.001];

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
];

export async function run(options: EngineBenchOptions): Promise<EngineBenchReport> {
  const { k = 10, passes = 3 } = options;
  const real = readBenchVectors(options.vectors);
  const vectors = options.documents === undefined ? real : grow(real, options.documents, GROW_SEED);
  const documents = vectors.offsets.length - 1;
  const folder = mkdtempSync(join(tmpdir(), 'winnow-bench-'));
  const model = openModel();
  const store = IndexStore.openOrCreate(folder, {
    modelName: model.name,
    modelHash: model.hash,
    impactScale: 3 / 255,
    filterFields: [{ name: 'share', type: 'number' }],
  });
  try {
    const buildSeconds = build(store, vectors);
    const queries = impactQueries(vectors, model);
    const truth = bestByBruteForce(vectors, queries, k, [1, ...FILTERED_SHARES]);
    const { bytes, postings } = store.stats();
    const searchBytes = (bytes.impacts ?? 0) + (bytes.maxima ?? 0) + (bytes.terms ?? 0);
    const size = {
      indexBytes: statSync(join(folder, INDEX_FILE)).size,
      bytesPerPosting: searchBytes / postings,
      buildSeconds,
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
    if (options.peers) rows.push(...measurePeers(vectors, queries, truth.get(1)!, k, passes));
    return { machine: describeMachine(), commit: currentCommit(), documents, postings, rows };
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns seconds */
function build(store: IndexStore, vectors: BenchVectors): number {
  const documents = vectors.offsets.length - 1;
  const started = performance.now();
  for (let from = 0; from < documents; from += BUILD_BATCH)
    store.upsert(sources(vectors, from, Math.min(from + BUILD_BATCH, documents)));
  store.forceMerge();
  return (performance.now() - started) / 1000;
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

/** The queries of a collection, each the set of its tokens weighted by the model's idf. */
export function impactQueries({ queries }: BenchVectors, model: Model): QuantizedQuery[] {
  return queries.map(({ tokens }) => {
    const terms = [...new Set(tokens)].filter((id) => !SPECIAL_IDS.has(id)).sort((a, b) => a - b);
    return quantizeQuery(
      terms,
      terms.map((id) => model.query.idf[id]!),
    );
  });
}

/** A number that has nothing to do with the document's place or content. */
const shareOf = (document: number): number => (Math.imul(document + 1, 0x9e3779b1) >>> 8) % SHARES;

export function sources(
  { offsets, termIds, impacts }: BenchVectors,
  from: number,
  to: number,
): IndexableSource[] {
  return Array.from({ length: to - from }, (_, i) => {
    const id = String(from + i);
    const [start, end] = [offsets[from + i]!, offsets[from + i + 1]!];
    return {
      id,
      contentHash: 'bench',
      documents: [
        {
          document: { id, title: '', text: '', metadata: { share: shareOf(from + i) } },
          vector: {
            termIds: termIds.subarray(start, end),
            weights: Float32Array.from(impacts.subarray(start, end), (impact) => (impact * 3) / 255),
          },
          words: [],
        },
      ],
    };
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
  const step = Math.max(1, Math.floor(queries.length / CHECKED_QUERIES));
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
