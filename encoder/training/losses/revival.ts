/**
 * Keeps a query's own terms on in its relevant passage, since a term that is off has no gradient: softplus(-2 x) / 2 is about -x below
 * zero and vanishes above, so it never raises a term that is on.
 *
 * @param logits largest logit of each term of the query in the passage
 * @param importance weight of each term in the query
 * @returns the mean over the terms, by importance, and its gradient by each logit
 */
export function revival(
  logits: ArrayLike<number>,
  importance: ArrayLike<number>,
): { readonly loss: number; readonly gradients: Float64Array } {
  const mass = Array.from(importance).reduce((sum, weight) => sum + weight, 0) || 1;
  let loss = 0;
  const gradients = Float64Array.from(logits, (logit, i) => {
    const share = importance[i]! / mass;
    // softplus without overflow.
    const x = -2 * logit;
    loss += (share * (Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))))) / 2;
    return -share / (1 + Math.exp(-x));
  });
  return { loss, gradients };
}
