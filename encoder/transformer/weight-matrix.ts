import {
  type Arena,
  type ArenaLayout,
  type Block4Matrix,
  countBlocks4,
  fillBlock4Matrix,
  fillInt8Matrix,
  fillN16Matrix,
  type Int8Matrix,
  type Int8Rows,
  type KernelLibrary,
  type Kernels,
  type N16Matrix,
  type QuantizedRows,
  reserveBlock4Matrix,
  reserveInt8Matrix,
  reserveN16Matrix,
} from '../../kernels/index.ts';
import type { SparsePattern } from './sparse-storage.ts';

/**
 * The weights of one product in the arena. This file is the only one that knows the formats: a further one is a member
 * here, a choice in {@link planWeightMatrix} and a kernel in {@link multiply}.
 */
export type WeightMatrix = {
  /** The pattern of the zeros, whichever kernel computes them. */
  readonly pattern: SparsePattern | undefined;
} & (
  | { readonly format: 'int8'; readonly matrix: Int8Matrix }
  /** At most 4 or 8 of every 16 consecutive inputs are not 0. */
  | { readonly format: 'n16'; readonly matrix: N16Matrix }
  /** Blocks of 4 consecutive inputs of an output. */
  | { readonly format: 'block4'; readonly matrix: Block4Matrix }
);

/**
 * Reserves a matrix for the fastest kernel of the library that its pattern allows. All kernels give the same bits.
 *
 * @param rows the weights, stacked
 * @param pattern what their zeros follow; undefined: dense
 * @param skipsZeros which kernels for sparse weights are faster than the dense one here
 * @returns the handle, and `fill`, which copies the weights once the arena exists
 */
export function planWeightMatrix(
  layout: ArenaLayout,
  rows: Int8Rows,
  pattern: SparsePattern | undefined,
  skipsZeros: KernelLibrary['skipsZeros'],
): { readonly weights: WeightMatrix; readonly fill: (arena: Arena) => void } {
  const outputs = rows.scales.length;
  const inputs = rows.data.length / outputs;
  if (pattern === '4x1' && skipsZeros.block4) {
    const matrix = reserveBlock4Matrix(layout, outputs, inputs, countBlocks4(rows.data, outputs, inputs));
    return {
      weights: { pattern, format: 'block4', matrix },
      fill: (arena) => fillBlock4Matrix(arena, matrix, rows),
    };
  }
  if ((pattern === '4:16' || pattern === '8:16') && skipsZeros.n16) {
    const matrix = reserveN16Matrix(layout, outputs, inputs, pattern === '4:16' ? 1 : 2);
    return {
      weights: { pattern, format: 'n16', matrix },
      fill: (arena) => fillN16Matrix(arena, matrix, rows),
    };
  }
  const matrix = reserveInt8Matrix(layout, outputs, inputs);
  return {
    weights: { pattern, format: 'int8', matrix },
    fill: (arena) => fillInt8Matrix(arena, matrix, [rows]),
  };
}

/**
 * out[rows][outStride] f32 = input rows times weights, plus bias, with the kernel of the format.
 *
 * @param call.scratch block4ScratchBytes(inputs) bytes, which 4x1 blocks need
 */
export function multiply(
  kernels: Kernels,
  call: {
    readonly input: QuantizedRows;
    readonly firstRow?: number;
    readonly rows: number;
    readonly weights: WeightMatrix;
    readonly out: number;
    readonly outStride?: number;
    readonly scratch: number;
  },
): void {
  const { weights, scratch, ...rest } = call;
  if (weights.format === 'block4') kernels.sparse.gemmBlock4({ ...rest, weights: weights.matrix, scratch });
  else if (weights.format === 'n16') kernels.sparse.gemmN16({ ...rest, weights: weights.matrix });
  else kernels.dense.gemmInt8({ ...rest, weights: weights.matrix });
}
