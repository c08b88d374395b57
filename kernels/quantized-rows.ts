import { WinnowError } from '../errors.ts';
import { type Arena, type ArenaLayout, MAX_ROWS, requireCount } from './arena.ts';
import { MAX_INPUTS, padTo } from './int8-matrix.ts';
import { type ColumnSpread, checkSpread } from './spread.ts';

/**
 * Rows of activations in 7 bits: x[t][k] is about scales[t] * u7 + minimums[t].
 * `values` has `stride` bytes a row (columns padded with 0 to a multiple of 16).
 */
export interface QuantizedRows {
  readonly columns: number;
  readonly stride: number;
  readonly capacity: number;
  readonly values: number;
  readonly scales: number;
  readonly minimums: number;
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

/** Refuses rows first .. first + count - 1 that are not inside the buffer. */
export function checkQuantizedRows(arena: Arena, rows: QuantizedRows, first: number, count: number): void {
  requireCount('capacity', rows.capacity, 1, MAX_ROWS);
  requireCount('columns', rows.columns, 1, MAX_INPUTS);
  requireCount('first row', first, 0, rows.capacity - 1);
  requireCount('rows', count, 1, rows.capacity - first);
  requireCount('stride', rows.stride, padTo(rows.columns, 16), padTo(rows.columns, 16));
  arena.require('quantized.values', rows.values, rows.capacity * rows.stride, 1);
  arena.require('quantized.scales', rows.scales, 4 * rows.capacity, 4);
  arena.require('quantized.minimums', rows.minimums, 4 * rows.capacity, 4);
}

/** As {@link checkQuantizedRows}, for rows that meet weights of `inputs` inputs. */
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
      `rows of ${rows.columns} values cannot meet weights of ${inputs} inputs`,
    );
  }
}

/** As {@link checkQuantizedRows}, for rows made of `columns` f32 values, with outlying ones spread over more bytes. */
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
