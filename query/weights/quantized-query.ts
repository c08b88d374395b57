import { WinnowError } from '../../errors.ts';
import { MAX_IMPACT } from '../../indexer/format/format.ts';
import { MAX_QUERY_WEIGHT } from '../../kernels/search/layout.ts';

/** Scores are sums of `queryWeight * impact`, impact <= 255, kept below 2^31 so that kernels may compare them as signed. */
const MAX_SCORE = 0x7fff_ffff;

/** A query as integers: score(d) = sum over shared terms of `weights[i] * impact`, below 2^31, equal on every backend. */
export interface QuantizedQuery {
  /** Ascending. */
  readonly termIds: Uint16Array;
  /** 1..32,767 each. */
  readonly weights: Uint16Array;
  /** integer = round(weight * scale). */
  readonly scale: number;
}

/**
 * Scales query weights to integers that use the full 15 bits for the heaviest term, less for queries so long
 * (more than 257 terms) that a sum could overflow 31 bits. Terms that round to 0 are dropped.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT for negative or non-finite weights
 */
export function quantizeQuery(termIds: ArrayLike<number>, weights: ArrayLike<number>): QuantizedQuery {
  let heaviest = 0;
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (!(weight >= 0) || weight === Number.POSITIVE_INFINITY) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', `query weight ${weight} is not a finite number >= 0`, {
        place: 'query vector',
      });
    }
    heaviest = Math.max(heaviest, weight);
    sum += weight;
  }
  if (heaviest === 0) return { termIds: new Uint16Array(0), weights: new Uint16Array(0), scale: 1 };
  // Rounding adds at most half a unit per term.
  const scale = Math.min(MAX_QUERY_WEIGHT / heaviest, (MAX_SCORE / MAX_IMPACT - weights.length) / sum);
  // Term and weight in one number, so that a plain sort of numbers orders them by term.
  const kept: number[] = [];
  for (let i = 0; i < weights.length; i++) {
    const integer = Math.round(weights[i]! * scale);
    if (integer > 0) kept.push(termIds[i]! * 65_536 + integer);
  }
  if (kept.some((one, i) => i > 0 && one < kept[i - 1]!)) kept.sort((a, b) => a - b);
  const quantized = { termIds: new Uint16Array(kept.length), weights: new Uint16Array(kept.length), scale };
  for (let i = 0; i < kept.length; i++) {
    quantized.termIds[i] = Math.floor(kept[i]! / 65_536);
    quantized.weights[i] = kept[i]! % 65_536;
  }
  return quantized;
}
