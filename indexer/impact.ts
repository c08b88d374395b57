import { MAX_IMPACT } from './format.ts';
import type { ImpactVector, WeightVector } from './types.ts';

/**
 * Rounds weights to u8 impacts; weights above `255 * impactScale` are clipped, weights that round to 0 are dropped.
 *
 * One scale for a whole index costs nothing measurable (recall@10 .997 against float; Hermes notes) and lets scores be
 * integers that are equal on every backend.
 */
export function quantizeImpacts({ termIds, weights }: WeightVector, impactScale: number): ImpactVector {
  const impacts = Uint8Array.from(weights, (weight) =>
    Math.min(MAX_IMPACT, Math.round(weight / impactScale)),
  );
  if (!impacts.includes(0)) return { termIds, impacts };
  const kept = impacts.reduce((count, impact) => count + (impact > 0 ? 1 : 0), 0);
  const keptIds = new Uint16Array(kept);
  const keptImpacts = new Uint8Array(kept);
  let n = 0;
  impacts.forEach((impact, i) => {
    if (impact === 0) return;
    keptIds[n] = termIds[i]!;
    keptImpacts[n++] = impact;
  });
  return { termIds: keptIds, impacts: keptImpacts };
}
