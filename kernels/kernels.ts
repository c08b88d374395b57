import { WinnowError } from '../errors.ts';
import { type Arena, checkIndexes, checkStarts, MAX_ROWS, requireCount } from './arena.ts';
import { checkF32Matrix, type F32Matrix } from './f32-matrix.ts';
import { HeadKernels } from './head-kernels.ts';
import { checkInt8Matrix, type Int8Matrix, MAX_INPUTS, padTo } from './int8-matrix.ts';
import { checkOperand, checkQuantizedTarget, type QuantizedRows } from './quantized-rows.ts';
import type { RawKernels } from './raw.ts';
import { SparseKernels } from './sparse-kernels.ts';
import type { ColumnSpread } from './spread.ts';

/** Which code runs the kernels. */
export type KernelBackend = 'native' | 'wasm' | 'reference';

const NO_SPREAD = { share: 0, splits: 0 };

/** Bytes of scratch that {@link Kernels.attention} needs for sequences of at most `longest` tokens. */
export function attentionScratchBytes(longest: number, headSize: number): number {
  const wide = padTo(headSize, 32);
  return 4 * ((2 * wide + 32) * padTo(longest, 32) + 32 * wide);
}

/**
 * The kernels of one backend over one arena. Every buffer, offset and size is checked here, so a bad call throws
 * WINNOW_BAD_ARGUMENT and never reaches native code. All offsets are bytes; T, K, N are rows, inputs, outputs.
 * Integer results are identical on every backend; f32 results agree within a few ulps a step (kernels/README.md).
 */
export class Kernels {
  readonly backend: KernelBackend;
  readonly arena: Arena;
  /** The vocabulary head of masked-language models. */
  readonly head: HeadKernels;
  /** Products with sparse weights or sparse activations. */
  readonly sparse: SparseKernels;
  readonly #raw: RawKernels;

  constructor(backend: KernelBackend, arena: Arena, raw: RawKernels) {
    this.backend = backend;
    this.arena = arena;
    this.head = new HeadKernels(arena, raw);
    this.sparse = new SparseKernels(arena, raw);
    this.#raw = raw;
  }

  /** out[T][outStride] f32 = x (rows firstRow.. of the quantised input) times w, plus bias. */
  gemmInt8(call: {
    input: QuantizedRows;
    firstRow?: number;
    rows: number;
    weights: Int8Matrix;
    out: number;
    outStride?: number;
  }): void {
    const { input, rows, weights, out, firstRow = 0, outStride = weights.outputs } = call;
    checkOperand(this.arena, input, firstRow, rows, weights.inputs);
    checkInt8Matrix(this.arena, weights);
    requireCount('outStride', outStride, weights.outputs, 1 << 24);
    this.arena.require('out', out, 4 * ((rows - 1) * outStride + weights.outputs), 4);
    this.#raw.gemm_int8(
      input.values + firstRow * input.stride,
      input.scales + 4 * firstRow,
      input.minimums + 4 * firstRow,
      weights.values,
      weights.scales,
      weights.sums,
      weights.bias,
      out,
      rows,
      input.stride,
      weights.outputs,
      outStride,
    );
  }

  /** out[T][N] i32: the integer products alone, for tests and for callers with their own scales. */
  gemmInt8Exact(call: { input: QuantizedRows; rows: number; weights: Int8Matrix; out: number }): void {
    const { input, rows, weights, out } = call;
    checkOperand(this.arena, input, 0, rows, weights.inputs);
    checkInt8Matrix(this.arena, weights);
    this.arena.require('out', out, 4 * rows * weights.outputs, 4);
    this.#raw.gemm_int8_exact(input.values, weights.values, out, rows, input.stride, weights.outputs);
  }

  /** Quantises f32 rows [T][columns]; the columns that `spread` names get more bytes. */
  quantizeRows(call: {
    x: number;
    rows: number;
    out: QuantizedRows;
    spread?: ColumnSpread | undefined;
  }): void {
    const { x, rows, out, spread } = call;
    const columns = this.#checkRowsIn(x, rows, out, spread);
    const { values, scales, minimums, stride } = out;
    const { share, splits } = spread ?? NO_SPREAD;
    this.#raw.quantize_rows(x, values, scales, minimums, rows, columns, stride, share, splits);
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
    const { values, scales, minimums, stride } = out;
    const { share, splits } = spread ?? NO_SPREAD;
    this.#raw.gelu_quantize(x, values, scales, minimums, rows, columns, stride, share, splits);
  }

  /** x = GELU(x) in place over `count` floats. */
  gelu(x: number, count: number): void {
    requireCount('count', count, 1, 2 ** 30);
    this.arena.require('x', x, 4 * count, 4);
    this.#raw.gelu(x, count);
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
    this.arena.require('x', x, 4 * rows * columns, 4);
    this.arena.require('out', out, 4 * rows * columns, 4);
    if (residual !== 0) this.arena.require('residual', residual, 4 * rows * columns, 4);
    this.arena.require('gamma', gamma, 4 * columns, 4);
    this.arena.require('beta', beta, 4 * columns, 4);
    if (quantized !== undefined) {
      checkQuantizedTarget(this.arena, quantized, firstRow, rows, columns, spread);
    }
    this.#raw.layer_norm_quantize(
      x,
      residual,
      gamma,
      beta,
      epsilon,
      out,
      quantized === undefined ? 0 : quantized.values + firstRow * quantized.stride,
      quantized === undefined ? 0 : quantized.scales + 4 * firstRow,
      quantized === undefined ? 0 : quantized.minimums + 4 * firstRow,
      rows,
      columns,
      quantized?.stride ?? 0,
      spread?.share ?? 0,
      spread?.splits ?? 0,
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
    checkInt8Matrix(this.arena, words);
    const columns = words.inputs;
    this.arena.require('places', places, 4 * placeCount * columns, 4);
    this.arena.require('kinds', kinds, 4 * kindCount * columns, 4);
    this.arena.require('out', out, 4 * rows * columns, 4);
    checkIndexes(this.arena, 'token id', ids, rows, words.outputs);
    checkIndexes(this.arena, 'position', positions, rows, placeCount);
    checkIndexes(this.arena, 'token type', types, rows, kindCount);
    this.#raw.embed(
      ids,
      positions,
      types,
      words.values,
      words.scales,
      places,
      kinds,
      out,
      rows,
      columns,
      words.stride,
    );
  }

  /**
   * Lists values[i] > threshold in rising i: `indexes` (i32) and `kept` (f32) need room for `count` entries each.
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
    this.arena.require('values', values, 4 * count, 4);
    this.arena.require('indexes', indexes, 4 * count, 4);
    this.arena.require('kept', kept, 4 * count, 4);
    return this.#raw.collect_above(values, threshold, indexes, kept, count);
  }

  /** out[T][N] = x[T][K] w + bias, all f32. */
  gemmF32(call: { x: number; rows: number; weights: F32Matrix; out: number }): void {
    const { x, rows, weights, out } = call;
    requireCount('rows', rows, 1, MAX_ROWS);
    checkF32Matrix(this.arena, weights);
    this.arena.require('x', x, 4 * rows * weights.inputs, 4);
    this.arena.require('out', out, 4 * rows * weights.outputs, 4);
    this.#raw.gemm_f32(x, weights.values, weights.bias, out, rows, weights.inputs, weights.outputs);
  }

  /**
   * Self-attention of a ragged batch: qkv[T][3 * heads * headSize] -> out[T][heads * headSize].
   * `scratch` has {@link attentionScratchBytes} bytes for the longest sequence.
   */
  attention(call: {
    qkv: number;
    starts: number;
    sequences: number;
    heads: number;
    headSize: number;
    out: number;
    scratch: number;
  }): void {
    const { qkv, starts, sequences, heads, headSize, out, scratch } = call;
    requireCount('heads', heads, 1, 1024);
    requireCount('headSize', headSize, 16, 1024);
    if (headSize % 16 !== 0) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `head size ${headSize} is not a multiple of 16`);
    }
    const rows = checkStarts(this.arena, starts, sequences, MAX_ROWS);
    const offsets = this.arena.ints(starts, sequences + 1);
    let longest = 0;
    for (let d = 0; d < sequences; d++) longest = Math.max(longest, offsets[d + 1]! - offsets[d]!);
    this.arena.require('qkv', qkv, 12 * rows * heads * headSize, 4);
    this.arena.require('out', out, 4 * rows * heads * headSize, 4);
    this.arena.require('scratch', scratch, attentionScratchBytes(longest, headSize), 4);
    this.#raw.attention(qkv, starts, out, scratch, sequences, heads, headSize);
  }

  /** @returns the columns of the f32 rows that `out` is made from */
  #checkRowsIn(x: number, rows: number, out: QuantizedRows, spread: ColumnSpread | undefined): number {
    const columns = spread?.columns ?? out.columns;
    checkQuantizedTarget(this.arena, out, 0, rows, columns, spread);
    this.arena.require('x', x, 4 * rows * columns, 4);
    return columns;
  }
}
