import type { PostingLists } from '../indexer/posting-lists.ts';
import type { Segment } from '../indexer/segment.ts';
import { type PostingSearch, postingSearch } from '../kernels/posting-search.ts';
import type { Accept } from './accept.ts';
import type { Deadline } from './deadline.ts';
import { exactScan, type QueryList } from './exact-scan.ts';
import type { ImpactQuery } from './impact-query.ts';
import { NO_DOCS, type RankedDocs, TopK } from './top-k.ts';

/** Segments with at least this many documents are searched with pruning when the choice is left to the engine. */
export const PRUNED_FROM_DOCS = 262_144;

/** The lists of a segment that a query touches, each checked before its first use. */
export function queryLists(segment: Segment, query: ImpactQuery): QueryList[] {
  const found: QueryList[] = [];
  const { impacts } = segment;
  const { termIds, weights } = query;
  for (let i = 0; i < termIds.length; i++) {
    const list = segment.listOfTerm(termIds[i]!);
    if (list < 0) continue;
    impacts.verify(list);
    found.push({ list, weight: weights[i]! });
  }
  return found;
}

/** The native or WebAssembly search of a segment, made when first needed; undefined where only TypeScript runs. */
const kernels = new WeakMap<PostingLists, { search: PostingSearch | undefined }>();

export interface SegmentHits extends RankedDocs {
  /** False when the time budget ran out first. */
  readonly complete: boolean;
}

/** A search of one segment. */
export interface SegmentSearch {
  readonly lists: readonly QueryList[];
  readonly accept: Accept;
  readonly k: number;
  /** A score that is known to be reached by k hits, here or in other segments; 0 when none is. */
  readonly threshold: number;
  /** Given: only blocks that can hold a hit, where the segment keeps block maxima (alpha of `Pruning`). */
  readonly alpha: number | undefined;
  readonly deadline: Deadline;
  /** Scratch of {@link exactScan}. */
  readonly scores: Uint32Array;
}

/** Postings that a kernel scores in a microsecond on a slow machine; fast ones do ten times as many. */
const POSTINGS_PER_US = 200;

/**
 * Top-k of one segment by the fastest backend: exhaustive, equal to {@link exactScan} in every bit, unless pruning is asked
 * for, the segment keeps block maxima and a kernel can use them. A scan whose end the deadline may not see is done in windows.
 */
export function searchSegment(
  segment: Segment,
  { lists, accept, k, threshold, alpha, deadline, scores }: SegmentSearch,
): SegmentHits {
  if (lists.length === 0) return { ...NO_DOCS, complete: true };
  const { impacts, maxima } = segment;
  let kernel = kernels.get(impacts);
  if (!kernel) {
    const block = { ...impacts.block, ranks: segment.ranks };
    kernel = { search: postingSearch(maxima ? { ...block, maxima: maxima.block } : block) };
    kernels.set(impacts, kernel);
  }
  const prunes = alpha !== undefined && maxima !== undefined;
  const inTime = prunes || deadline.affords(countPostings(impacts, lists) / POSTINGS_PER_US);
  if (!kernel.search || !inTime) {
    const top = new TopK(Math.min(k, segment.numDocs));
    const complete = exactScan(segment, lists, accept, top, scores, deadline);
    return { ...top.sorted(), complete };
  }
  if (prunes) for (const { list } of lists) maxima.verify(list);
  const query = new Uint32Array(2 * lists.length);
  for (let i = 0; i < lists.length; i++) {
    query[i] = lists[i]!.list;
    query[lists.length + i] = lists[i]!.weight;
  }
  return kernel.search(
    query,
    accept,
    k,
    threshold,
    prunes ? { alpha, budgetUs: budgetOf(deadline) } : undefined,
  );
}

/** For a kernel, to which 0 means none: a budget that is used up still lets it answer that it is. */
const budgetOf = ({ remainingUs }: Deadline): number =>
  remainingUs === Number.POSITIVE_INFINITY ? 0 : Math.max(1, remainingUs);

export const countPostings = (lists: PostingLists, wanted: readonly { readonly list: number }[]): number =>
  wanted.reduce((sum, { list }) => sum + lists.documentFrequency(list), 0);

/**
 * A score that the k-th best document reaches for certain: of some list alone, k documents do. It spares the scan the many
 * candidates of its first windows. Holds only while no document is filtered out.
 */
export function sureThreshold(impacts: PostingLists, lists: readonly QueryList[], k: number): number {
  let threshold = 0;
  for (const { list, weight } of lists) threshold = Math.max(threshold, weight * impacts.kthValue(list, k));
  return threshold;
}
