import { WinnowError } from '../../errors.ts';
import { MAX_INPUTS, padTo } from '../dense/int8-matrix.ts';
import { type Arena, type ArenaLayout, MAX_ROWS, requireCount } from '../runtime/arena.ts';
import { type ColumnSpread, checkSpread } from './spread.ts';

/**
 * Rows of activations in 7 bits: x[t][k] is about scales[t] * u7 + minimums[t].
 * `values` has `stride` bytes per row (columns padded with 0 to a multiple of 16).
 */
export interface QuantizedRows {
  readonly columns: number;
  readonly stride: number;
  readonly capacity: number;
  readonly values: number;
  readonly scales: number;
  readonly minimums: number;
}

/** An int8 product: rows firstRow .. firstRow + rows - 1 of the input times the weights; out[rows][outStride] f32. */
export interface Product<Weights> {
  readonly input: QuantizedRows;
  /** Default 0. */
  readonly firstRow?: number;
  readonly rows: number;
  readonly weights: Weights;
  readonly out: number;
  /** Floats from one row of the result to the next, at least the outputs of the weights, which are the default. */
  readonly outStride?: number;
}

export function reserveQuantizedRows(layout: ArenaLayout, capacity: number, columns: number): QuantizedRows {
  requireCount('rows', capacity, 1, MAX_ROWS);
  requireCount('columns', columns, 1, MAX_INPUTS);
  const stride = padTo(columns, 16);
  return {
    columns,
    stride,
    capacity,
    values: layout.reserve(capacity * stride),
    scales: layout.reserve(4 * capacity),
    minimums: layout.reserve(4 * capacity),
  };
}

/** Rejects rows first .. first + count - 1 that are not inside the buffer. */
function checkQuantizedRows(arena: Arena, rows: QuantizedRows, first: number, count: number): void {
  requireCount('capacity', rows.capacity, 1, MAX_ROWS);
  requireCount('columns', rows.columns, 1, MAX_INPUTS);
  requireCount('first row', first, 0, rows.capacity - 1);
  requireCount('rows', count, 1, rows.capacity - first);
  requireCount('stride', rows.stride, padTo(rows.columns, 16), padTo(rows.columns, 16));
  arena.require('quantized.values', rows.values, rows.capacity * rows.stride, 1);
  arena.require('quantized.scales', rows.scales, 4 * rows.capacity, 4);
  arena.require('quantized.minimums', rows.minimums, 4 * rows.capacity, 4);
}

/** As {@link checkQuantizedRows}, for rows that are multiplied with weights of `inputs` inputs. */
export function checkOperand(
  arena: Arena,
  rows: QuantizedRows,
  first: number,
  count: number,
  inputs: number,
): void {
  checkQuantizedRows(arena, rows, first, count);
  if (rows.columns !== inputs) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `rows of ${rows.columns} values cannot be multiplied with weights of ${inputs} inputs`,
    );
  }
}

/**
 * As {@link checkQuantizedRows}, for rows made of `columns` f32 values, of which outlying ones have more than one
 * byte.
 */
export function checkQuantizedTarget(
  arena: Arena,
  rows: QuantizedRows,
  first: number,
  count: number,
  columns: number,
  spread: ColumnSpread | undefined,
): void {
  checkQuantizedRows(arena, rows, first, count);
  if (spread !== undefined) checkSpread(arena, spread);
  const wanted = columns + (spread?.extra ?? 0);
  if (rows.columns !== wanted || (spread !== undefined && spread.columns !== columns)) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `quantised rows have ${rows.columns} columns, ${columns} values with their spread need ${wanted}`,
    );
  }
}

/**
 * Rejects a result that is not inside the arena.
 *
 * @returns the stride of its rows in floats
 */
export function checkResult(arena: Arena, { rows, weights, out, outStride }: Product<OutputScales>): number {
  const stride = outStride ?? weights.outputs;
  requireCount('outStride', stride, weights.outputs, 1 << 24);
  arena.require('out', out, 4 * ((rows - 1) * stride + weights.outputs), 4);
  return stride;
}

/** What weights of an int8 product have beside their packed values. */
interface OutputScales {
  readonly outputs: number;
  readonly scales: number;
  readonly sums: number;
  readonly bias: number;
}

/** Arguments of a raw int8 product of quantised rows from `firstRow` on with weights, whose values the kernel names itself. A new
 * object: callers assign the rest to it, because spreading it cost 2 us. */
export const int8Operands = (rows: QuantizedRows, firstRow: number, weights: OutputScales) => ({
  x: rows.values + firstRow * rows.stride,
  xScale: rows.scales + 4 * firstRow,
  xMinimum: rows.minimums + 4 * firstRow,
  stride: rows.stride,
  wScale: weights.scales,
  wSum: weights.sums,
  bias: weights.bias,
  N: weights.outputs,
});

/**
 * Arguments of a raw kernel that writes quantised rows from `firstRow` on; it names the offset of their bytes itself.
 */
export const quantizedTarget = (rows: QuantizedRows, firstRow: number, spread: ColumnSpread | undefined) => ({
  scale: rows.scales + 4 * firstRow,
  minimum: rows.minimums + 4 * firstRow,
  stride: rows.stride,
  share: spread?.share ?? 0,
  splits: spread?.splits ?? 0,
});
