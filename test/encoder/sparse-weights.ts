import type { SparsePattern } from '../../encoder/transformer/sparse-storage.ts';

export const PATTERNS: readonly SparsePattern[] = ['4:16', '8:16', '4x1'];

/** Random int8 weights whose zeros follow a pattern: 4 or 8 of 16 inputs at random places, or a quarter of the 4x1 blocks. */
export function sparseWeights(
  outputs: number,
  inputs: number,
  pattern: SparsePattern,
  random: () => number,
): Int8Array {
  const data = new Int8Array(outputs * inputs);
  const weight = () => 1 + Math.floor(random() * 127) * (random() < 0.5 ? 1 : -1);
  const [unit, group, keep] = pattern === '4x1' ? [4, 16, 1] : [1, 16, Number(pattern[0])];
  for (let n = 0; n < outputs; n++) {
    for (let first = 0; first < inputs; first += group) {
      const units = Array.from({ length: group / unit }, (_, i) => first + i * unit);
      for (let left = keep; left > 0; left--) {
        const [at] = units.splice(Math.floor(random() * units.length), 1);
        for (let k = at!; k < at! + unit && k < inputs; k++) data[n * inputs + k] = weight();
      }
    }
  }
  return data;
}
