import { WinnowError } from '../errors.ts';
import { type Arena, MAX_ROWS, requireCount } from './arena.ts';
import {
  type Block4F32Matrix,
  type Block4Matrix,
  block4ScratchBytes,
  checkBlock4F32Matrix,
  checkBlock4Matrix,
} from './block-matrix.ts';
import { MAX_INPUTS, MAX_OUTPUTS } from './int8-matrix.ts';
import { checkN16Matrix, type N16Matrix } from './n16-matrix.ts';
import { checkOperand, type QuantizedRows } from './quantized-rows.ts';
import type { RawKernels } from './raw.ts';

/** Where an int8 product reads and writes; out[rows][outputs] f32. */
interface Product<Weights> {
  readonly input: QuantizedRows;
  readonly firstRow?: number;
  readonly rows: number;
  readonly weights: Weights;
  readonly out: number;
}

/** Products with sparse weights or sparse activations; sizes and offsets are checked as in {@link Kernels}. */
export class SparseKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;
  /** Matrices whose counts and indexes were walked once: they are too long to walk on every call. */
  readonly #walked = new WeakSet<object>();

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /** out = x w + bias with N:16 weights. */
  gemmN16({ input, firstRow = 0, rows, weights, out }: Product<N16Matrix>): void {
    checkOperand(this.#arena, input, firstRow, rows, weights.inputs);
    checkN16Matrix(this.#arena, weights);
    this.#arena.require('out', out, 4 * rows * weights.outputs, 4);
    this.#raw.gemm_n16(
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
      weights.passes,
      weights.outputs,
    );
  }

  /** out = x w + bias with 4x1 blocks; `scratch` has {@link block4ScratchBytes} bytes. */
  gemmBlock4({
    input,
    firstRow = 0,
    rows,
    weights,
    out,
    scratch,
  }: Product<Block4Matrix> & { scratch: number }): void {
    checkOperand(this.#arena, input, firstRow, rows, weights.inputs);
    this.#walk(weights, checkBlock4Matrix);
    this.#arena.require('out', out, 4 * rows * weights.outputs, 4);
    this.#arena.require('scratch', scratch, block4ScratchBytes(weights.inputs), 4);
    this.#raw.gemm_block4(
      input.values + firstRow * input.stride,
      input.scales + 4 * firstRow,
      input.minimums + 4 * firstRow,
      weights.blocks,
      weights.indexes,
      weights.counts,
      weights.scales,
      weights.sums,
      weights.bias,
      out,
      scratch,
      rows,
      input.stride,
      weights.outputs,
      weights.outputs,
    );
  }

  /** out[rows][N] = x[rows][K] w + bias, all f32, with 1x4 blocks; `scratch` has {@link block4ScratchBytes} bytes. */
  gemmBlock4F32(call: {
    x: number;
    rows: number;
    weights: Block4F32Matrix;
    out: number;
    scratch: number;
  }): void {
    const { x, rows, weights, out, scratch } = call;
    requireCount('rows', rows, 1, MAX_ROWS);
    this.#walk(weights, checkBlock4F32Matrix);
    this.#arena.require('x', x, 4 * rows * weights.inputs, 4);
    this.#arena.require('out', out, 4 * rows * weights.outputs, 4);
    this.#arena.require('scratch', scratch, block4ScratchBytes(weights.inputs), 4);
    this.#raw.gemm_block4_f32(
      x,
      weights.blocks,
      weights.indexes,
      weights.counts,
      weights.bias,
      out,
      scratch,
      rows,
      weights.inputs,
      weights.outputs,
    );
  }

  /**
   * One-token product out[N] = bias + x[K] w that skips every input with |x| * norms <= threshold: it reads less memory.
   * w is f32 [K][N]. Without `norms` the choice is by |x| alone (TEAL, arXiv 2408.14690); with the norms of w's rows it
   * is WINA's (arXiv 2505.19427). A negative threshold keeps all. `kept` is an i32[K] region for the inputs used.
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
    return this.#raw.gemv_thresholded(x, norms, threshold, w, bias, out, kept, inputs, outputs);
  }

  #walk<Weights extends object>(weights: Weights, check: (arena: Arena, weights: Weights) => void): void {
    if (this.#walked.has(weights)) return;
    check(this.#arena, weights);
    this.#walked.add(weights);
  }
}
