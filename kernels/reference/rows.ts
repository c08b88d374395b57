// Row-wise steps of the reference backend. The parameters are those of RawKernels, offsets in bytes.
import type { Arena } from '../arena.ts';
import type { Twin } from './twin.ts';

const { fround } = Math;

function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Each step is rounded to f32 as the vector units do, so the bytes are identical. `x` is an index of f32. */
function quantizeRow(
  { f32, u8 }: Arena,
  x: number,
  out: number,
  scale: number,
  minimum: number,
  K: number,
  stride: number,
) {
  let low = Infinity;
  let high = -Infinity;
  for (let k = 0; k < K; k++) {
    low = Math.min(low, f32[x + k]!);
    high = Math.max(high, f32[x + k]!);
  }
  const range = fround(high - low);
  const inverse = range > fround(1e-30) ? fround(127 / range) : 0;
  f32[scale] = range / 127;
  f32[minimum] = low;
  for (let k = 0; k < K; k++) {
    const steps = Math.min(fround(fround(f32[x + k]! - low) * inverse), 127);
    u8[out + k] = roundHalfEven(steps);
  }
  u8.fill(0, out + K, out + stride);
}

export const quantizeRows: Twin<'quantize_rows'> = (arena, x, out, scale, minimum, T, K, stride) => {
  for (let t = 0; t < T; t++) {
    quantizeRow(arena, x / 4 + t * K, out + t * stride, scale / 4 + t, minimum / 4 + t, K, stride);
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

export const geluQuantize: Twin<'gelu_quantize'> = (arena, x, out, scale, minimum, T, K, stride) => {
  gelu(arena, x, T * K);
  quantizeRows(arena, x, out, scale, minimum, T, K, stride);
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
      quantizeRow(arena, to, quantized + t * stride, scale / 4 + t, minimum / 4 + t, K, stride);
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
