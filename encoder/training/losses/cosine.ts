/**
 * The cosine of two vectors and its gradient by each. A vector of length 0 has cosine 0 and no gradient.
 */
export function cosine(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): { readonly value: number; readonly da: Float64Array; readonly db: Float64Array } {
  let [aa, bb, ab] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
    ab += a[i]! * b[i]!;
  }
  const lengths = Math.sqrt(aa) * Math.sqrt(bb);
  if (!(lengths > 0)) return { value: 0, da: new Float64Array(a.length), db: new Float64Array(b.length) };
  const value = ab / lengths;
  return {
    value,
    da: Float64Array.from(a, (x, i) => b[i]! / lengths - (value * x) / aa),
    db: Float64Array.from(b, (x, i) => a[i]! / lengths - (value * x) / bb),
  };
}
