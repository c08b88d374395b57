import { WinnowError } from '../../errors.ts';
import { MAX_INPUTS, MAX_OUTPUTS } from '../dense/int8-matrix.ts';
import { checkOperand, checkResult, int8Operands, type Product } from '../rows/quantized-rows.ts';
import { type Arena, requireCount } from '../runtime/arena.ts';
import type { RawKernels } from '../runtime/raw-kernels.ts';
import { type Block4Matrix, block4ScratchBytes, checkBlock4Matrix } from './block-matrix.ts';
import { checkN16Matrix, type N16Matrix } from './n16-matrix.ts';

/** Products with sparse weights or sparse activations; sizes and offsets are checked as in {@link Kernels}. */
export class SparseKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;
  /** Matrices whose counts and indexes were walked once: walking them on every call would cost too much. */
  readonly #walked = new WeakSet<object>();

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /** out = x w + bias with N:16 weights. */
  gemmN16(call: Product<N16Matrix>): void {
    const { input, firstRow = 0, rows, weights, out } = call;
    checkOperand(this.#arena, input, firstRow, rows, weights.inputs);
    checkN16Matrix(this.#arena, weights);
    const outStride = checkResult(this.#arena, call);
    this.#raw.gemm_n16(
      Object.assign(int8Operands(input, firstRow, weights), {
        w: weights.values,
        out,
        T: rows,
        passes: weights.passes,
        outStride,
      }),
    );
  }

  /** out = x w + bias with 4x1 blocks; `scratch` has {@link block4ScratchBytes} bytes. */
  gemmBlock4(call: Product<Block4Matrix> & { readonly scratch: number }): void {
    const { input, firstRow = 0, rows, weights, out, scratch } = call;
    checkOperand(this.#arena, input, firstRow, rows, weights.inputs);
    this.#walk(weights, checkBlock4Matrix);
    const outStride = checkResult(this.#arena, call);
    this.#arena.require('scratch', scratch, block4ScratchBytes(weights.inputs), 4);
    this.#raw.gemm_block4(
      Object.assign(int8Operands(input, firstRow, weights), {
        blocks: weights.blocks,
        inputs: weights.indexes,
        counts: weights.counts,
        out,
        scratch,
        T: rows,
        outStride,
      }),
    );
  }

  /**
   * One-token product out[N] = bias + x[K] w that skips every input with |x| * norms <= threshold, and so reads less
   * memory. w is f32 [K][N]. Without `norms` the choice depends on |x| alone (TEAL, arXiv 2408.14690); with the norms
   * of w's rows it is WINA's (arXiv 2505.19427). A negative threshold keeps all. `kept` is an i32[K] region for the
   * inputs used.
   *
   * @returns how many inputs were used
   */
  gemvThresholded(call: {
    x: number;
    norms?: number;
    threshold: number;
    w: number;
    bias: number;
    inputs: number;
    outputs: number;
    out: number;
    kept: number;
  }): number {
    const { x, norms = 0, threshold, w, bias, inputs, outputs, out, kept } = call;
    requireCount('inputs', inputs, 1, MAX_INPUTS);
    requireCount('outputs', outputs, 1, MAX_OUTPUTS);
    if (Number.isNaN(threshold)) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', 'threshold is not a number', { place: 'threshold' });
    }
    this.#arena.require('x', x, 4 * inputs, 4);
    if (norms !== 0) this.#arena.require('norms', norms, 4 * inputs, 4);
    this.#arena.require('w', w, 4 * inputs * outputs, 4);
    this.#arena.require('bias', bias, 4 * outputs, 4);
    this.#arena.require('out', out, 4 * outputs, 4);
    this.#arena.require('kept', kept, 4 * inputs, 4);
    return this.#raw.gemv_thresholded({ x, norms, threshold, w, bias, out, kept, K: inputs, N: outputs });
  }

  #walk<Weights extends object>(weights: Weights, check: (arena: Arena, weights: Weights) => void): void {
    if (this.#walked.has(weights)) return;
    check(this.#arena, weights);
    this.#walked.add(weights);
  }
}
