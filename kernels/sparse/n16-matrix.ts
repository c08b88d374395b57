import { WinnowError } from '../../errors.ts';
import { type Int8Rows, MAX_INPUTS, MAX_OUTPUTS, padTo } from '../dense/int8-matrix.ts';
import { type Arena, type ArenaLayout, requireCount } from '../runtime/arena.ts';

/**
 * N:16 sparse int8 weights: of every 16 consecutive inputs of an output, at most 4 * passes weights are not 0
 * (passes 1 = 4:16, 2 = 8:16, 3 = 12:16).
 *
 * `values` holds panels of 16 outputs: [stride / 16 groups][passes]{ s8 weights[16][4], u8 inputs[16][4] (0..15) },
 * 128 bytes per record; a byte shuffle within 128 bits picks the inputs. Outputs are padded to a multiple of 32.
 */
export interface N16Matrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly stride: number;
  readonly passes: number;
  readonly values: number;
  readonly scales: number;
  readonly sums: number;
  readonly bias: number;
}

const RECORD_BYTES = 128;

export function reserveN16Matrix(
  layout: ArenaLayout,
  outputs: number,
  inputs: number,
  passes: number,
): N16Matrix {
  requireCount('outputs', outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', inputs, 1, MAX_INPUTS);
  requireCount('passes', passes, 1, 3);
  const padded = padTo(outputs, 32);
  const stride = padTo(inputs, 16);
  return {
    outputs,
    inputs,
    stride,
    passes,
    values: layout.reserve((padded / 16) * (stride / 16) * passes * RECORD_BYTES),
    scales: layout.reserve(4 * padded),
    sums: layout.reserve(4 * padded),
    bias: layout.reserve(4 * padded),
  };
}

/** Byte offset of the record of an output's group and pass; the output's weights are 4 * (output % 16) further. */
function recordOffset({ values, stride, passes }: N16Matrix, output: number, group: number, pass: number) {
  return values + ((Math.floor(output / 16) * (stride / 16) + group) * passes + pass) * RECORD_BYTES;
}

/**
 * Packs a dense matrix whose zeros already follow the pattern.
 *
 * @throws WinnowError WINNOW_MODEL_INVALID when a group has more than 4 * passes weights, or the shape differs
 */
export function fillN16Matrix(arena: Arena, matrix: N16Matrix, { data, scales, bias }: Int8Rows): void {
  checkN16Matrix(arena, matrix);
  const { outputs, inputs, stride, passes } = matrix;
  if (data.length !== outputs * inputs || scales.length !== outputs || (bias && bias.length !== outputs)) {
    throw new WinnowError('WINNOW_MODEL_INVALID', `weights do not have the shape ${outputs} x ${inputs}`);
  }
  const padded = padTo(outputs, 32);
  arena.bytes(matrix.values, (padded / 16) * (stride / 16) * passes * RECORD_BYTES).fill(0);
  arena.floats(matrix.scales, padded).fill(0).set(scales);
  arena
    .floats(matrix.bias, padded)
    .fill(0)
    .set(bias ?? []);
  const sums = arena.floats(matrix.sums, padded).fill(0);
  for (let n = 0; n < outputs; n++) {
    for (let group = 0; group < stride / 16; group++) {
      let kept = 0;
      for (let i = 0; i < 16 && group * 16 + i < inputs; i++) {
        const weight = data[n * inputs + group * 16 + i]!;
        if (weight === 0) continue;
        if (kept === 4 * passes) {
          throw new WinnowError(
            'WINNOW_MODEL_INVALID',
            `output ${n} keeps more than ${4 * passes} of inputs ${group * 16}..${group * 16 + 15}`,
          );
        }
        const at = recordOffset(matrix, n, group, kept >> 2) + 4 * (n % 16) + (kept & 3);
        arena.i8[at] = weight;
        arena.u8[at + 64] = i;
        sums[n] = sums[n]! + weight;
        kept++;
      }
    }
  }
}

/**
 * Passes that the zeros of a dense matrix allow: 1 for 4:16, 2 for 8:16; undefined when some group of 16 keeps more,
 * because the dense kernel is then at least as fast.
 */
export function detectN16(data: Int8Array, inputs: number): 1 | 2 | undefined {
  let most = 0;
  for (let row = 0; row < data.length; row += inputs) {
    for (let group = 0; group < inputs; group += 16) {
      let kept = 0;
      for (let i = group; i < group + 16 && i < inputs; i++) kept += data[row + i] === 0 ? 0 : 1;
      most = Math.max(most, kept);
    }
    if (most > 8) return undefined;
  }
  return most > 4 ? 2 : 1;
}

/** The dense rows of a packed matrix, zeros included. */
export function unpackN16Matrix(arena: Arena, matrix: N16Matrix): Int8Rows {
  checkN16Matrix(arena, matrix);
  const { outputs, inputs, stride, passes } = matrix;
  const data = new Int8Array(outputs * inputs);
  for (let n = 0; n < outputs; n++) {
    for (let group = 0; group < stride / 16; group++) {
      for (let slot = 0; slot < 4 * passes; slot++) {
        const at = recordOffset(matrix, n, group, slot >> 2) + 4 * (n % 16) + (slot & 3);
        if (arena.i8[at] !== 0) data[n * inputs + group * 16 + (arena.u8[at + 64]! & 15)] = arena.i8[at]!;
      }
    }
  }
  return {
    data,
    scales: arena.floats(matrix.scales, outputs).slice(),
    bias: arena.floats(matrix.bias, outputs).slice(),
  };
}

/**
 * The form of the weights in a file: per output and group of 16 inputs, 4 * passes weights (s8), then as many inputs
 * of 4 bits each, low nibble first. 6 bytes per group at 4:16, against 16 dense. Scales and bias are stored as
 * ordinary tensors.
 */
export function encodeN16(data: Int8Array, outputs: number, inputs: number, passes: number): Uint8Array {
  const groups = Math.ceil(inputs / 16);
  const size = 6 * passes;
  const bytes = new Uint8Array(outputs * groups * size);
  for (let n = 0; n < outputs; n++) {
    for (let group = 0; group < groups; group++) {
      const base = (n * groups + group) * size;
      let kept = 0;
      for (let i = 0; i < 16 && group * 16 + i < inputs; i++) {
        const weight = data[n * inputs + group * 16 + i]!;
        if (weight === 0) continue;
        if (kept === 4 * passes) {
          throw new WinnowError(
            'WINNOW_MODEL_INVALID',
            `output ${n} keeps more than ${4 * passes} of 16 inputs`,
          );
        }
        bytes[base + kept] = weight;
        bytes[base + 4 * passes + (kept >> 1)]! |= i << (4 * (kept & 1));
        kept++;
      }
    }
  }
  return bytes;
}

/** @throws WinnowError WINNOW_MODEL_INVALID when the bytes do not have the size of the shape */
export function decodeN16(bytes: Uint8Array, outputs: number, inputs: number, passes: number): Int8Array {
  const groups = Math.ceil(inputs / 16);
  const size = 6 * passes;
  if (bytes.length !== outputs * groups * size) {
    throw new WinnowError(
      'WINNOW_MODEL_INVALID',
      `${bytes.length} bytes are not ${outputs} x ${inputs} weights`,
    );
  }
  const data = new Int8Array(outputs * inputs);
  for (let n = 0; n < outputs; n++) {
    for (let group = 0; group < groups; group++) {
      const base = (n * groups + group) * size;
      for (let slot = 0; slot < 4 * passes; slot++) {
        const weight = (bytes[base + slot]! << 24) >> 24;
        const input = group * 16 + ((bytes[base + 4 * passes + (slot >> 1)]! >> (4 * (slot & 1))) & 15);
        if (weight !== 0 && input < inputs) data[n * inputs + input] = weight;
      }
    }
  }
  return data;
}

export function checkN16Matrix(arena: Arena, matrix: N16Matrix): void {
  requireCount('outputs', matrix.outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', matrix.inputs, 1, MAX_INPUTS);
  requireCount('passes', matrix.passes, 1, 3);
  requireCount('stride', matrix.stride, padTo(matrix.inputs, 16), padTo(matrix.inputs, 16));
  const padded = padTo(matrix.outputs, 32);
  const bytes = (padded / 16) * (matrix.stride / 16) * matrix.passes * RECORD_BYTES;
  arena.require('weights.values', matrix.values, bytes, 1);
  arena.require('weights.scales', matrix.scales, 4 * padded, 4);
  arena.require('weights.sums', matrix.sums, 4 * padded, 4);
  arena.require('weights.bias', matrix.bias, 4 * padded, 4);
}
