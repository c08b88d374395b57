// D passages, each with the activations of its terms.

/** The terms of a passage that are on. */
export interface PassageActivations {
  readonly terms: ArrayLike<number>;
  readonly activations: ArrayLike<number>;
}

/**
 * FLOPS: the sum over terms of (mean activation over the passages)^2 (Geng et al., arXiv 2411.04403, Eq 3). It leaves out the idf on
 * purpose (Eq 6): every term costs the same, while a rare one gains more in the score.
 *
 * @param l0 passages with at most so many terms do not count, neither in the mean nor for the gradient (arXiv 2504.14839)
 * @returns the penalty, and its gradient by each activation
 */
export function flops(
  passages: readonly PassageActivations[],
  vocabulary: number,
  l0?: number,
): { readonly penalty: number; readonly gradients: readonly Float64Array[] } {
  const means = new Float64Array(vocabulary);
  const share = 1 / Math.max(1, passages.length);
  const counts = ({ activations }: PassageActivations) =>
    l0 === undefined || Array.from(activations).filter((value) => value > 0).length > l0;
  const isCounted = passages.map(counts);
  passages.forEach(({ terms, activations }, d) => {
    if (!isCounted[d]) return;
    for (let i = 0; i < terms.length; i++) means[terms[i]!]! += share * activations[i]!;
  });
  return {
    penalty: means.reduce((sum, mean) => sum + mean * mean, 0),
    gradients: passages.map(({ terms }, d) =>
      Float64Array.from(terms, (term) => (isCounted[d] ? 2 * share * means[term]! : 0)),
    ),
  };
}
