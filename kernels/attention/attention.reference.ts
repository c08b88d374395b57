import type { ReferenceKernel } from '../runtime/reference-kernel.ts';

/** softmax(q k^T / sqrt(size)) v for every sequence and head; needs no scratch. */
export const attention: ReferenceKernel<'attention'> = ({ f32, i32 }, call) => {
  const { qkv, starts, out, sequences, queries, heads, size } = call;
  const width = heads * size;
  const row = 3 * width;
  const factor = 1 / Math.sqrt(size);
  for (let d = 0; d < sequences; d++) {
    const first = i32[starts / 4 + d]!;
    const length = i32[starts / 4 + d + 1]! - first;
    const weights = new Float64Array(length);
    for (let h = 0; h < heads; h++) {
      const base = qkv / 4 + first * row + h * size;
      for (let t = 0; t < Math.min(length, queries); t++) {
        let top = -Infinity;
        for (let s = 0; s < length; s++) {
          let score = 0;
          for (let k = 0; k < size; k++) score += f32[base + t * row + k]! * f32[base + s * row + width + k]!;
          weights[s] = score * factor;
          top = Math.max(top, weights[s]!);
        }
        let total = 0;
        for (let s = 0; s < length; s++) {
          weights[s] = Math.exp(weights[s]! - top);
          total += weights[s]!;
        }
        for (let k = 0; k < size; k++) {
          let mixed = 0;
          for (let s = 0; s < length; s++) mixed += weights[s]! * f32[base + s * row + 2 * width + k]!;
          f32[out / 4 + (first + t) * width + h * size + k] = mixed / total;
        }
      }
    }
  }
};
