// Products of the reference backend. The parameters are those of RawKernels, offsets in bytes.
import type { Arena } from '../arena.ts';
import type { Twin } from './twin.ts';

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

export const gemmInt8: Twin<'gemm_int8'> = (
  arena,
  x,
  xScale,
  xMinimum,
  w,
  wScale,
  wSum,
  bias,
  out,
  T,
  stride,
  N,
  outStride,
) => {
  const { f32 } = arena;
  for (let t = 0; t < T; t++) {
    const scale = f32[xScale / 4 + t]!;
    const minimum = f32[xMinimum / 4 + t]!;
    for (let n = 0; n < N; n++) {
      const value = scale * dotInt8(arena, x + t * stride, w, n, stride) + minimum * f32[wSum / 4 + n]!;
      f32[out / 4 + t * outStride + n] = value * f32[wScale / 4 + n]! + f32[bias / 4 + n]!;
    }
  }
};

export const gemmInt8Exact: Twin<'gemm_int8_exact'> = (arena, x, w, out, T, stride, N) => {
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) arena.i32[out / 4 + t * N + n] = dotInt8(arena, x + t * stride, w, n, stride);
  }
};

export const embed: Twin<'embed'> = (
  arena,
  ids,
  positions,
  types,
  words,
  wordScale,
  places,
  kinds,
  out,
  T,
  K,
  stride,
) => {
  const { f32, i8, i32 } = arena;
  for (let t = 0; t < T; t++) {
    const id = i32[ids / 4 + t]!;
    const place = places / 4 + i32[positions / 4 + t]! * K;
    const kind = kinds / 4 + i32[types / 4 + t]! * K;
    const word = words + (id >> 4) * 16 * stride + (id & 15) * 4;
    const scale = f32[wordScale / 4 + id]!;
    for (let k = 0; k < K; k++) {
      f32[out / 4 + t * K + k] =
        scale * i8[word + (k >> 2) * 64 + (k & 3)]! + f32[place + k]! + f32[kind + k]!;
    }
  }
};

export const gemmF32: Twin<'gemm_f32'> = ({ f32 }, x, w, bias, out, T, K, N) => {
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      const panel = w / 4 + (n >> 4) * 16 * K + (n & 15);
      let sum = 0;
      for (let k = 0; k < K; k++) sum += f32[x / 4 + t * K + k]! * f32[panel + 16 * k]!;
      f32[out / 4 + t * N + n] = sum + f32[bias / 4 + n]!;
    }
  }
};
