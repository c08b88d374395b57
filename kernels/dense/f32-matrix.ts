import { WinnowError } from '../../errors.ts';
import { type Arena, type ArenaLayout, requireCount } from '../runtime/arena.ts';
import { MAX_INPUTS, MAX_OUTPUTS, padTo } from './int8-matrix.ts';

/**
 * A weight matrix of N outputs x K inputs in f32: panels of 16 outputs, each [K][16] floats, outputs padded with
 * zeros to a multiple of 32; then the bias, padded alike.
 */
export interface F32Matrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly values: number;
  readonly bias: number;
}

export function reserveF32Matrix(layout: ArenaLayout, outputs: number, inputs: number): F32Matrix {
  requireCount('outputs', outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', inputs, 1, MAX_INPUTS);
  const padded = padTo(outputs, 32);
  return { outputs, inputs, values: layout.reserve(4 * padded * inputs), bias: layout.reserve(4 * padded) };
}

/** @param data [outputs][inputs] */
export function fillF32Matrix(
  arena: Arena,
  matrix: F32Matrix,
  data: Float32Array,
  bias?: Float32Array,
): void {
  const { outputs, inputs } = matrix;
  checkF32Matrix(arena, matrix);
  if (data.length !== outputs * inputs || (bias !== undefined && bias.length !== outputs)) {
    throw new WinnowError('WINNOW_MODEL_INVALID', `weights do not have the shape ${outputs} x ${inputs}`);
  }
  const padded = padTo(outputs, 32);
  const values = arena.floats(matrix.values, padded * inputs).fill(0);
  for (let n = 0; n < outputs; n++) {
    const panel = Math.floor(n / 16) * 16 * inputs + (n % 16);
    for (let k = 0; k < inputs; k++) values[panel + 16 * k] = data[n * inputs + k]!;
  }
  const to = arena.floats(matrix.bias, padded).fill(0);
  if (bias !== undefined) to.set(bias);
}

export function checkF32Matrix(arena: Arena, matrix: F32Matrix): void {
  requireCount('outputs', matrix.outputs, 1, MAX_OUTPUTS);
  requireCount('inputs', matrix.inputs, 1, MAX_INPUTS);
  const padded = padTo(matrix.outputs, 32);
  arena.require('weights.values', matrix.values, 4 * padded * matrix.inputs, 4);
  arena.require('weights.bias', matrix.bias, 4 * padded, 4);
}
