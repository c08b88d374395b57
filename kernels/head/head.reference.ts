// The specification of the vocabulary head.
import { dotF32, dotInt8, ofOutput, ofRow } from '../dense/dense.reference.ts';
import type { Arena } from '../runtime/arena.ts';
import type { ReferenceKernel } from '../runtime/reference-kernel.ts';

interface MaximumCall {
  readonly starts: number;
  readonly out: number;
  readonly argmaxRow: number;
  readonly documents: number;
  readonly N: number;
  readonly outStride: number;
}

/** The largest `score(row, term)` of each document and term, after `complete`, and the first row that has it, or -1. */
function eachMaximum(
  { f32, i32 }: Arena,
  { starts, out, argmaxRow, documents, N, outStride }: MaximumCall,
  score: (row: number, term: number) => number,
  complete: (best: number, term: number) => number,
): void {
  for (let d = 0; d < documents; d++) {
    for (let n = 0; n < N; n++) {
      let best = -Infinity;
      let row = -1;
      for (let t = i32[starts / 4 + d]!; t < i32[starts / 4 + d + 1]!; t++) {
        const value = Math.fround(score(t, n));
        if (value > best) {
          best = value;
          row = t;
        }
      }
      f32[out / 4 + d * outStride + n] = complete(best, n);
      if (argmaxRow !== 0) i32[argmaxRow / 4 + d * outStride + n] = row;
    }
  }
}

export const headArgmaxInt8: ReferenceKernel<'head_argmax_int8'> = (arena, call) => {
  const { x, w, stride } = call;
  eachMaximum(
    arena,
    call,
    (t, n) => ofRow(arena, call, dotInt8(arena, x + t * stride, w, n, stride), t, n),
    (best, n) => ofOutput(arena, call, best, n),
  );
};

export const headArgmaxF32: ReferenceKernel<'head_argmax_f32'> = (arena, call) => {
  eachMaximum(
    arena,
    call,
    (t, n) => dotF32(arena, call, t, n),
    (best, n) => best + arena.f32[call.bias / 4 + n]!,
  );
};

export const scorePairsInt8: ReferenceKernel<'score_pairs_int8'> = ({ f32, i8, i32 }, call) => {
  const { x, w, wScale, bias, rows, terms, out, pairs, K, stride } = call;
  for (let i = 0; i < pairs; i++) {
    const term = i32[terms / 4 + i]!;
    const column = w + (term >> 4) * 16 * stride + (term & 15) * 4;
    const row = x / 4 + i32[rows / 4 + i]! * K;
    let sum = 0;
    for (let k = 0; k < K; k++) sum += f32[row + k]! * i8[column + (k >> 2) * 64 + (k & 3)]!;
    f32[out / 4 + i] = sum * f32[wScale / 4 + term]! + f32[bias / 4 + term]!;
  }
};

export const headBackward: ReferenceKernel<'head_backward'> = ({ f32, i32 }, call) => {
  const { x, w, rows, terms, gradients, dx, dw, pairs, K } = call;
  for (let i = 0; i < pairs; i++) {
    const row = i32[rows / 4 + i]! * K;
    const term = i32[terms / 4 + i]! * K;
    const g = f32[gradients / 4 + i]!;
    for (let k = 0; k < K; k++) {
      f32[dx / 4 + row + k] = f32[dx / 4 + row + k]! + g * f32[w / 4 + term + k]!;
      if (dw) f32[dw / 4 + term + k] = f32[dw / 4 + term + k]! + g * f32[x / 4 + row + k]!;
    }
  }
};
