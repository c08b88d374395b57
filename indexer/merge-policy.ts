import type { SegmentRef } from './manifest.ts';

/** Segments of one size tier that are merged together: fewer mean less read work, more mean less rewriting. */
export const MERGE_FACTOR = 8;
/** Sizes of neighbouring tiers differ by this factor; the smallest tier ends at MERGE_FACTOR * SMALLEST documents. */
const SMALLEST = 64;
/** A segment with more dead than this share of its documents is rewritten on its own. */
const MAX_DELETED = 0.4;

/**
 * Chooses what to merge next, in the manner of Lucene's log merge policy: eight segments of one tier become one of the
 * next, so that a document is rewritten about log8(N / 64) times.
 *
 * @returns segments to merge, oldest first; empty when the index is in shape
 */
export function chooseMerge(segments: readonly SegmentRef[]): readonly SegmentRef[] {
  const tiers = new Map<number, SegmentRef[]>();
  for (const segment of segments) {
    const live = segment.numDocs - segment.numDeleted;
    if (segment.numDocs > SMALLEST && segment.numDeleted > segment.numDocs * MAX_DELETED) return [segment];
    const tier = Math.max(0, Math.floor(Math.log(live / SMALLEST) / Math.log(MERGE_FACTOR)));
    const members = tiers.get(tier) ?? [];
    members.push(segment);
    tiers.set(tier, members);
    if (members.length === MERGE_FACTOR) return members;
  }
  return [];
}
