import type { PostingLists } from '../indexer/posting-lists.ts';
import { NOT_DENSE } from '../indexer/posting-lists.ts';
import type { Segment } from '../indexer/segment.ts';
import { type Accept, acceptedDocs, accepts, countAccepted } from './accept.ts';
import { type Deadline, NO_DEADLINE } from './deadline.ts';
import type { ImpactQuery } from './impact-query.ts';
import { type RankedDocs, TopK } from './top-k.ts';

/** Documents scored at a time: 8,192 u32 accumulators stay in the first-level cache. */
export const WINDOW_DOCS = 8192;

/** Documents scored one by one between two looks at the clock. */
const FORWARD_STEP = 1024;

/** A query term that occurs in a segment: its posting list and integer weight. */
export interface QueryList {
  readonly list: number;
  readonly weight: number;
}

/**
 * Scores of one segment by windowed term-at-a-time scoring: for each window of documents, adds every list's contributions to
 * integer accumulators, then visits the accepted documents that reach a threshold.
 *
 * @param scores scratch of at least {@link WINDOW_DOCS} zeros; left zeroed
 * @param visit returns the score that documents visited from then on must reach
 * @returns false when the deadline passed first, after a window at least
 */
export function eachScore(
  impacts: PostingLists,
  lists: readonly QueryList[],
  accept: Accept,
  scores: Uint32Array,
  deadline: Deadline,
  visit: (score: number, docId: number) => number,
): boolean {
  const cursors = lists.map(() => 0);
  let threshold = 0;
  for (let start = 0; start < impacts.numDocs; start += WINDOW_DOCS) {
    if (start > 0 && deadline.isPast) return false;
    const end = Math.min(start + WINDOW_DOCS, impacts.numDocs);
    for (let i = 0; i < lists.length; i++)
      cursors[i] = addWindow(impacts, lists[i]!, start, end, cursors[i]!, scores);
    for (let docId = start; docId < end; docId++) {
      const score = scores[docId - start]!;
      if (score === 0) continue;
      scores[docId - start] = 0;
      if (score >= threshold && accepts(accept, docId)) threshold = visit(score, docId);
    }
  }
  return true;
}

/**
 * Exact top-k of one segment: the specification of the search kernels, their fallback and their test oracle.
 *
 * @param scores scratch as of {@link eachScore}
 * @returns false when the deadline passed first
 */
export function exactScan(
  { impacts, ranks }: Pick<Segment, 'impacts' | 'ranks'>,
  lists: readonly QueryList[],
  accept: Accept,
  top: TopK,
  scores: Uint32Array,
  deadline: Deadline = NO_DEADLINE,
): boolean {
  return eachScore(impacts, lists, accept, scores, deadline, (score, docId) => {
    top.offer(score, ranks[docId]!, docId);
    return top.threshold;
  });
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
  deadline: Deadline,
): RankedDocs & { readonly complete: boolean } {
  const top = new TopK(Math.min(k, segment.numDocs));
  const { ranks } = segment;
  query.termIds.forEach((termId, i) => {
    weights[termId] = query.weights[i]!;
  });
  const accepted = acceptedDocs(accept);
  const { offsets, lists, values } = segment.forwardOf(accepted);
  let complete = true;
  for (let i = 0; i < accepted.length; i++) {
    if (i > 0 && i % FORWARD_STEP === 0 && deadline.isPast) {
      complete = false;
      break;
    }
    const docId = accepted[i]!;
    const end = offsets[docId + 1]!;
    let score = 0;
    for (let p = offsets[docId]!; p < end; p++) score += weights[lists[p]!]! * values[p]!;
    if (score > 0 && score >= top.threshold) top.offer(score, ranks[docId]!, docId);
  }
  for (const termId of query.termIds) weights[termId] = 0;
  return { ...top.sorted(), complete };
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
