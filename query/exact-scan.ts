import type { PostingLists } from '../indexer/posting-lists.ts';
import { NOT_DENSE } from '../indexer/posting-lists.ts';
import type { Segment } from '../indexer/segment.ts';
import { type PostingSearch, postingSearch } from '../kernels/posting-search.ts';
import { type Accept, accepts, countAccepted, forEachAccepted } from './accept.ts';
import type { ImpactQuery } from './impact-query.ts';
import { NO_DOCS, type RankedDocs, TopK } from './top-k.ts';

/** Documents scored at a time: 8,192 u32 accumulators stay in the first-level cache. */
export const WINDOW_DOCS = 8192;

/** A query term that occurs in a segment: its posting list and integer weight. */
export interface QueryList {
  readonly list: number;
  readonly weight: number;
}

/** The lists of a segment that a query touches, each checked before its first use. */
export function queryLists(segment: Segment, query: ImpactQuery): QueryList[] {
  const found: QueryList[] = [];
  query.termIds.forEach((termId, i) => {
    const list = segment.listOfTerm(termId);
    if (list < 0) return;
    segment.impacts.verify(list);
    found.push({ list, weight: query.weights[i]! });
  });
  return found;
}

/** The native or WebAssembly search of a segment, made when first needed; undefined where only TypeScript runs. */
const kernels = new WeakMap<PostingLists, { search: PostingSearch | undefined }>();

/**
 * Exact top-k of one segment by the fastest backend; equal to {@link exactScan} in every bit.
 *
 * @param scores scratch of {@link exactScan}
 */
export function exactSearch(
  segment: Segment,
  lists: readonly QueryList[],
  accept: Accept,
  k: number,
  scores: Uint32Array,
): RankedDocs {
  if (lists.length === 0) return NO_DOCS;
  const { impacts } = segment;
  let kernel = kernels.get(impacts);
  if (!kernel) {
    kernel = { search: postingSearch({ ...impacts.block, ranks: segment.ranks }) };
    kernels.set(impacts, kernel);
  }
  if (!kernel.search) {
    const top = new TopK(Math.min(k, segment.numDocs));
    exactScan(segment, lists, accept, top, scores);
    return top.sorted();
  }
  const query = new Uint32Array(2 * lists.length);
  for (let i = 0; i < lists.length; i++) {
    query[i] = lists[i]!.list;
    query[lists.length + i] = lists[i]!.weight;
  }
  return kernel.search(query, accept, k, accept ? 0 : sureThreshold(impacts, lists, k));
}

/**
 * A score that the k-th best document reaches for certain: of some list alone, k documents do. It spares the scan the many
 * candidates of its first windows. Holds only while no document is filtered out.
 */
function sureThreshold(impacts: PostingLists, lists: readonly QueryList[], k: number): number {
  let threshold = 0;
  for (const { list, weight } of lists) threshold = Math.max(threshold, weight * impacts.kthValue(list, k));
  return threshold;
}

/**
 * Exact top-k of one segment by windowed term-at-a-time scoring: for each window of documents, add every list's
 * contributions to integer accumulators, then offer the documents that reach the threshold.
 *
 * This is the specification of the search kernels, their fallback and their test oracle; `scores` is scratch of at
 * least {@link WINDOW_DOCS} zeros and is left zeroed.
 */
export function exactScan(
  segment: Pick<Segment, 'impacts' | 'ranks'>,
  lists: readonly QueryList[],
  accept: Accept,
  top: TopK,
  scores: Uint32Array,
): void {
  const { impacts, ranks } = segment;
  const cursors = lists.map(() => 0);
  for (let start = 0; start < impacts.numDocs; start += WINDOW_DOCS) {
    const end = Math.min(start + WINDOW_DOCS, impacts.numDocs);
    for (let i = 0; i < lists.length; i++)
      cursors[i] = addWindow(impacts, lists[i]!, start, end, cursors[i]!, scores);
    for (let docId = start; docId < end; docId++) {
      const score = scores[docId - start]!;
      if (score === 0) continue;
      scores[docId - start] = 0;
      if (score >= top.threshold && accepts(accept, docId)) top.offer(score, ranks[docId]!, docId);
    }
  }
}

/** Adds one list's postings in [start, end); returns the posting to continue from in the next window. */
function addWindow(
  impacts: PostingLists,
  { list, weight }: QueryList,
  start: number,
  end: number,
  cursor: number,
  scores: Uint32Array,
): number {
  const { localIds, values, starts, columns, numChunks } = impacts;
  const slot = impacts.denseSlots[list]!;
  if (slot !== NOT_DENSE) {
    const column = slot * impacts.columnStride + start;
    for (let i = 0; i < end - start; i++) scores[i]! += weight * columns[column + i]!;
    return 0;
  }
  // Windows divide chunks, so a window never straddles two of them.
  const cell = list * numChunks + (start >>> 16);
  const local = start & 0xffff;
  const stop = local + (end - start);
  const last = starts[cell + 1]!;
  let p = local === 0 ? starts[cell]! : cursor;
  for (; p < last && localIds[p]! < stop; p++) scores[localIds[p]! - local]! += weight * values[p]!;
  return p;
}

/**
 * Exact top-k among few accepted documents: their forward vectors are scored, no posting is touched.
 *
 * @param weights scratch of one zero a vocabulary entry; left zeroed
 */
export function exactForward(
  segment: Segment,
  query: ImpactQuery,
  accept: Uint8Array,
  k: number,
  weights: Uint16Array,
): RankedDocs {
  const top = new TopK(Math.min(k, segment.numDocs));
  const { ranks } = segment;
  query.termIds.forEach((termId, i) => {
    weights[termId] = query.weights[i]!;
  });
  forEachAccepted(accept, (docId) => {
    const score = forwardScore(segment, docId, weights);
    if (score > 0 && score >= top.threshold) top.offer(score, ranks[docId]!, docId);
  });
  for (const termId of query.termIds) weights[termId] = 0;
  return top.sorted();
}

/** Integer score of one document from its forward vector; `weights` is indexed by termId. */
export function forwardScore(segment: Segment, docId: number, weights: Uint16Array): number {
  const { termIds, impacts } = segment.vector(docId);
  let score = 0;
  for (let i = 0; i < termIds.length; i++) score += weights[termIds[i]!]! * impacts[i]!;
  return score;
}

/** Whether scoring the accepted documents one by one touches fewer entries than scanning the query's lists. */
export function forwardIsCheaper(
  segment: Segment,
  lists: readonly QueryList[],
  accept: Accept,
): accept is Uint8Array {
  if (!accept) return false;
  const postings = lists.reduce((sum, { list }) => sum + segment.impacts.documentFrequency(list), 0);
  return countAccepted(accept) * (segment.numPostings / segment.numDocs) < postings;
}
