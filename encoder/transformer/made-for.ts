import type { Tensor } from './weights-file.ts';

// Some files of a model folder fit one file of weights only. They hold a tensor that says which.

/** @param weightsHash hexadecimal, of the weights that a file is made for @returns the tensor and its name */
export const madeFor = (file: string, weightsHash: string): readonly [string, Tensor] => [
  `${file}.made_for`,
  {
    dtype: 'f32',
    shape: [8],
    // 16-bit pieces of the hash, which an f32 holds exactly.
    data: Float32Array.from({ length: 8 }, (_, i) =>
      Number.parseInt(weightsHash.slice(4 * i, 4 * i + 4), 16),
    ),
  },
];

/** Whether {@link madeFor} these weights is among the tensors. */
export function isMadeFor(file: string, tensors: ReadonlyMap<string, Tensor>, weightsHash: string): boolean {
  const [name, { data }] = madeFor(file, weightsHash);
  const own = tensors.get(name)?.data;
  return own !== undefined && own.length === data.length && data.every((piece, i) => piece === own[i]);
}
