import type { PostingLists } from '../../indexer/postings/posting-list-reader.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import { postingSearch } from '../../kernels/search/posting-search.ts';
import type { PostingSearch } from '../../kernels/search/search-types.ts';
import type { Deadline } from '../deadline.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import type { AcceptBits } from './accept-bits.ts';
import { exactScan, type QueryList } from './exact-scan.ts';
import { NO_DOCS, type SegmentTopDocs, TopK } from './top-k.ts';

/** Segments with at least this many documents are searched with pruning when the choice is left to the engine. */
export const PRUNED_FROM_DOCS = 262_144;

/** The lists of a segment that a query touches, each checked before its first use. */
export function queryLists(segment: Segment, query: QuantizedQuery): QueryList[] {
  const found: QueryList[] = [];
  const { impacts } = segment;
  const { termIds, weights } = query;
  for (let i = 0; i < termIds.length; i++) {
    const list = segment.listIdOfTerm(termIds[i]!);
    if (list < 0) continue;
    impacts.verify(list);
    found.push({ list, weight: weights[i]! });
  }
  return found;
}

/** The native or WebAssembly search of each segment, made when first needed; undefined where only TypeScript runs. */
const kernels = new WeakMap<PostingLists, { search: PostingSearch | undefined }>();

/** A search of one segment. */
export interface SegmentSearch {
  readonly lists: readonly QueryList[];
  readonly acceptBits: AcceptBits;
  readonly k: number;
  /** Lower bound on the k-th best score of the whole index; 0 when none is known. */
  readonly threshold: number;
  /** Scan only blocks that can hold a hit, where the segment has block maxima (`SearchOptions.alpha`). Undefined: scan everything. */
  readonly alpha: number | undefined;
  readonly deadline: Deadline;
  /** Scratch of {@link exactScan}. */
  readonly scores: Uint32Array;
}

/**
 * Top-k of one segment by the fastest backend, equal to {@link exactScan} in every bit. With `alpha`, segments that have block
 * maxima are pruned instead of scanned.
 */
export function searchSegment(
  segment: Segment,
  { lists, acceptBits, k, threshold, alpha, deadline, scores }: SegmentSearch,
): SegmentTopDocs {
  if (lists.length === 0) return NO_DOCS;
  const { impacts, blockMaxIndex } = segment;
  let kernel = kernels.get(impacts);
  if (!kernel) {
    const block = { ...impacts.block, ranks: segment.idRanks };
    kernel = { search: postingSearch(blockMaxIndex ? { ...block, maxima: blockMaxIndex.block } : block) };
    kernels.set(impacts, kernel);
  }
  const prunes = alpha !== undefined && blockMaxIndex !== undefined;
  if (!kernel.search) {
    const top = new TopK(Math.min(k, segment.numDocs));
    const complete = exactScan(segment, lists, acceptBits, top, scores, deadline);
    return { ...top.sorted(), complete };
  }
  if (prunes) for (const { list } of lists) blockMaxIndex.verify(list);
  const query = new Uint32Array(2 * lists.length);
  for (let i = 0; i < lists.length; i++) {
    query[i] = lists[i]!.list;
    query[lists.length + i] = lists[i]!.weight;
  }
  return kernel.search(query, acceptBits, k, threshold, {
    alpha: prunes ? alpha : undefined,
    budgetUs: deadline.kernelBudgetUs,
  });
}

export const countPostings = (lists: PostingLists, wanted: readonly { readonly list: number }[]): number =>
  wanted.reduce((sum, { list }) => sum + lists.documentFrequency(list), 0);

/**
 * Lower bound on the k-th best score: some single list holds k documents that reach it. Starting from it keeps the many
 * candidates of the first windows out of the heap. Valid only where no document is filtered out.
 */
export function initialThreshold(impacts: PostingLists, lists: readonly QueryList[], k: number): number {
  let threshold = 0;
  for (const { list, weight } of lists) threshold = Math.max(threshold, weight * impacts.kthValue(list, k));
  return threshold;
}
