/** A ranked document of one system, best first. */
export interface RankedId {
  readonly id: string;
  readonly score: number;
}

/** Constant of reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009). */
export const RRF_K = 60;

/** Reciprocal rank fusion: score(d) = sum over lists of weight / (60 + rank); ties by smaller id. */
export function reciprocalRankFusion(
  lists: readonly (readonly RankedId[])[],
  weights: readonly number[],
): RankedId[] {
  return fuse(lists, weights, (list) => list.map((_, i) => 1 / (RRF_K + i + 1)));
}

/**
 * Weighted sum of min-max normalised scores; a document missing from a list gets 0 there. A list whose scores are all
 * equal counts as 1 for each of its documents.
 */
export function weightedFusion(
  lists: readonly (readonly RankedId[])[],
  weights: readonly number[],
): RankedId[] {
  return fuse(lists, weights, (list) => {
    const high = list[0]?.score ?? 0;
    const low = list.at(-1)?.score ?? 0;
    return list.map(({ score }) => (high === low ? 1 : (score - low) / (high - low)));
  });
}

function fuse(
  lists: readonly (readonly RankedId[])[],
  weights: readonly number[],
  contributions: (list: readonly RankedId[]) => number[],
): RankedId[] {
  const scores = new Map<string, number>();
  lists.forEach((list, i) => {
    contributions(list).forEach((contribution, rank) => {
      const { id } = list[rank]!;
      scores.set(id, (scores.get(id) ?? 0) + weights[i]! * contribution);
    });
  });
  return [...scores]
    .map(([id, score]) => ({ id, score }))
    .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
}
