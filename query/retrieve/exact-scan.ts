import type { PostingLists } from '../../indexer/postings/posting-list-reader.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import { CHUNK_BITS, CHUNK_DOCS, NOT_DENSE, WINDOW_DOCS } from '../../kernels/search/layout.ts';
import { type Deadline, NO_DEADLINE } from '../deadline.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import { type AcceptBits, acceptedDocs, accepts, countAccepted } from './accept-bits.ts';
import { type SegmentTopDocs, TopK } from './top-k.ts';

/** Documents scored one by one between two checks of the deadline. */
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
 * @param visit called with each document and its score; returns the score that later documents must reach to be visited
 * @returns false when the deadline passed first; at least one window was scored
 */
export function forEachScore(
  impacts: PostingLists,
  lists: readonly QueryList[],
  acceptBits: AcceptBits,
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
      if (score >= threshold && accepts(acceptBits, docId)) threshold = visit(score, docId);
    }
  }
  return true;
}

/**
 * Exact top-k of one segment: the specification of the search kernels, their fallback and their test oracle.
 *
 * @param scores scratch as of {@link forEachScore}
 * @returns false when the deadline passed first
 */
export function exactScan(
  { impacts, idRanks }: Pick<Segment, 'impacts' | 'idRanks'>,
  lists: readonly QueryList[],
  acceptBits: AcceptBits,
  top: TopK,
  scores: Uint32Array,
  deadline: Deadline = NO_DEADLINE,
): boolean {
  return forEachScore(impacts, lists, acceptBits, scores, deadline, (score, docId) => {
    top.offer(score, idRanks[docId]!, docId);
    return top.threshold;
  });
}

/** Adds one list's postings in [start, end). @returns the posting to continue from in the next window */
function addWindow(
  impacts: PostingLists,
  { list, weight }: QueryList,
  start: number,
  end: number,
  cursor: number,
  scores: Uint32Array,
): number {
  const { localIds, values, starts, columns, numChunks } = impacts;
  const denseColumn = impacts.denseColumnOf[list]!;
  if (denseColumn !== NOT_DENSE) {
    const column = denseColumn * impacts.columnStride + start;
    for (let i = 0; i < end - start; i++) scores[i]! += weight * columns[column + i]!;
    return 0;
  }
  // Windows divide chunks, so a window never straddles two of them.
  const listChunk = list * numChunks + (start >>> CHUNK_BITS);
  const local = start & (CHUNK_DOCS - 1);
  const stop = local + (end - start);
  const last = starts[listChunk + 1]!;
  let p = local === 0 ? starts[listChunk]! : cursor;
  for (; p < last && localIds[p]! < stop; p++) scores[localIds[p]! - local]! += weight * values[p]!;
  return p;
}

/**
 * Exact top-k among few accepted documents. Their forward vectors are scored; no posting is read.
 *
 * @param weights scratch by termId: one zero per vocabulary entry; left zeroed
 */
export function scoreAcceptedDocs(
  segment: Segment,
  query: QuantizedQuery,
  acceptBits: Uint8Array,
  k: number,
  weights: Uint16Array,
  deadline: Deadline,
): SegmentTopDocs {
  const top = new TopK(Math.min(k, segment.numDocs));
  const { idRanks } = segment;
  query.termIds.forEach((termId, i) => {
    weights[termId] = query.weights[i]!;
  });
  const accepted = acceptedDocs(acceptBits);
  const { rowOffsets, columnIds, values } = segment.forwardMatrixOf(accepted);
  let complete = true;
  for (let i = 0; i < accepted.length; i++) {
    if (i > 0 && i % FORWARD_STEP === 0 && deadline.isPast) {
      complete = false;
      break;
    }
    const docId = accepted[i]!;
    const end = rowOffsets[docId + 1]!;
    let score = 0;
    for (let p = rowOffsets[docId]!; p < end; p++) score += weights[columnIds[p]!]! * values[p]!;
    if (score > 0 && score >= top.threshold) top.offer(score, idRanks[docId]!, docId);
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

/** Whether scoring the accepted documents one by one reads fewer entries than scanning the query's lists. */
export function prefersForwardIndex(
  segment: Segment,
  lists: readonly QueryList[],
  acceptBits: AcceptBits,
): acceptBits is Uint8Array {
  if (!acceptBits) return false;
  const postings = lists.reduce((sum, { list }) => sum + segment.impacts.documentFrequency(list), 0);
  return countAccepted(acceptBits) * (segment.numPostings / segment.numDocs) < postings;
}
