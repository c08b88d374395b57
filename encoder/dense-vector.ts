import type { DenseVector } from './types.ts';

/**
 * Rounds a vector to int8 with one scale.
 *
 * @returns undefined for a vector of zeros, which has no direction
 */
export function quantizeVector(vector: Float32Array): DenseVector | undefined {
  const largest = vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (!(largest > 0)) return undefined;
  const scale = Math.fround(largest / 127);
  return { values: Int8Array.from(vector, (value) => Math.round(value / scale)), scale };
}

/** The inner product of a unit vector with a stored one: the cosine, within the rounding of the stored one. */
export function cosineWith(query: Float32Array, { values, scale }: DenseVector): number {
  let sum = 0;
  for (let j = 0; j < values.length; j++) sum += query[j]! * values[j]!;
  return sum * scale;
}
