// Exact and pruned search over real learned-sparse vectors, one thread, from token ids to (id, score) lists.
// Order of magnitude on 57,600 documents: tens of microseconds. Small, cache-warm collection: not comparable with
// figures on millions of documents.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModel } from '../encoder/model-file.ts';
import { SPECIAL_IDS } from '../encoder/wordpiece.ts';
import { IndexStore } from '../indexer/index-store.ts';
import { INDEX_FILE } from '../indexer/storage.ts';
import type { IndexableSource } from '../indexer/types.ts';
import { describeKernels } from '../kernels/index.ts';
import { type ImpactQuery, impactQuery } from '../query/impact-query.ts';
import { type ScanOptions, Searcher } from '../query/searcher.ts';
import { TopK } from '../query/top-k.ts';
import { currentCommit, describeMachine } from './machine.ts';
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
}

export interface EngineBenchRow {
  /** `exact`, or `pruned` with its alpha. */
  readonly mode: string;
  readonly backend: string;
  readonly k: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p95Us: number;
  readonly p99Us: number;
  readonly qps: number;
  /** Share of the true top k that was returned, over a sample of queries scored by brute force; ties count as equal. */
  readonly recall10: number;
  readonly indexBytes: number;
  readonly bytesPerPosting: number;
  readonly rssMB: number;
  readonly buildSeconds: number;
}

export interface EngineBenchReport {
  readonly machine: string;
  readonly commit: string;
  readonly documents: number;
  readonly postings: number;
  readonly rows: readonly EngineBenchRow[];
}

const BUILD_BATCH = 16_384;
/** Queries compared with brute force; all of them would take minutes. */
const CHECKED_QUERIES = 200;
const GROW_SEED = 1;
/** Alphas of the pruned rows; 1 loses nothing. */
const ALPHAS = [1, 0.9, 0.8];

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
    filterFields: [],
  });
  try {
    const started = performance.now();
    for (let from = 0; from < documents; from += BUILD_BATCH) {
      store.upsert(sources(vectors, from, Math.min(from + BUILD_BATCH, documents)));
    }
    store.optimize();
    const buildSeconds = (performance.now() - started) / 1000;
    const searcher = new Searcher(store, model.query);
    const queries = vectors.queries.map(({ tokens }) => {
      const terms = [...new Set(tokens)].filter((id) => !SPECIAL_IDS.has(id)).sort((a, b) => a - b);
      return impactQuery(
        terms,
        terms.map((id) => model.query.idf[id]!),
      );
    });
    const { bytes, postings } = store.stats();
    const searchBytes = (bytes.impacts ?? 0) + (bytes.maxima ?? 0) + (bytes.terms ?? 0);
    const indexBytes = statSync(join(folder, INDEX_FILE)).size;
    const truth = bestByBruteForce(vectors, queries, k);
    const modes: ScanOptions[] = [
      { scan: 'exact' },
      ...ALPHAS.map((alpha) => ({ scan: 'pruned', alpha }) as const),
    ];
    const rows = modes.map((options): EngineBenchRow => {
      const recall10 = recall(searcher, truth, queries, k, store.settings.impactScale, options);
      const micros = time(queries.length, (i) => searcher.rankVector(queries[i]!, k, options), passes);
      const mean = micros.reduce((sum, us) => sum + us, 0) / micros.length;
      const at = (share: number): number =>
        micros[Math.min(micros.length - 1, Math.floor(share * micros.length))]!;
      return {
        mode: options.alpha === undefined ? 'exact' : `pruned, alpha ${options.alpha}`,
        backend: describeKernels().backend,
        k,
        meanUs: mean,
        p50Us: at(0.5),
        p95Us: at(0.95),
        p99Us: at(0.99),
        qps: 1e6 / mean,
        recall10,
        indexBytes,
        bytesPerPosting: searchBytes / postings,
        rssMB: process.memoryUsage().rss / 1e6,
        buildSeconds,
      };
    });
    return { machine: describeMachine(), commit: currentCommit(), documents, postings, rows };
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

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
      contentHash: '',
      documents: [
        {
          document: { id, title: '', text: '', metadata: {} },
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

/** One warm-up pass, then timed ones. @returns microseconds of every timed call, rising */
function time(n: number, call: (i: number) => unknown, passes: number): Float64Array {
  for (let i = 0; i < n; i++) call(i);
  const micros = new Float64Array(n * passes);
  for (let pass = 0; pass < passes; pass++) {
    for (let i = 0; i < n; i++) {
      const started = performance.now();
      call(i);
      micros[pass * n + i] = (performance.now() - started) * 1000;
    }
  }
  return micros.sort();
}

/** The k-th best score of a query and how many documents reach a place among the k. */
interface Truth {
  readonly query: number;
  readonly wanted: number;
  readonly threshold: number;
}

/** Scores every document of a sample of queries from its vector, in integers. */
function bestByBruteForce(vectors: BenchVectors, queries: readonly ImpactQuery[], k: number): Truth[] {
  const { offsets, termIds, impacts } = vectors;
  const numDocs = offsets.length - 1;
  const weights = new Uint16Array(65_536);
  const step = Math.max(1, Math.floor(queries.length / CHECKED_QUERIES));
  const found: Truth[] = [];
  for (let query = 0; query < queries.length; query += step) {
    queries[query]!.termIds.forEach((termId, i) => {
      weights[termId] = queries[query]!.weights[i]!;
    });
    const top = new TopK(k);
    for (let docId = 0; docId < numDocs; docId++) {
      let score = 0;
      for (let p = offsets[docId]!; p < offsets[docId + 1]!; p++)
        score += weights[termIds[p]!]! * impacts[p]!;
      if (score > top.threshold) top.offer(score, docId, docId);
    }
    for (const termId of queries[query]!.termIds) weights[termId] = 0;
    const { count, scores } = top.sorted();
    found.push({ query, wanted: count, threshold: scores[count - 1] ?? Number.POSITIVE_INFINITY });
  }
  return found;
}

/** Share of the true best k that a search returns; any document with the k-th best score counts as one of them. */
function recall(
  searcher: Searcher,
  truth: readonly Truth[],
  queries: readonly ImpactQuery[],
  k: number,
  impactScale: number,
  options: ScanOptions,
): number {
  let found = 0;
  let total = 0;
  for (const { query, wanted, threshold } of truth) {
    total += wanted;
    const reached = (threshold * impactScale) / queries[query]!.scale;
    for (const { score } of searcher.rankVector(queries[query]!, k, options))
      if (score >= reached * (1 - 1e-9)) found++;
  }
  return total === 0 ? 1 : found / total;
}
