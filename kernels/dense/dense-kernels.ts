import { checkOperand, checkResult, int8Operands, type Product } from '../rows/quantized-rows.ts';
import { type Arena, MAX_ROWS, requireCount } from '../runtime/arena.ts';
import type { RawKernels } from '../runtime/raw-kernels.ts';
import { checkF32Matrix, type F32Matrix } from './f32-matrix.ts';
import { checkInt8Matrix, type Int8Matrix } from './int8-matrix.ts';

/** Products with dense weights; offsets and sizes are checked as in {@link Kernels}. */
export class DenseKernels {
  readonly #arena: Arena;
  readonly #raw: RawKernels;

  constructor(arena: Arena, raw: RawKernels) {
    this.#arena = arena;
    this.#raw = raw;
  }

  /** out[T][outStride] f32 = x (rows firstRow.. of the quantised input) times w, plus bias. */
  gemmInt8(call: Product<Int8Matrix>): void {
    const { input, rows, weights, out, firstRow = 0 } = call;
    checkOperand(this.#arena, input, firstRow, rows, weights.inputs);
    checkInt8Matrix(this.#arena, weights);
    const outStride = checkResult(this.#arena, call);
    this.#raw.gemm_int8(
      Object.assign(int8Operands(input, firstRow, weights), { w: weights.values, out, T: rows, outStride }),
    );
  }

  /** out[T][N] = x[T][K] w + bias, all f32. */
  gemmF32(call: { x: number; rows: number; weights: F32Matrix; out: number }): void {
    const { x, rows, weights, out } = call;
    requireCount('rows', rows, 1, MAX_ROWS);
    checkF32Matrix(this.#arena, weights);
    this.#arena.require('x', x, 4 * rows * weights.inputs, 4);
    this.#arena.require('out', out, 4 * rows * weights.outputs, 4);
    const { values: w, bias, inputs: K, outputs: N } = weights;
    this.#raw.gemm_f32({ x, w, bias, out, T: rows, K, N });
  }
}
