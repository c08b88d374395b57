import { WinnowError } from '../../errors.ts';
import { type Arena, type ArenaLayout, requireCount } from '../runtime/arena.ts';

/**
 * A weight matrix of N outputs x K inputs in the arena, w[n][k] = scales[n] * s8.
 *
 * `values` holds panels of 16 outputs, each [stride / 4][16 outputs][4 inputs] s8: one 64-byte line feeds one
 * VPDPBUSD, two VPMADDUBSW or four 128-bit dots, so all instruction sets share the layout.
 * Outputs are padded with zeros to a multiple of 32, inputs to a multiple of 16 (`stride`).
 */
export interface Int8Matrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly stride: number;
  readonly values: number;
  /** f32 per padded output; 0 in the padding. */
  readonly scales: number;
  /** f32 per padded output: the sum of the row's s8 values, which folds in the minimum of the activations. */
  readonly sums: number;
  /** f32 per padded output. */
  readonly bias: number;
}

/** Rows of a dense int8 matrix as model files store them; rows of several parts are stacked (query, key, value). */
export interface Int8Rows {
  /** [rows][inputs], -127..127. */
  readonly data: Int8Array;
  readonly scales: Float32Array;
  readonly bias?: Float32Array | undefined;
}

const PANEL_OUTPUTS = 16;
/** 127 * 128 * 65,536 still fits the i32 accumulator. */
export const MAX_INPUTS = 65536;
export const MAX_OUTPUTS = 1 << 24;

export const padTo = (count: number, multiple: number): number => Math.ceil(count / multiple) * multiple;

export function reserveInt8Matrix(layout: ArenaLayout, outputs: number, inputs: number): Int8Matrix {
  requireCount('outputs', outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', inputs, 1, MAX_INPUTS);
  const stride = padTo(inputs, 16);
  const padded = padTo(outputs, 32);
  return {
    outputs,
    inputs,
    stride,
    values: layout.reserve(padded * stride),
    scales: layout.reserve(4 * padded),
    sums: layout.reserve(4 * padded),
    bias: layout.reserve(4 * padded),
  };
}

/** Byte offset of w[output][input] inside `values`. */
function packedIndex(stride: number, output: number, input: number): number {
  const panel = Math.floor(output / PANEL_OUTPUTS) * PANEL_OUTPUTS * stride;
  return panel + (input >> 2) * 64 + (output % PANEL_OUTPUTS) * 4 + (input & 3);
}

/** Packs stacked rows into a reserved matrix. @throws WinnowError WINNOW_MODEL_INVALID when the sizes do not fit */
export function fillInt8Matrix(arena: Arena, matrix: Int8Matrix, parts: readonly Int8Rows[]): void {
  const { outputs, inputs, stride } = matrix;
  checkInt8Matrix(arena, matrix);
  const rows = parts.reduce((sum, part) => sum + part.scales.length, 0);
  const fits = parts.every(
    ({ data, scales, bias }) =>
      data.length === scales.length * inputs && (bias === undefined || bias.length === scales.length),
  );
  if (rows !== outputs || !fits) {
    throw new WinnowError('WINNOW_MODEL_INVALID', `weights do not have the shape ${outputs} x ${inputs}`);
  }
  const padded = padTo(outputs, 32);
  arena.bytes(matrix.values, padded * stride).fill(0);
  const scales = arena.floats(matrix.scales, padded).fill(0);
  const sums = arena.floats(matrix.sums, padded).fill(0);
  const bias = arena.floats(matrix.bias, padded).fill(0);
  const whole = inputs >> 2;
  let output = 0;
  for (const part of parts) {
    const { data } = part;
    for (let row = 0; row < part.scales.length; row++, output++) {
      const from = row * inputs;
      const to = (matrix.values + packedIndex(stride, output, 0)) >>> 2;
      let sum = 0;
      // Whole quads as one 32-bit store: packing 22M weights is most of a model's load time.
      for (let quad = 0; quad < whole; quad++) {
        const at = from + 4 * quad;
        const [a, b, c, d] = [data[at]!, data[at + 1]!, data[at + 2]!, data[at + 3]!];
        arena.i32[to + 16 * quad] = (a & 255) | ((b & 255) << 8) | ((c & 255) << 16) | (d << 24);
        sum += a + b + c + d;
      }
      for (let k = 4 * whole; k < inputs; k++) {
        const value = data[from + k]!;
        arena.i8[4 * (to + 16 * whole) + (k & 3)] = value;
        sum += value;
      }
      scales[output] = part.scales[row]!;
      sums[output] = sum;
      bias[output] = part.bias?.[row] ?? 0;
    }
  }
}

/**
 * Copies some outputs of a packed matrix into another one, for a product with these alone.
 *
 * @param outputs numbers of outputs, in the order that they get; any number may come again
 * @param into as {@link reserveInt8Matrix} gave it, with at least as many outputs as are copied and the same inputs
 * @returns `into` with `outputs.length` outputs
 * @throws WinnowError WINNOW_BAD_ARGUMENT for an output that the matrix does not have, or more than fit
 */
export function gatherOutputs(
  arena: Arena,
  from: Int8Matrix,
  outputs: Int32Array,
  into: Int8Matrix,
): Int8Matrix {
  checkInt8Matrix(arena, from);
  checkInt8Matrix(arena, into);
  requireCount('outputs', outputs.length, 1, into.outputs);
  requireCount('inputs', into.inputs, from.inputs, from.inputs);
  const padded = padTo(outputs.length, 32);
  const { i32 } = arena;
  const quads = from.stride >> 2;
  for (let i = 0; i < padded; i++) {
    const to = (into.values + packedIndex(from.stride, i, 0)) >>> 2;
    if (i >= outputs.length) {
      for (let quad = 0; quad < quads; quad++) i32[to + 16 * quad] = 0;
      continue;
    }
    requireCount('output', outputs[i]!, 0, from.outputs - 1);
    const at = (from.values + packedIndex(from.stride, outputs[i]!, 0)) >>> 2;
    for (let quad = 0; quad < quads; quad++) i32[to + 16 * quad] = i32[at + 16 * quad]!;
  }
  for (const part of ['scales', 'sums', 'bias'] as const) {
    const values = arena.floats(from[part], from.outputs);
    const copies = arena.floats(into[part], padded).fill(0, outputs.length);
    for (let i = 0; i < outputs.length; i++) copies[i] = values[outputs[i]!]!;
  }
  return { ...into, outputs: outputs.length };
}

/** The dense rows of a packed matrix, as they were given to {@link fillInt8Matrix}. */
export function unpackInt8Matrix(arena: Arena, matrix: Int8Matrix): Int8Rows {
  checkInt8Matrix(arena, matrix);
  const { outputs, inputs, stride } = matrix;
  const data = new Int8Array(outputs * inputs);
  for (let n = 0; n < outputs; n++) {
    for (let k = 0; k < inputs; k++) {
      data[n * inputs + k] = arena.i8[matrix.values + packedIndex(stride, n, k)]!;
    }
  }
  return {
    data,
    scales: arena.floats(matrix.scales, outputs).slice(),
    bias: arena.floats(matrix.bias, outputs).slice(),
  };
}

export function checkInt8Matrix(arena: Arena, matrix: Int8Matrix): void {
  requireCount('outputs', matrix.outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', matrix.inputs, 1, MAX_INPUTS);
  if (matrix.stride !== padTo(matrix.inputs, 16)) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `stride ${matrix.stride} does not fit ${matrix.inputs} inputs`,
    );
  }
  const padded = padTo(matrix.outputs, 32);
  arena.require('weights.values', matrix.values, padded * matrix.stride, 1);
  arena.require('weights.scales', matrix.scales, 4 * padded, 4);
  arena.require('weights.sums', matrix.sums, 4 * padded, 4);
  arena.require('weights.bias', matrix.bias, 4 * padded, 4);
}
