// The specification of products with sparse weights or sparse activations.
import { eachOutput } from '../dense/dense.reference.ts';
import type { ReferenceKernel } from '../runtime/reference-kernel.ts';

export const gemmN16: ReferenceKernel<'gemm_n16'> = (arena, call) => {
  const { i8, u8 } = arena;
  const { x, w, stride, passes } = call;
  const groups = stride / 16;
  eachOutput(arena, call, (t, n) => {
    let acc = 0;
    for (let group = 0; group < groups; group++) {
      for (let pass = 0; pass < passes; pass++) {
        const record = w + (((n >> 4) * groups + group) * passes + pass) * 128 + 4 * (n & 15);
        for (let i = 0; i < 4; i++) {
          acc += i8[record + i]! * u8[x + t * stride + 16 * group + (u8[record + 64 + i]! & 15)]!;
        }
      }
    }
    return acc;
  });
};

export const gemmBlock4: ReferenceKernel<'gemm_block4'> = (arena, call) => {
  const { i8, i32, u8, u16 } = arena;
  const { x, blocks, inputs, counts, stride } = call;
  let block = 0;
  // Outputs of a row are visited in ascending order, as the blocks are stored.
  eachOutput(arena, call, (t, n) => {
    if (n === 0) block = 0;
    let acc = 0;
    for (let left = i32[counts / 4 + n]!; left > 0; left--, block++) {
      const row = x + t * stride + 4 * u16[inputs / 2 + block]!;
      for (let i = 0; i < 4; i++) acc += u8[row + i]! * i8[blocks + 4 * block + i]!;
    }
    return acc;
  });
};

export const gemvThresholded: ReferenceKernel<'gemv_thresholded'> = ({ f32, i32 }, call) => {
  const { x, norms, threshold, w, bias, out, kept, K, N } = call;
  let count = 0;
  for (let k = 0; k < K; k++) {
    const importance = Math.abs(f32[x / 4 + k]!) * (norms === 0 ? 1 : f32[norms / 4 + k]!);
    if (Math.fround(importance) > Math.fround(threshold)) i32[kept / 4 + count++] = k;
  }
  for (let n = 0; n < N; n++) {
    let sum = f32[bias / 4 + n]!;
    for (let i = 0; i < count; i++) {
      const k = i32[kept / 4 + i]!;
      sum += f32[x / 4 + k]! * f32[w / 4 + k * N + n]!;
    }
    f32[out / 4 + n] = sum;
  }
  return count;
};
