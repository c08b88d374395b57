import type { SegmentRef } from '../format/manifest.ts';

/** A segment as a policy sees it. */
export interface MergeCandidate extends SegmentRef {
  /** Of all its parts. */
  readonly numBytes: number;
}

/** Segments that become one, oldest first. One segment alone is rewritten without its deleted documents. */
export type MergeRun = readonly MergeCandidate[];

/** Decides which segments to merge. Policies are pure: the same segments give the same merges. */
export interface MergePolicy {
  /**
   * Merges that are due, most urgent first; empty when the index is in shape. No segment is in two of them.
   *
   * @param segments oldest first, without those that are being merged already
   */
  findMerges(segments: readonly MergeCandidate[]): readonly MergeRun[];
  /** Merges that leave as few segments, and as few deleted documents, as the largest size of a segment allows. */
  findForcedMerges(segments: readonly MergeCandidate[]): readonly MergeRun[];
}

/** Segments of one size tier that are merged together: fewer mean less work per search, more mean less rewriting. */
export const MERGE_FACTOR = 8;
/** Sizes of neighbouring tiers differ by MERGE_FACTOR; the smallest tier ends at MERGE_FACTOR * SMALLEST documents. */
const SMALLEST = 64;
/** A segment in which more than this share of the documents is deleted is rewritten on its own. */
const MAX_DELETED = 0.4;

/**
 * No merge makes a segment of more bytes or documents, so that its memory and its space on disk are bounded: the parts
 * of 2^28 postings are some 2 GiB. A larger index has several such segments.
 */
const MAX_SEGMENT_BYTES = 2 ** 31;
const MAX_SEGMENT_DOCUMENTS = 2 ** 22;

/**
 * Merges in the manner of Lucene's LogMergePolicy: eight segments of one size tier become one of the next, so that a document
 * is rewritten about log8(N / 64) times in an index of N documents.
 */
export const logMergePolicy: MergePolicy = {
  findMerges(segments) {
    const merges: MergeRun[] = [];
    const tiers = new Map<number, MergeCandidate[]>();
    for (const segment of segments) {
      if (isMostlyDeleted(segment)) {
        merges.push([segment]);
        continue;
      }
      const tier = tierOf(segment);
      const members = tiers.get(tier) ?? [];
      members.push(segment);
      tiers.set(tier, members);
      if (members.length < MERGE_FACTOR) continue;
      if (fitsOneSegment(members)) {
        merges.push(members);
        tiers.delete(tier);
      } else {
        members.shift(); // too large together: perhaps with a smaller segment that comes later
      }
    }
    return merges;
  },

  findForcedMerges(segments) {
    const runs: MergeCandidate[][] = [];
    for (const segment of segments) {
      const run = runs.at(-1);
      if (run && fitsOneSegment([...run, segment])) run.push(segment);
      else runs.push([segment]);
    }
    return runs.filter((run) => run.length > 1 || run[0]!.numDeleted > 0);
  },
};

/** Merges only when forced: for bulk loads that end with a forced merge, and for tests that count segments. */
export const forcedMergesOnly: MergePolicy = {
  findMerges: () => [],
  findForcedMerges: logMergePolicy.findForcedMerges,
};

/** Merges of at most so many bytes, as {@link logMergePolicy} wants them, for a thread that leaves larger ones to another. */
export const smallMerges = (maxBytes: number): MergePolicy => ({
  findMerges: (segments) => logMergePolicy.findMerges(segments).filter((run) => sizeOfRun(run) <= maxBytes),
  findForcedMerges: () => [],
});

export const sizeOfRun = (run: MergeRun): number => run.reduce((sum, { numBytes }) => sum + numBytes, 0);

const numLive = ({ numDocs, numDeleted }: MergeCandidate): number => numDocs - numDeleted;

const isMostlyDeleted = ({ numDocs, numDeleted }: MergeCandidate): boolean =>
  numDocs > SMALLEST && numDeleted > numDocs * MAX_DELETED;

const tierOf = (segment: MergeCandidate): number =>
  Math.max(0, Math.floor(Math.log(numLive(segment) / SMALLEST) / Math.log(MERGE_FACTOR)));

function fitsOneSegment(segments: readonly MergeCandidate[]): boolean {
  let bytes = 0;
  let documents = 0;
  for (const segment of segments) {
    const live = numLive(segment);
    bytes += segment.numDocs === 0 ? 0 : segment.numBytes * (live / segment.numDocs);
    documents += live;
  }
  return bytes <= MAX_SEGMENT_BYTES && documents <= MAX_SEGMENT_DOCUMENTS;
}
