// BM25 and hybrid search over the texts of a benchmark's index.
import { bitmapFor, setBit } from '../indexer/format/bitmap.ts';
import type { IndexStore } from '../indexer/index-store.ts';
import { describeKernels } from '../kernels/index.ts';
import type { Filter, SearchOptions } from '../query/request.ts';
import { bm25Query, bm25Scan } from '../query/retrieve/bm25.ts';
import { TopK } from '../query/retrieve/top-k.ts';
import type { Searcher } from '../query/search/searcher.ts';
import { analyze } from '../query/text/english-analyzer.ts';
import type { EngineBenchRow } from './engine-row.ts';
import { latencies, time } from './latency.ts';
import { SHARES, shareOf } from './vector-index.ts';
import type { BenchVectors } from './vectors.ts';

const CHECKED_QUERIES = 20;
const FILTERED_SHARES = [0.5, 0.05, 0.001];

/** One row for BM25 and one for hybrid search, without and with filters. Recall is that against the scans without pruning. */
export function textRows(
  store: IndexStore,
  searcher: Searcher,
  queries: BenchVectors['queries'],
  k: number,
  passes: number,
): EngineBenchRow[] {
  const texts = queries.flatMap(({ text }) => (text === undefined ? [] : [text]));
  const step = Math.max(1, Math.floor(texts.length / CHECKED_QUERIES));
  const sample = texts.filter((_, i) => i % step === 0);
  return (['bm25', 'hybrid'] as const).flatMap((mode) =>
    [1, ...FILTERED_SHARES].map((share): EngineBenchRow => {
      const filter: Filter | undefined = share === 1 ? undefined : { share: { lt: share * SHARES } };
      const options: SearchOptions = filter ? { filter } : {};
      const ids = (text: string, more: SearchOptions = {}) =>
        searcher.rank(text, mode, k, { ...options, ...more }).map(({ id }) => id);
      const wanted = (text: string) =>
        mode === 'bm25' ? scannedIds(store, text, k, share) : ids(text, { scan: 'exact' });
      let found = 0;
      let total = 0;
      for (const text of sample) {
        const expected = new Set(wanted(text));
        total += expected.size;
        for (const id of ids(text)) if (expected.has(id)) found++;
      }
      return {
        mode: `${mode}${filter ? `, filter ${share * 100} %` : ''}`,
        backend: describeKernels().backend,
        k,
        ...latencies(time(texts.length, (i) => searcher.rank(texts[i]!, mode, k, options), passes)),
        recall10: total === 0 ? 1 : found / total,
        rssMB: process.memoryUsage().rss / 1e6,
      };
    }),
  );
}

/** The ids of the BM25 ranking by the scan that is the specification. */
function scannedIds(store: IndexStore, text: string, k: number, share: number): string[] {
  const generation = store.view();
  const query = bm25Query(generation, analyze(text));
  const found = generation.segments.flatMap(({ segment }) => {
    const lists = query.terms.flatMap(({ idf, lists }) => {
      const list = lists.get(segment);
      return list === undefined ? [] : [{ list, idf }];
    });
    const accept = bitmapFor(segment.numDocs);
    for (let docId = 0; docId < segment.numDocs; docId++)
      if (share === 1 || shareOf(Number(segment.id(docId))) < share * SHARES) setBit(accept, docId);
    const top = new TopK(k);
    bm25Scan(segment, lists, Float32Array.from(segment.lengths, query.norm), accept, top);
    const { count, docIds, scores } = top.sorted();
    return Array.from({ length: count }, (_, i) => ({ id: segment.id(docIds[i]!), score: scores[i]! }));
  });
  return found
    .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1))
    .slice(0, k)
    .map(({ id }) => id);
}
