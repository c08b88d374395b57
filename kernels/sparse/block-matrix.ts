import { WinnowError } from '../../errors.ts';
import { type Int8Rows, MAX_INPUTS, MAX_OUTPUTS, padTo } from '../dense/int8-matrix.ts';
import { type Arena, type ArenaLayout, requireCount } from '../runtime/arena.ts';

/**
 * int8 weights in blocks of 4 consecutive inputs x 1 output. Blocks of output 0 come first, then of output 1, ...:
 * `counts` i32[N padded to 32] is the number of blocks per output, `indexes` u16 the input / 4 of each block, `blocks`
 * s8[4] its weights.
 */
export interface Block4Matrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly stride: number;
  readonly blockCount: number;
  readonly blocks: number;
  readonly indexes: number;
  readonly counts: number;
  readonly scales: number;
  readonly sums: number;
  readonly bias: number;
}

/** Tokens that the kernel transposes at a time, at most; sizes its scratch. */
const BLOCK_TOKENS = 64;

/** Bytes of scratch for a product of `inputs` inputs. */
export const block4ScratchBytes = (inputs: number): number => BLOCK_TOKENS * padTo(inputs, 16);

/** Blocks of 4 inputs x 1 output of a dense matrix that are not all 0. */
export function countBlocks4(data: Int8Array, outputs: number, inputs: number): number {
  let count = 0;
  eachBlock4(data, outputs, inputs, () => count++);
  return count;
}

function eachBlock4(
  data: Int8Array,
  outputs: number,
  inputs: number,
  visit: (output: number, index: number, weights: readonly number[]) => void,
): void {
  for (let n = 0; n < outputs; n++) {
    for (let q = 0; q * 4 < inputs; q++) {
      const weights = [0, 1, 2, 3].map((i) => (q * 4 + i < inputs ? data[n * inputs + q * 4 + i]! : 0));
      if (weights.some((weight) => weight !== 0)) visit(n, q, weights);
    }
  }
}

export function reserveBlock4Matrix(
  layout: ArenaLayout,
  outputs: number,
  inputs: number,
  blockCount: number,
): Block4Matrix {
  requireCount('outputs', outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', inputs, 1, MAX_INPUTS);
  const padded = padTo(outputs, 32);
  return {
    outputs,
    inputs,
    stride: padTo(inputs, 16),
    blockCount,
    blocks: layout.reserve(4 * blockCount),
    indexes: layout.reserve(2 * blockCount),
    counts: layout.reserve(4 * padded),
    scales: layout.reserve(4 * padded),
    sums: layout.reserve(4 * padded),
    bias: layout.reserve(4 * padded),
  };
}

/** Packs the blocks of a dense matrix that are not all 0. @throws WinnowError WINNOW_MODEL_INVALID for another shape */
export function fillBlock4Matrix(arena: Arena, matrix: Block4Matrix, { data, scales, bias }: Int8Rows): void {
  const { outputs, inputs, blockCount } = matrix;
  if (
    data.length !== outputs * inputs ||
    scales.length !== outputs ||
    countBlocks4(data, outputs, inputs) !== blockCount
  ) {
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      `weights are not ${outputs} x ${inputs} with ${blockCount} blocks`,
    );
  }
  const padded = padTo(outputs, 32);
  const counts = arena.ints(matrix.counts, padded).fill(0);
  const sums = arena.floats(matrix.sums, padded).fill(0);
  arena.floats(matrix.scales, padded).fill(0).set(scales);
  arena
    .floats(matrix.bias, padded)
    .fill(0)
    .set(bias ?? []);
  const indexes = arena.shorts(matrix.indexes, blockCount);
  const blocks = arena.bytes(matrix.blocks, 4 * blockCount);
  let at = 0;
  eachBlock4(data, outputs, inputs, (output, index, weights) => {
    blocks.set(
      weights.map((weight) => weight & 255),
      4 * at,
    );
    indexes[at++] = index;
    counts[output] = counts[output]! + 1;
    sums[output] = sums[output]! + weights.reduce((sum, weight) => sum + weight, 0);
  });
  checkBlock4Matrix(arena, matrix);
}

/** The dense rows of a packed matrix, zeros included. */
export function unpackBlock4Matrix(arena: Arena, matrix: Block4Matrix): Int8Rows {
  checkBlock4Matrix(arena, matrix);
  const { outputs, inputs, blockCount } = matrix;
  const data = new Int8Array(outputs * inputs);
  const counts = arena.ints(matrix.counts, outputs);
  const indexes = arena.shorts(matrix.indexes, blockCount);
  let at = 0;
  for (let n = 0; n < outputs; n++) {
    for (let left = counts[n]!; left > 0; left--, at++) {
      for (let i = 0; i < 4 && indexes[at]! * 4 + i < inputs; i++) {
        data[n * inputs + indexes[at]! * 4 + i] = arena.i8[matrix.blocks + 4 * at + i]!;
      }
    }
  }
  return {
    data,
    scales: arena.floats(matrix.scales, outputs).slice(),
    bias: arena.floats(matrix.bias, outputs).slice(),
  };
}

/** Bounds of the regions and of every count and index in them: a kernel follows both blindly. */
export function checkBlock4Matrix(arena: Arena, matrix: Block4Matrix): void {
  requireCount('outputs', matrix.outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', matrix.inputs, 1, MAX_INPUTS);
  requireCount('stride', matrix.stride, padTo(matrix.inputs, 16), padTo(matrix.inputs, 16));
  const padded = padTo(matrix.outputs, 32);
  arena.require('weights.blocks', matrix.blocks, 4 * matrix.blockCount, 4);
  arena.require('weights.scales', matrix.scales, 4 * padded, 4);
  arena.require('weights.sums', matrix.sums, 4 * padded, 4);
  arena.require('weights.bias', matrix.bias, 4 * padded, 4);
  const { blockCount } = matrix;
  requireCount('blockCount', blockCount, 0, 1 << 28);
  const counts = arena.ints(matrix.counts, matrix.outputs);
  const total = counts.reduce((sum, count) => (count < 0 ? Number.NaN : sum + count), 0);
  const outside = (index: number) => index >= matrix.stride / 4;
  if (total !== blockCount || arena.shorts(matrix.indexes, blockCount).some(outside)) {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'block counts or input indexes are outside the matrix');
  }
}
