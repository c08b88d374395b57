import { WinnowError } from '../../errors.ts';
import { type Int8Rows, MAX_INPUTS } from '../dense/int8-matrix.ts';
import { type Arena, type ArenaLayout, requireCount } from '../runtime/arena.ts';

/**
 * Gives outlying columns more than one byte of a quantised row.
 *
 * A few channels of a trained transformer are tens of times larger than the others and would set the step of every row
 * they occur in. Such a column x is split into c bytes whose values add up to x, and the weights repeat its inputs c
 * times (outlier channel splitting; Zhao et al. 2019, arXiv 1901.09504). Sixteen more inputs cost 4 % of a product of
 * 384 and halve the error of u7 rows.
 */
export interface ColumnSpread {
  /** K: columns of the f32 row. */
  readonly columns: number;
  /** Bytes beyond the K of the row. */
  readonly extra: number;
  /** Columns with more than one byte. */
  readonly splitCount: number;
  /** f32[K]: 1 / copies. */
  readonly share: number;
  /** i32[1 + 3 * splitCount]: the count, then { column, copies, first extra byte }. */
  readonly splits: number;
}

/**
 * Distributes `extra` bytes over the columns so that the largest value that a byte must hold is as small as possible.
 *
 * @param peaks largest absolute value seen in each column
 * @returns bytes of each column, 1 or more
 */
export function chooseCopies(peaks: Float32Array, extra: number): Int32Array {
  const copies = new Int32Array(peaks.length).fill(1);
  for (let given = 0; given < extra; given++) {
    let widest = 0;
    for (let k = 1; k < peaks.length; k++) {
      if (peaks[k]! / copies[k]! > peaks[widest]! / copies[widest]!) widest = k;
    }
    copies[widest] = copies[widest]! + 1;
  }
  return copies;
}

/** @param copies bytes of each column, as {@link chooseCopies} gives them */
export function reserveSpread(layout: ArenaLayout, copies: Int32Array): ColumnSpread {
  requireCount('columns', copies.length, 1, MAX_INPUTS);
  const splitCount = copies.reduce((count, own) => count + (own > 1 ? 1 : 0), 0);
  return {
    columns: copies.length,
    extra: copies.reduce((sum, own) => sum + own - 1, 0),
    splitCount,
    share: layout.reserve(4 * copies.length),
    splits: layout.reserve(4 * (1 + 3 * splitCount)),
  };
}

export function fillSpread(arena: Arena, spread: ColumnSpread, copies: Int32Array): void {
  if (copies.length !== spread.columns) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `${copies.length} columns given, ${spread.columns} reserved`,
    );
  }
  const share = arena.floats(spread.share, spread.columns);
  const splits = arena.ints(spread.splits, 1 + 3 * spread.splitCount);
  splits[0] = spread.splitCount;
  let extra = spread.columns;
  let at = 1;
  copies.forEach((own, column) => {
    share[column] = 1 / own;
    if (own === 1) return;
    splits.set([column, own, extra], at);
    at += 3;
    extra += own - 1;
  });
  checkSpread(arena, spread);
}

/** Weights for rows with this spread: the inputs of an outlying column are repeated at the end. */
export function repeatInputs({ data, scales, bias }: Int8Rows, copies: Int32Array): Int8Rows {
  const inputs = copies.length;
  const extra = Array.from(copies, (own, column) => new Array<number>(own - 1).fill(column)).flat();
  if (extra.length === 0) return { data, scales, bias };
  const wide = inputs + extra.length;
  const repeated = new Int8Array(scales.length * wide);
  for (let n = 0; n < scales.length; n++) {
    repeated.set(data.subarray(n * inputs, (n + 1) * inputs), n * wide);
    extra.forEach((column, i) => {
      repeated[n * wide + inputs + i] = data[n * inputs + column]!;
    });
  }
  return { data: repeated, scales, bias };
}

/** Rejects a spread whose splits point outside its columns or extra bytes. */
export function checkSpread(arena: Arena, spread: ColumnSpread): void {
  const { columns, extra, splitCount } = spread;
  requireCount('columns', columns, 1, MAX_INPUTS);
  requireCount('extra', extra, 0, MAX_INPUTS);
  requireCount('splitCount', splitCount, 0, columns);
  arena.require('spread.share', spread.share, 4 * columns, 4);
  const splits = arena.ints(spread.splits, 1 + 3 * splitCount);
  let inside = splits[0] === splitCount;
  for (let i = 0; i < splitCount; i++) {
    const [column, copies, first] = splits.subarray(1 + 3 * i, 4 + 3 * i) as unknown as [
      number,
      number,
      number,
    ];
    inside &&= column >= 0 && column < columns && copies >= 1 && copies <= extra + 1;
    inside &&= first >= columns && first + copies - 1 <= columns + extra;
  }
  if (!inside) {
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'a split column is outside the row', {
      place: 'spread.splits',
    });
  }
}
