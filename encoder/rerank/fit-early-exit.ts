import { Matrix, solve } from 'ml-matrix';
import { WinnowError } from '../../errors.ts';

/** A linear function of the [CLS] row: H weights and a bias. */
export interface EarlyClassifier {
  readonly weights: Float32Array;
  readonly bias: number;
}

/** Added to the diagonal of the rows' second moments times their number; it only matters for few rows. */
const RIDGE = 1;

/**
 * The classifier of an early exit, by ridge regression of a model's logits on the [CLS] rows of an early layer.
 *
 * @param rows f32[H] of each pair, 2 or more
 * @param logits of the whole model, as many
 * @throws WinnowError WINNOW_BAD_ARGUMENT for fewer than two pairs
 */
export function fitEarlyClassifier(
  rows: readonly Float32Array[],
  logits: ArrayLike<number>,
): EarlyClassifier {
  if (rows.length < 2)
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'an early exit is fitted to two pairs or more', {
      place: 'pairs',
      hint: 'give data sets whose queries have hits',
    });
  const hidden = rows[0]!.length;
  const middle = new Float64Array(hidden);
  for (const row of rows) for (let k = 0; k < hidden; k++) middle[k]! += row[k]! / rows.length;
  let level = 0;
  for (let i = 0; i < rows.length; i++) level += logits[i]! / rows.length;
  const moments = Matrix.eye(hidden, hidden, RIDGE);
  const products = Matrix.zeros(hidden, 1);
  // In pieces: the rows of all pairs would be a second copy in f64.
  for (let from = 0; from < rows.length; from += 1024) {
    const piece = new Matrix(
      rows.slice(from, from + 1024).map((row) => Array.from(row, (value, k) => value - middle[k]!)),
    );
    const wanted = Matrix.columnVector(
      Array.from({ length: piece.rows }, (_, i) => logits[from + i]! - level),
    );
    const transposed = piece.transpose();
    moments.add(transposed.mmul(piece));
    products.add(transposed.mmul(wanted));
  }
  const weights = Float32Array.from(solve(moments, products).to1DArray());
  const shift = middle.reduce((sum, value, k) => sum + value * weights[k]!, 0);
  return { weights, bias: level - shift };
}
