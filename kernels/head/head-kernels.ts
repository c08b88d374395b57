import { checkF32Matrix, type F32Matrix } from '../dense/f32-matrix.ts';
import { checkInt8Matrix, type Int8Matrix, MAX_INPUTS, MAX_OUTPUTS, padTo } from '../dense/int8-matrix.ts';
import { checkOperand, int8Operands, type QuantizedRows } from '../rows/quantized-rows.ts';
import { type Arena, checkIndexes, checkStarts, MAX_ROWS, requireCount } from '../runtime/arena.ts';
import type { RawKernels } from '../runtime/raw-kernels.ts';

/** Documents as row ranges: `starts` is an i32[documents + 1] region of ascending row numbers. */
export interface RowRanges {
  readonly starts: number;
  readonly documents: number;
}

/**
 * The vocabulary head of a masked-language model with a maximum over each document's tokens. No tokens x vocabulary
 * buffer exists in any of these (the idea of Cut Cross-Entropy, Wijmans et al., arXiv 2411.09009). V = outputs.
 */
export class HeadKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /**
   * out[d][outStride] f32 = max over the rows of document d of (x w + bias), and argmaxRow[d][outStride] i32 = the
   * first row that reaches it. An empty document gets -Infinity and -1. outStride is at least V padded to 32.
   */
  argmaxInt8(
    call: RowRanges & {
      readonly input: QuantizedRows;
      readonly weights: Int8Matrix;
      readonly out: number;
      /** Absent: only the maximum is wanted. */
      readonly argmaxRow?: number;
      readonly outStride: number;
    },
  ): void {
    const { input, starts, documents, weights, out, argmaxRow = 0, outStride } = call;
    const rows = checkStarts(this.#arena, starts, documents, input.capacity);
    checkOperand(this.#arena, input, 0, Math.max(1, rows), weights.inputs);
    checkInt8Matrix(this.#arena, weights);
    this.#checkOut(weights.outputs, documents, out, outStride);
    if (argmaxRow !== 0) this.#arena.require('argmaxRow', argmaxRow, 4 * documents * outStride, 4);
    this.#raw.head_argmax_int8(
      Object.assign(int8Operands(input, 0, weights), {
        w: weights.values,
        starts,
        out,
        argmaxRow,
        documents,
        outStride,
      }),
    );
  }

  /** As {@link argmaxInt8} with f32 rows x[rows][K] and f32 weights. */
  argmaxF32(
    call: RowRanges & { x: number; weights: F32Matrix; out: number; argmaxRow: number; outStride: number },
  ): void {
    const { x, starts, documents, weights, out, argmaxRow, outStride } = call;
    const rows = checkStarts(this.#arena, starts, documents, MAX_ROWS);
    checkF32Matrix(this.#arena, weights);
    this.#arena.require('x', x, 4 * rows * weights.inputs, 4);
    this.#checkOut(weights.outputs, documents, out, outStride);
    this.#arena.require('argmaxRow', argmaxRow, 4 * documents * outStride, 4);
    const { values: w, bias, inputs: K, outputs: N } = weights;
    this.#raw.head_argmax_f32({ x, w, bias, starts, out, argmaxRow, documents, K, N, outStride });
  }

  /**
   * out[i] f32 = x[rows[i]] . w[terms[i]] + bias, with f32 x[rowCount][K]: the exact value, free of the quantisation
   * of x, of the few pairs that the int8 maximum found. `rows` and `terms` are i32[pairs] regions.
   */
  scorePairs(call: {
    x: number;
    rowCount: number;
    weights: Int8Matrix;
    rows: number;
    terms: number;
    pairs: number;
    out: number;
  }): void {
    const { x, rowCount, weights, rows, terms, pairs, out } = call;
    requireCount('rowCount', rowCount, 1, MAX_ROWS);
    requireCount('pairs', pairs, 0, 1 << 28);
    checkInt8Matrix(this.#arena, weights);
    this.#arena.require('x', x, 4 * rowCount * weights.inputs, 4);
    this.#arena.require('out', out, 4 * pairs, 4);
    checkIndexes(this.#arena, 'row', rows, pairs, rowCount);
    checkIndexes(this.#arena, 'term', terms, pairs, weights.outputs);
    const { values: w, scales: wScale, bias, inputs: K, stride } = weights;
    this.#raw.score_pairs_int8({ x, w, wScale, bias, rows, terms, out, pairs, K, stride });
  }

  /**
   * Exact gradient of the maximum head: for pair i, dx[rows[i]] += g w[terms[i]] and dw[terms[i]] += g x[rows[i]] with
   * g = gradients[i]. Pairs that did not reach a maximum have no gradient. f32 row-major: x, dx [rowCount][K];
   * w, dw [termCount][K]; without dw the weights are frozen.
   */
  backward(call: {
    x: number;
    w: number;
    dx: number;
    dw?: number;
    rowCount: number;
    termCount: number;
    columns: number;
    rows: number;
    terms: number;
    gradients: number;
    pairs: number;
  }): void {
    const { x, w, dx, dw = 0, rowCount, termCount, columns, rows, terms, gradients, pairs } = call;
    requireCount('rowCount', rowCount, 1, MAX_ROWS);
    requireCount('termCount', termCount, 1, MAX_OUTPUTS);
    requireCount('columns', columns, 1, MAX_INPUTS);
    requireCount('pairs', pairs, 0, 1 << 28);
    for (const [name, offset] of Object.entries({ x, dx })) {
      this.#arena.require(name, offset, 4 * rowCount * columns, 4);
    }
    for (const [name, offset] of Object.entries({ w, ...(dw && { dw }) })) {
      this.#arena.require(name, offset, 4 * termCount * columns, 4);
    }
    this.#arena.require('gradients', gradients, 4 * pairs, 4);
    checkIndexes(this.#arena, 'row', rows, pairs, rowCount);
    checkIndexes(this.#arena, 'term', terms, pairs, termCount);
    this.#raw.head_backward({ x, w, rows, terms, gradients, dx, dw, pairs, K: columns });
  }

  #checkOut(outputs: number, documents: number, out: number, outStride: number): void {
    requireCount('outStride', outStride, padTo(outputs, 32), MAX_OUTPUTS);
    this.#arena.require('out', out, 4 * documents * outStride, 4);
  }
}
