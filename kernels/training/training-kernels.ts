import { WinnowError } from '../../errors.ts';
import { MAX_INPUTS } from '../dense/int8-matrix.ts';
import { type Arena, checkStarts, MAX_ROWS, requireCount } from '../runtime/arena.ts';
import type { RawKernels } from '../runtime/raw-kernels.ts';

/** A matrix of f32 in the arena: element (i, j) lies at `offset + 4 * (i * row + j * column)`; one of the strides is 1. */
export interface StridedMatrix {
  readonly offset: number;
  readonly row: number;
  readonly column: number;
}

/** Rows one after another: [rows][columns], or the first columns of rows that are `stride` floats apart. */
export const rowMajor = (offset: number, stride: number): StridedMatrix => ({
  offset,
  row: stride,
  column: 1,
});

/** The same memory with rows and columns exchanged. */
export const transposed = ({ offset, row, column }: StridedMatrix): StridedMatrix => ({
  offset,
  row: column,
  column: row,
});

/** Bytes of scratch of {@link TrainingKernels.gemm}: the packed blocks of the widest instruction set. */
export const GEMM_SCRATCH_BYTES = 4 * (256 * 256 + 12 * 256);

/** Bytes of scratch of {@link TrainingKernels.attentionBackward} for sequences of at most `longest` tokens. */
export const attentionBackwardScratchBytes = (longest: number): number =>
  8 * longest * Math.ceil(longest / 32) * 32 + GEMM_SCRATCH_BYTES;

/** Elements that one call may span. */
const MAX_COUNT = 2 ** 30;

/** Forward steps that keep what their gradients need, the gradients, and the optimiser. All f32; T rows of K columns. */
export class TrainingKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /**
   * c[M][N] = a[M][K] b[K][N] + bias, or + c where `accumulate` is set. Each element is a sum in a fixed order, whichever rows and columns
   * a call computes: products that are divided among threads give the same bits.
   *
   * @param call.cRow floats from one row of c to the next, N or more
   * @param call.scratch {@link GEMM_SCRATCH_BYTES} bytes
   */
  gemm(call: {
    a: StridedMatrix;
    b: StridedMatrix;
    bias?: number;
    c: number;
    cRow: number;
    rows: number;
    columns: number;
    depth: number;
    accumulate?: boolean;
    scratch: number;
  }): void {
    const { a, b, bias = 0, c, cRow, rows: M, columns: N, depth: K, accumulate = false, scratch } = call;
    requireCount('rows', M, 1, MAX_COUNT);
    requireCount('columns', N, 1, MAX_COUNT);
    requireCount('depth', K, 1, MAX_COUNT);
    requireCount('cRow', cRow, N, MAX_COUNT);
    this.#requireMatrix('a', a, M, K);
    this.#requireMatrix('b', b, K, N);
    this.#requireMatrix('c', rowMajor(c, cRow), M, N);
    if (bias !== 0) this.#arena.require('bias', bias, 4 * N, 4);
    this.#arena.require('scratch', scratch, GEMM_SCRATCH_BYTES, 4);
    this.#raw.gemm_strided({
      a: a.offset,
      b: b.offset,
      bias,
      c,
      scratch,
      M,
      N,
      K,
      aRow: a.row,
      aColumn: a.column,
      bRow: b.row,
      bColumn: b.column,
      cRow,
      accumulate: accumulate ? 1 : 0,
    });
  }

  /** out = LayerNorm(x + residual) * gamma + beta; `normal` [T][K] and `inverse` [T] are kept for the gradient. */
  layerNormForward(call: {
    x: number;
    residual?: number;
    gamma: number;
    beta: number;
    epsilon: number;
    normal: number;
    inverse: number;
    out: number;
    rows: number;
    columns: number;
  }): void {
    const { x, residual = 0, gamma, beta, epsilon, normal, inverse, out, rows: T, columns: K } = call;
    this.#requireRows({ x, normal, out, ...(residual && { residual }) }, T, K);
    this.#requireRows({ gamma, beta }, 1, K);
    this.#requireRows({ inverse }, T, 1);
    this.#raw.layer_norm_forward({ x, residual, gamma, beta, epsilon, normal, inverse, out, T, K });
  }

  /** The gradient of its input (x and residual alike); `dx` may be `dOut`. */
  layerNormBackward(call: {
    dOut: number;
    normal: number;
    inverse: number;
    gamma: number;
    dx: number;
    rows: number;
    columns: number;
  }): void {
    const { dOut, normal, inverse, gamma, dx, rows: T, columns: K } = call;
    this.#requireRows({ dOut, normal, dx }, T, K);
    this.#requireRows({ gamma }, 1, K);
    this.#requireRows({ inverse }, T, 1);
    this.#raw.layer_norm_backward({ dOut, normal, inverse, gamma, dx, T, K });
  }

  /** dx = dOut * GELU'(x) over `count` floats; `dx` may be `dOut`. */
  geluBackward(call: { x: number; dOut: number; dx: number; count: number }): void {
    const { x, dOut, dx, count } = call;
    requireCount('count', count, 1, MAX_COUNT);
    for (const [name, offset] of Object.entries({ x, dOut, dx }))
      this.#arena.require(name, offset, 4 * count, 4);
    this.#raw.gelu_backward({ x, dOut, dx, count });
  }

  /**
   * Gradient of {@link AttentionKernels.attend}: dQkv[T][3 * heads * headSize] from dOut[T][heads * headSize].
   *
   * @param call.scratch {@link attentionBackwardScratchBytes} bytes
   */
  attentionBackward(call: {
    qkv: number;
    starts: number;
    sequences: number;
    heads: number;
    headSize: number;
    dOut: number;
    dQkv: number;
    scratch: number;
  }): void {
    const { qkv, starts, sequences, heads, headSize: size, dOut, dQkv, scratch } = call;
    requireCount('heads', heads, 1, 1024);
    requireCount('headSize', size, 16, 1024);
    if (size % 16 !== 0)
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `head size ${size} is not a multiple of 16`);
    const rows = checkStarts(this.#arena, starts, sequences, MAX_ROWS);
    const offsets = this.#arena.ints(starts, sequences + 1);
    let longest = 0;
    for (let d = 0; d < sequences; d++) longest = Math.max(longest, offsets[d + 1]! - offsets[d]!);
    for (const [name, offset] of Object.entries({ qkv, dQkv }))
      this.#arena.require(name, offset, 12 * rows * heads * size, 4);
    this.#arena.require('dOut', dOut, 4 * rows * heads * size, 4);
    this.#arena.require('scratch', scratch, attentionBackwardScratchBytes(longest), 4);
    this.#raw.attention_backward({ qkv, starts, dOut, dQkv, scratch, sequences, heads, size });
  }

  /** out[K] += the sum of the rows of x, times those of `other` where there is one; rows are `stride` floats apart. */
  columnSums(call: {
    x: number;
    other?: number;
    out: number;
    rows: number;
    columns: number;
    stride: number;
  }): void {
    const { x, other = 0, out, rows: T, columns: K, stride } = call;
    requireCount('rows', T, 1, MAX_ROWS);
    requireCount('columns', K, 1, stride);
    for (const [name, offset] of Object.entries({ x, ...(other && { other }) }))
      this.#requireMatrix(name, rowMajor(offset, stride), T, K);
    this.#arena.require('out', out, 4 * K, 4);
    this.#raw.column_sums({ x, other, out, T, K, stride });
  }

  /** out[0] = the sum of squares of `count` floats. */
  sumSquares(x: number, count: number, out: number): void {
    requireCount('count', count, 1, MAX_COUNT);
    this.#arena.require('x', x, 4 * count, 4);
    this.#arena.require('out', out, 4, 4);
    this.#raw.sum_squares({ x, out, count });
  }

  /**
   * One AdamW step of w, `rows` rows of `columns` that are `stride` floats apart; gradient g and moments are dense.
   *
   * @param call.clip factor on the gradient
   * @param call.rate learning rate / (1 - beta1^t)
   * @param call.decay learning rate * weight decay
   * @param call.rootCorrection 1 / sqrt(1 - beta2^t)
   */
  adamw(call: {
    w: number;
    g: number;
    first: number;
    second: number;
    rows: number;
    columns: number;
    stride: number;
    clip: number;
    rate: number;
    decay: number;
    beta1: number;
    beta2: number;
    rootCorrection: number;
    epsilon: number;
  }): void {
    const { w, g, first, second, rows, columns: K, stride, ...rest } = call;
    requireCount('rows', rows, 1, MAX_COUNT);
    requireCount('columns', K, 1, stride);
    this.#requireMatrix('w', rowMajor(w, stride), rows, K);
    for (const [name, offset] of Object.entries({ g, first, second }))
      this.#arena.require(name, offset, 4 * rows * K, 4);
    this.#raw.adamw({ w, g, first, second, rows, K, stride, ...rest });
  }

  #requireMatrix(name: string, { offset, row, column }: StridedMatrix, rows: number, columns: number): void {
    if (!(Number.isInteger(row) && Number.isInteger(column) && Math.min(row, column) === 1))
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `strides ${row} and ${column}: one of them must be 1`, {
        place: name,
      });
    this.#arena.require(name, offset, 4 * ((rows - 1) * row + (columns - 1) * column + 1), 4);
  }

  #requireRows(regions: Readonly<Record<string, number>>, rows: number, columns: number): void {
    requireCount('rows', rows, 1, MAX_ROWS);
    requireCount('columns', columns, 1, MAX_INPUTS);
    for (const [name, offset] of Object.entries(regions))
      this.#arena.require(name, offset, 4 * rows * columns, 4);
  }
}
