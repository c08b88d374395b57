// Row-wise steps of the reference backend. The parameters are those of RawKernels, offsets in bytes.
import type { Arena } from '../arena.ts';
import type { Twin } from './twin.ts';

const { fround } = Math;

function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/**
 * The bytes of one row; each step is rounded to f32 as the vector units do, so they are identical. `x` is an index of
 * f32, `share` and `splits` are byte offsets or 0, as in native/simd/rows.h.
 */
function quantizeRow(
  { f32, i32, u8 }: Arena,
  x: number,
  out: number,
  scale: number,
  minimum: number,
  K: number,
  stride: number,
  share: number,
  splits: number,
) {
  let low = Infinity;
  let high = -Infinity;
  for (let k = 0; k < K; k++) {
    const value = share === 0 ? f32[x + k]! : fround(f32[x + k]! * f32[share / 4 + k]!);
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const range = fround(high - low);
  const inverse = range > fround(1e-30) ? fround(127 / range) : 0;
  f32[scale] = range / 127;
  f32[minimum] = low;
  const total = (value: number, copies: number) => {
    const steps = fround(fround(value - fround(copies * low)) * inverse);
    return roundHalfEven(Math.max(0, Math.min(steps, 127 * copies)));
  };
  for (let k = 0; k < K; k++) u8[out + k] = total(f32[x + k]!, 1);
  u8.fill(0, out + K, out + stride);
  for (let i = 0; splits !== 0 && i < i32[splits / 4]!; i++) {
    const [column, copies, extra] = [0, 1, 2].map((field) => i32[splits / 4 + 1 + 3 * i + field]!);
    const sum = total(f32[x + column!]!, copies!);
    u8[out + column!] = Math.floor(sum / copies!);
    for (let c = 1; c < copies!; c++) u8[out + extra! + c - 1] = Math.floor((sum + c) / copies!);
  }
}

export const quantizeRows: Twin<'quantize_rows'> = (
  arena,
  x,
  out,
  scale,
  minimum,
  T,
  K,
  stride,
  share,
  splits,
) => {
  for (let t = 0; t < T; t++) {
    quantizeRow(
      arena,
      x / 4 + t * K,
      out + t * stride,
      scale / 4 + t,
      minimum / 4 + t,
      K,
      stride,
      share,
      splits,
    );
  }
};

/** erf within 1.2e-7 (Abramowitz & Stegun 7.1.26 has 1.5e-7; this is its Numerical Recipes refinement, erfc, 6.2). */
function erf(x: number): number {
  const z = Math.abs(x);
  const t = 1 / (1 + 0.5 * z);
  const series =
    -1.26551223 +
    t *
      (1.00002368 +
        t *
          (0.37409196 +
            t *
              (0.09678418 +
                t *
                  (-0.18628806 +
                    t *
                      (0.27886807 +
                        t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  const complement = t * Math.exp(-z * z + series);
  return x >= 0 ? 1 - complement : complement - 1;
}

export const gelu: Twin<'gelu'> = ({ f32 }, x, count) => {
  for (let i = x / 4; i < x / 4 + count; i++) f32[i] = 0.5 * f32[i]! * (1 + erf(f32[i]! * Math.SQRT1_2));
};

export const geluQuantize: Twin<'gelu_quantize'> = (
  arena,
  x,
  out,
  scale,
  minimum,
  T,
  K,
  stride,
  share,
  splits,
) => {
  gelu(arena, x, T * K);
  quantizeRows(arena, x, out, scale, minimum, T, K, stride, share, splits);
};

export const layerNormQuantize: Twin<'layer_norm_quantize'> = (
  arena,
  x,
  residual,
  gamma,
  beta,
  epsilon,
  out,
  quantized,
  scale,
  minimum,
  T,
  K,
  stride,
  share,
  splits,
) => {
  const { f32 } = arena;
  for (let t = 0; t < T; t++) {
    const to = out / 4 + t * K;
    let total = 0;
    for (let k = 0; k < K; k++) {
      f32[to + k] = f32[x / 4 + t * K + k]! + (residual === 0 ? 0 : f32[residual / 4 + t * K + k]!);
      total += f32[to + k]!;
    }
    const mean = total / K;
    let squares = 0;
    for (let k = 0; k < K; k++) squares += (f32[to + k]! - mean) ** 2;
    const factor = 1 / Math.sqrt(squares / K + epsilon);
    for (let k = 0; k < K; k++) {
      f32[to + k] = (f32[to + k]! - mean) * factor * f32[gamma / 4 + k]! + f32[beta / 4 + k]!;
    }
    if (quantized !== 0) {
      quantizeRow(
        arena,
        to,
        quantized + t * stride,
        scale / 4 + t,
        minimum / 4 + t,
        K,
        stride,
        share,
        splits,
      );
    }
  }
};

export const collectAbove: Twin<'collect_above'> = ({ f32, i32 }, values, threshold, indexes, kept, N) => {
  let count = 0;
  for (let n = 0; n < N; n++) {
    const value = f32[values / 4 + n]!;
    if (value > fround(threshold)) {
      i32[indexes / 4 + count] = n;
      f32[kept / 4 + count] = value;
      count++;
    }
  }
  return count;
};
