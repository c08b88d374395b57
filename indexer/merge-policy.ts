import type { SegmentRef } from './manifest.ts';

/** Segments of one size tier that are merged together: fewer mean less read work, more mean less rewriting. */
export const MERGE_FACTOR = 8;
/** Sizes of neighbouring tiers differ by this factor; the smallest tier ends at MERGE_FACTOR * SMALLEST documents. */
const SMALLEST = 64;
/** A segment with more dead than this share of its documents is rewritten on its own. */
const MAX_DELETED = 0.4;

/**
 * No merge makes a segment of more bytes or documents, so that its memory and its room on disk are bounded: the parts
 * of 2^28 postings are some 2 GiB. A larger index has several such segments.
 */
export const MAX_SEGMENT_BYTES = 2 ** 31;
export const MAX_SEGMENT_DOCUMENTS = 2 ** 22;

/** A segment as the policy sees it. */
export interface MergeCandidate extends SegmentRef {
  /** Of all its parts. */
  readonly numBytes: number;
}

/**
 * Chooses what to merge next, in the manner of Lucene's log merge policy: eight segments of one tier become one of the
 * next, so that a document is rewritten about log8(N / 64) times.
 *
 * @returns segments to merge, oldest first; empty when the index is in shape
 */
export function chooseMerge(segments: readonly MergeCandidate[]): readonly MergeCandidate[] {
  const tiers = new Map<number, MergeCandidate[]>();
  for (const segment of segments) {
    const live = segment.numDocs - segment.numDeleted;
    if (segment.numDocs > SMALLEST && segment.numDeleted > segment.numDocs * MAX_DELETED) return [segment];
    const tier = Math.max(0, Math.floor(Math.log(live / SMALLEST) / Math.log(MERGE_FACTOR)));
    const members = tiers.get(tier) ?? [];
    members.push(segment);
    tiers.set(tier, members);
    if (members.length < MERGE_FACTOR) continue;
    if (fitsOneSegment(members)) return members;
    members.shift(); // too large together: perhaps with a smaller one that comes later
  }
  return [];
}

/** Cuts all segments into runs that fit one segment each and are worth rewriting: several, or one with dead documents. */
export function chooseAll(segments: readonly MergeCandidate[]): readonly (readonly MergeCandidate[])[] {
  const runs: MergeCandidate[][] = [];
  for (const segment of segments) {
    const run = runs.at(-1);
    if (run && fitsOneSegment([...run, segment])) run.push(segment);
    else runs.push([segment]);
  }
  return runs.filter((run) => run.length > 1 || run[0]!.numDeleted > 0);
}

function fitsOneSegment(segments: readonly MergeCandidate[]): boolean {
  let bytes = 0;
  let documents = 0;
  for (const { numBytes, numDocs, numDeleted } of segments) {
    const live = numDocs - numDeleted;
    bytes += numDocs === 0 ? 0 : numBytes * (live / numDocs);
    documents += live;
  }
  return bytes <= MAX_SEGMENT_BYTES && documents <= MAX_SEGMENT_DOCUMENTS;
}
