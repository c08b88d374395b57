/** Values with mean 0 and standard deviation 1; 0 for those that are missing, and for all where they are equal. */
function standardised(values: readonly (number | undefined)[]): number[] {
  const known = values.filter((value) => value !== undefined);
  const count = Math.max(1, known.length);
  const mean = known.reduce((sum, value) => sum + value, 0) / count;
  const deviation = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
  return values.map((value) => (value !== undefined && deviation > 0 ? (value - mean) / deviation : 0));
}

/**
 * The scores of two rankings of the same documents, each standardised, as one.
 *
 * @param mix share of `own`, 0..1; `before` has the rest
 */
export function mixture(
  before: readonly (number | undefined)[],
  own: readonly (number | undefined)[],
  mix: number,
): number[] {
  const a = standardised(before);
  const b = standardised(own);
  return a.map((score, i) => (1 - mix) * score + mix * b[i]!);
}

export const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
