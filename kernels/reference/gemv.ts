import type { Twin } from './twin.ts';

/** One-token product that skips small inputs; parameters as RawKernels.gemv_thresholded. */
export const gemvThresholded: Twin<'gemv_thresholded'> = (
  { f32, i32 },
  x,
  norms,
  threshold,
  w,
  bias,
  out,
  kept,
  K,
  N,
) => {
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
