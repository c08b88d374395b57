import { readFileSync } from 'node:fs';
import { WinnowError } from '../errors.ts';
import { decodeWeights, type Tensor } from './transformer/weights-file.ts';
import { normalized } from './vector-output.ts';

/** File of a model folder that holds the table: a weights file with one int8 tensor. */
export const TOKEN_VECTORS_FILE = 'token-vectors.winnow';
/** Name of the tensor in it. */
export const TOKEN_VECTORS = 'token_vectors.weight';

/**
 * A vector per vocabulary entry. A query's vector is the sum of those of its tokens, each times the token's weight, scaled to length
 * 1, so that no model runs at query time.
 */
export class TokenVectors {
  private readonly table: Extract<Tensor, { dtype: 'i8' }>;

  private constructor(table: Extract<Tensor, { dtype: 'i8' }>) {
    this.table = table;
  }

  /**
   * @param size numbers per vector
   * @throws WinnowError WINNOW_MODEL_INVALID for a damaged file or a table of another shape
   */
  static read(path: string, vocabulary: number, size: number): TokenVectors {
    const table = decodeWeights(readFileSync(path), path).get(TOKEN_VECTORS);
    if (table?.dtype !== 'i8' || table.shape[0] !== vocabulary || table.shape[1] !== size)
      throw new WinnowError(
        'WINNOW_MODEL_INVALID',
        `the table of token vectors is ${table ? `${table.dtype}[${table.shape}]` : 'missing'}, not i8[${vocabulary},${size}]`,
        { place: path, hint: 'restore the model folder or convert the model again' },
      );
    return new TokenVectors(table);
  }

  /**
   * @param termIds tokens of a query
   * @param weights of the tokens, on any common scale
   */
  queryVector(termIds: ArrayLike<number>, weights: ArrayLike<number>): Float32Array {
    const { data, scales, shape } = this.table;
    const sum = new Float64Array(shape[1]);
    for (let i = 0; i < termIds.length; i++) {
      const factor = weights[i]! * scales[termIds[i]!]!;
      const at = termIds[i]! * sum.length;
      for (let j = 0; j < sum.length; j++) sum[j]! += factor * data[at + j]!;
    }
    return normalized(sum);
  }
}
