// The specification of dense products.
import type { Arena } from '../runtime/arena.ts';
import type { ReferenceKernel } from '../runtime/reference-kernel.ts';

/** Sum over k of x[k] * w[n][k]; x at byte `row`, w in packed panels. */
export function dotInt8({ u8, i8 }: Arena, row: number, w: number, n: number, stride: number): number {
  const base = w + (n >> 4) * 16 * stride + (n & 15) * 4;
  let sum = 0;
  for (let k = 0; k < stride; k += 4) {
    const quad = base + k * 16;
    sum +=
      u8[row + k]! * i8[quad]! +
      u8[row + k + 1]! * i8[quad + 1]! +
      u8[row + k + 2]! * i8[quad + 2]! +
      u8[row + k + 3]! * i8[quad + 3]!;
  }
  return sum;
}

/** Sum over k of x[t][k] * w[n][k], all f32; w in packed panels. */
export function dotF32(
  { f32 }: Arena,
  { x, w, K }: { x: number; w: number; K: number },
  t: number,
  n: number,
): number {
  const panel = w / 4 + (n >> 4) * 16 * K + (n & 15);
  let sum = 0;
  for (let k = 0; k < K; k++) sum += f32[x / 4 + t * K + k]! * f32[panel + 16 * k]!;
  return sum;
}

/** Byte offsets of the f32 numbers that turn an integer product into a value. */
interface Scales {
  readonly xScale: number;
  readonly xMinimum: number;
  readonly wScale: number;
  readonly wSum: number;
  readonly bias: number;
}

/** An integer product of row t and output n without the scale of its weights and without bias. */
export const ofRow = (
  { f32 }: Arena,
  { xScale, xMinimum, wSum }: Scales,
  acc: number,
  t: number,
  n: number,
): number => f32[xScale / 4 + t]! * acc + f32[xMinimum / 4 + t]! * f32[wSum / 4 + n]!;

/** The value of output n from what {@link ofRow} gives. */
export const ofOutput = ({ f32 }: Arena, { wScale, bias }: Scales, value: number, n: number): number =>
  value * f32[wScale / 4 + n]! + f32[bias / 4 + n]!;

/** out[t][n] from the integer products of u7 rows with s8 weights; `dot(t, n)` gives each. */
export function eachOutput(
  arena: Arena,
  call: Scales & { readonly out: number; readonly T: number; readonly N: number; readonly outStride: number },
  dot: (t: number, n: number) => number,
): void {
  for (let t = 0; t < call.T; t++) {
    for (let n = 0; n < call.N; n++) {
      const value = ofRow(arena, call, dot(t, n), t, n);
      arena.f32[call.out / 4 + t * call.outStride + n] = ofOutput(arena, call, value, n);
    }
  }
}

export const gemmInt8: ReferenceKernel<'gemm_int8'> = (arena, call) => {
  const { x, w, stride } = call;
  eachOutput(arena, call, (t, n) => dotInt8(arena, x + t * stride, w, n, stride));
};

export const gemmF32: ReferenceKernel<'gemm_f32'> = (arena, call) => {
  const { bias, out, T, N } = call;
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      arena.f32[out / 4 + t * N + n] = dotF32(arena, call, t, n) + arena.f32[bias / 4 + n]!;
    }
  }
};
