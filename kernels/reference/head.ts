// The vocabulary head of the reference backend. The parameters are those of RawKernels, offsets in bytes.
import type { Arena } from '../arena.ts';
import { dotInt8 } from './products.ts';
import type { Twin } from './twin.ts';

/** Calls `write(document, term, best, row)` with the largest `score(row, term)` and the first row that has it, or -1. */
function eachMaximum(
  { i32 }: Arena,
  starts: number,
  documents: number,
  terms: number,
  score: (row: number, term: number) => number,
  write: (document: number, term: number, best: number, row: number) => void,
): void {
  for (let d = 0; d < documents; d++) {
    for (let n = 0; n < terms; n++) {
      let best = -Infinity;
      let winner = -1;
      for (let t = i32[starts / 4 + d]!; t < i32[starts / 4 + d + 1]!; t++) {
        const value = Math.fround(score(t, n));
        if (value > best) {
          best = value;
          winner = t;
        }
      }
      write(d, n, best, winner);
    }
  }
}

export const headMaxInt8: Twin<'head_max_int8'> = (
  arena,
  x,
  xScale,
  xMinimum,
  w,
  wScale,
  wSum,
  bias,
  starts,
  out,
  documents,
  stride,
  N,
  outStride,
) => {
  const { f32 } = arena;
  const score = (t: number, n: number) =>
    f32[xScale / 4 + t]! * dotInt8(arena, x + t * stride, w, n, stride) +
    f32[xMinimum / 4 + t]! * f32[wSum / 4 + n]!;
  eachMaximum(arena, starts, documents, N, score, (d, n, best) => {
    f32[out / 4 + d * outStride + n] = best * f32[wScale / 4 + n]! + f32[bias / 4 + n]!;
  });
};

export const headArgmaxInt8: Twin<'head_argmax_int8'> = (
  arena,
  x,
  xScale,
  xMinimum,
  w,
  wScale,
  wSum,
  bias,
  starts,
  out,
  winners,
  documents,
  stride,
  N,
  outStride,
) => {
  const { f32, i32 } = arena;
  const score = (t: number, n: number) =>
    f32[xScale / 4 + t]! * dotInt8(arena, x + t * stride, w, n, stride) +
    f32[xMinimum / 4 + t]! * f32[wSum / 4 + n]!;
  eachMaximum(arena, starts, documents, N, score, (d, n, best, row) => {
    f32[out / 4 + d * outStride + n] = best * f32[wScale / 4 + n]! + f32[bias / 4 + n]!;
    i32[winners / 4 + d * outStride + n] = row;
  });
};

export const headArgmaxF32: Twin<'head_argmax_f32'> = (
  arena,
  x,
  w,
  bias,
  starts,
  out,
  winners,
  documents,
  K,
  N,
  outStride,
) => {
  const { f32, i32 } = arena;
  const score = (t: number, n: number) => {
    const panel = w / 4 + (n >> 4) * 16 * K + (n & 15);
    let sum = 0;
    for (let k = 0; k < K; k++) sum += f32[x / 4 + t * K + k]! * f32[panel + 16 * k]!;
    return sum;
  };
  eachMaximum(arena, starts, documents, N, score, (d, n, best, row) => {
    f32[out / 4 + d * outStride + n] = best + f32[bias / 4 + n]!;
    i32[winners / 4 + d * outStride + n] = row;
  });
};

export const scorePairsInt8: Twin<'score_pairs_int8'> = (
  { f32, i8, i32 },
  x,
  w,
  wScale,
  bias,
  rows,
  terms,
  out,
  pairs,
  K,
  stride,
) => {
  for (let i = 0; i < pairs; i++) {
    const term = i32[terms / 4 + i]!;
    const column = w + (term >> 4) * 16 * stride + (term & 15) * 4;
    const row = x / 4 + i32[rows / 4 + i]! * K;
    let sum = 0;
    for (let k = 0; k < K; k++) sum += f32[row + k]! * i8[column + (k >> 2) * 64 + (k & 3)]!;
    f32[out / 4 + i] = sum * f32[wScale / 4 + term]! + f32[bias / 4 + term]!;
  }
};

export const headBackward: Twin<'head_backward'> = (
  { f32, i32 },
  x,
  w,
  rows,
  terms,
  gradients,
  dx,
  dw,
  pairs,
  K,
) => {
  for (let i = 0; i < pairs; i++) {
    const row = i32[rows / 4 + i]! * K;
    const term = i32[terms / 4 + i]! * K;
    const g = f32[gradients / 4 + i]!;
    for (let k = 0; k < K; k++) {
      f32[dx / 4 + row + k] = f32[dx / 4 + row + k]! + g * f32[w / 4 + term + k]!;
      f32[dw / 4 + term + k] = f32[dw / 4 + term + k]! + g * f32[x / 4 + row + k]!;
    }
  }
};
