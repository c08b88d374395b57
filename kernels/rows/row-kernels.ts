import { WinnowError } from '../../errors.ts';
import { checkInt8Matrix, type Int8Matrix, MAX_INPUTS } from '../dense/int8-matrix.ts';
import { type Arena, checkIndexes, MAX_ROWS, requireCount } from '../runtime/arena.ts';
import type { RawKernels } from '../runtime/raw-kernels.ts';
import { checkQuantizedTarget, type QuantizedRows, quantizedTarget } from './quantized-rows.ts';
import type { ColumnSpread } from './spread.ts';

const notQuantized = () => ({ scale: 0, minimum: 0, stride: 0, share: 0, splits: 0 });

/** The row-wise steps between products; offsets and sizes are checked as in {@link Kernels}. */
export class RowKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /** Quantises f32 rows [T][columns] into the rows of `out` from `firstRow` on; the columns that `spread` names get more bytes. */
  quantizeRows(call: {
    x: number;
    rows: number;
    out: QuantizedRows;
    firstRow?: number;
    spread?: ColumnSpread | undefined;
  }): void {
    const { x, rows, out, firstRow = 0, spread } = call;
    const columns = this.#checkRowsIn(x, rows, out, spread, firstRow);
    this.#raw.quantize_rows(
      Object.assign(quantizedTarget(out, firstRow, spread), {
        x,
        out: out.values + firstRow * out.stride,
        T: rows,
        K: columns,
      }),
    );
  }

  /** x = GELU(x) in place (erf form), then quantised into `out`. */
  geluQuantize(call: {
    x: number;
    rows: number;
    out: QuantizedRows;
    spread?: ColumnSpread | undefined;
  }): void {
    const { x, rows, out, spread } = call;
    const columns = this.#checkRowsIn(x, rows, out, spread);
    this.#raw.gelu_quantize(
      Object.assign(quantizedTarget(out, 0, spread), { x, out: out.values, T: rows, K: columns }),
    );
  }

  /** out = GELU(x) over `count` floats; in place where no `out` is given. */
  gelu(x: number, count: number, out: number = x): void {
    requireCount('count', count, 1, 2 ** 30);
    this.#arena.require('x', x, 4 * count, 4);
    this.#arena.require('out', out, 4 * count, 4);
    this.#raw.gelu({ x, out, count });
  }

  /**
   * out = LayerNorm(x + residual) * gamma + beta over rows of `columns` floats; `out` may be x or residual.
   * `quantized` also receives the result, from its row `firstRow` on.
   */
  layerNorm(call: {
    x: number;
    residual?: number;
    gamma: number;
    beta: number;
    epsilon: number;
    out: number;
    rows: number;
    columns: number;
    quantized?: QuantizedRows;
    firstRow?: number;
    spread?: ColumnSpread | undefined;
  }): void {
    const {
      x,
      residual = 0,
      gamma,
      beta,
      epsilon,
      out,
      rows,
      columns,
      quantized,
      firstRow = 0,
      spread,
    } = call;
    requireCount('rows', rows, 1, MAX_ROWS);
    requireCount('columns', columns, 1, MAX_INPUTS);
    if (!(epsilon >= 0 && epsilon < 1)) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `epsilon must be 0..1, not ${epsilon}`, {
        place: 'epsilon',
      });
    }
    this.#arena.require('x', x, 4 * rows * columns, 4);
    this.#arena.require('out', out, 4 * rows * columns, 4);
    if (residual !== 0) this.#arena.require('residual', residual, 4 * rows * columns, 4);
    this.#arena.require('gamma', gamma, 4 * columns, 4);
    this.#arena.require('beta', beta, 4 * columns, 4);
    if (quantized !== undefined) {
      checkQuantizedTarget(this.#arena, quantized, firstRow, rows, columns, spread);
    }
    const target = quantized === undefined ? notQuantized() : quantizedTarget(quantized, firstRow, spread);
    const into = quantized === undefined ? 0 : quantized.values + firstRow * quantized.stride;
    this.#raw.layer_norm_quantize(
      Object.assign(target, { x, residual, gamma, beta, epsilon, out, quantized: into, T: rows, K: columns }),
    );
  }

  /** out[T][K] = words[id] + places[position] + kinds[type]; ids, positions, types are i32[T] regions. */
  embed(call: {
    ids: number;
    positions: number;
    types: number;
    rows: number;
    words: Int8Matrix;
    places: number;
    placeCount: number;
    kinds: number;
    kindCount: number;
    out: number;
  }): void {
    const { ids, positions, types, rows, words, places, placeCount, kinds, kindCount, out } = call;
    requireCount('rows', rows, 1, MAX_ROWS);
    checkInt8Matrix(this.#arena, words);
    const columns = words.inputs;
    this.#arena.require('places', places, 4 * placeCount * columns, 4);
    this.#arena.require('kinds', kinds, 4 * kindCount * columns, 4);
    this.#arena.require('out', out, 4 * rows * columns, 4);
    checkIndexes(this.#arena, 'token id', ids, rows, words.outputs);
    checkIndexes(this.#arena, 'position', positions, rows, placeCount);
    checkIndexes(this.#arena, 'token type', types, rows, kindCount);
    this.#raw.embed({
      ids,
      positions,
      types,
      words: words.values,
      wordScale: words.scales,
      positionRows: places,
      typeRows: kinds,
      out,
      T: rows,
      K: columns,
      stride: words.stride,
    });
  }

  /**
   * Lists values[i] > threshold in ascending i: `indexes` (i32) and `kept` (f32) have room for `count` entries each.
   * @returns how many were written
   */
  collectAbove(call: {
    values: number;
    count: number;
    threshold: number;
    indexes: number;
    kept: number;
  }): number {
    const { values, count, threshold, indexes, kept } = call;
    requireCount('count', count, 1, 1 << 24);
    this.#arena.require('values', values, 4 * count, 4);
    this.#arena.require('indexes', indexes, 4 * count, 4);
    this.#arena.require('kept', kept, 4 * count, 4);
    return this.#raw.collect_above({ values, threshold, indexes, kept, N: count });
  }

  /** @returns the columns of the f32 rows that `out` is made from */
  #checkRowsIn(
    x: number,
    rows: number,
    out: QuantizedRows,
    spread: ColumnSpread | undefined,
    firstRow = 0,
  ): number {
    const columns = spread?.columns ?? out.columns;
    checkQuantizedTarget(this.#arena, out, firstRow, rows, columns, spread);
    this.#arena.require('x', x, 4 * rows * columns, 4);
    return columns;
  }
}
