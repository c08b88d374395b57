// The specification of the row-wise steps.
import type { Arena } from '../runtime/arena.ts';
import type { ReferenceKernel } from '../runtime/reference-kernel.ts';

const { fround } = Math;

function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Where and how rows are quantised; offsets in bytes, `share` and `splits` 0 when no column is split. */
interface Quantisation {
  readonly scale: number;
  readonly minimum: number;
  readonly K: number;
  readonly stride: number;
  readonly share: number;
  readonly splits: number;
}

/**
 * The bytes of row t; each step is rounded to f32 as the vector units do, so they are identical.
 *
 * @param x index of the row in f32; @param out byte offset of its bytes
 */
function quantizeRow(
  { f32, i32, u8 }: Arena,
  x: number,
  out: number,
  t: number,
  quantisation: Quantisation,
): void {
  const { scale, minimum, K, stride, share, splits } = quantisation;
  let low = Infinity;
  let high = -Infinity;
  for (let k = 0; k < K; k++) {
    const value = share === 0 ? f32[x + k]! : fround(f32[x + k]! * f32[share / 4 + k]!);
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const range = fround(high - low);
  const inverse = range > fround(1e-30) ? fround(127 / range) : 0;
  f32[scale / 4 + t] = range / 127;
  f32[minimum / 4 + t] = low;
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

export const quantizeRows: ReferenceKernel<'quantize_rows'> = (arena, call) => {
  const { x, out, T, K, stride } = call;
  for (let t = 0; t < T; t++) quantizeRow(arena, x / 4 + t * K, out + t * stride, t, call);
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

/** Share of the normal distribution that lies below x. */
const normalBelow = (x: number): number => 0.5 * (1 + erf(x * Math.SQRT1_2));

export const gelu: ReferenceKernel<'gelu'> = ({ f32 }, { x, out, count }) => {
  for (let i = 0; i < count; i++) f32[out / 4 + i] = f32[x / 4 + i]! * normalBelow(f32[x / 4 + i]!);
};

export const geluBackward: ReferenceKernel<'gelu_backward'> = ({ f32 }, { x, dOut, dx, count }) => {
  for (let i = 0; i < count; i++) {
    const v = f32[x / 4 + i]!;
    const bell = Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI);
    f32[dx / 4 + i] = f32[dOut / 4 + i]! * (normalBelow(v) + v * bell);
  }
};

export const geluQuantize: ReferenceKernel<'gelu_quantize'> = (arena, call) => {
  gelu(arena, { x: call.x, out: call.x, count: call.T * call.K });
  quantizeRows(arena, call);
};

export const layerNormQuantize: ReferenceKernel<'layer_norm_quantize'> = (arena, call) => {
  const { f32 } = arena;
  const { x, residual, gamma, beta, epsilon, out, quantized, T, K, stride } = call;
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
    if (quantized !== 0) quantizeRow(arena, to, quantized + t * stride, t, call);
  }
};

export const embed: ReferenceKernel<'embed'> = ({ f32, i8, i32 }, call) => {
  const { ids, positions, types, words, wordScale, positionRows, typeRows, out, T, K, stride } = call;
  for (let t = 0; t < T; t++) {
    const id = i32[ids / 4 + t]!;
    const position = positionRows / 4 + i32[positions / 4 + t]! * K;
    const type = typeRows / 4 + i32[types / 4 + t]! * K;
    const word = words + (id >> 4) * 16 * stride + (id & 15) * 4;
    const scale = f32[wordScale / 4 + id]!;
    for (let k = 0; k < K; k++) {
      f32[out / 4 + t * K + k] =
        scale * i8[word + (k >> 2) * 64 + (k & 3)]! + f32[position + k]! + f32[type + k]!;
    }
  }
};

export const collectAbove: ReferenceKernel<'collect_above'> = ({ f32, i32 }, call) => {
  const { values, threshold, indexes, kept, N } = call;
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
