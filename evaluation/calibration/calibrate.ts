import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { VectorSettings } from '../../encoder/model.ts';
import type { CrossEncoderSettings } from '../../encoder/rerank/model.ts';
import { WinnowError } from '../../errors.ts';
import { logistic } from '../../query/rerank/mixture.ts';
import { bestShare, mean, ndcgBySet, type Use } from './mixes.ts';
import { fitRelevance, type Relevance, type RelevancePoint, relevanceCurve } from './relevance.ts';
import type { ScoredSet, StageScored } from './stage-scores.ts';

/** One use of the stages, measured. */
export interface CalibrationRow {
  readonly name: string;
  /** Mean nDCG@10 over the data sets. */
  readonly mean: number;
  /** By data set, in their order. */
  readonly ndcg: readonly number[];
}

export interface Calibration {
  readonly datasets: readonly string[];
  readonly rows: readonly CalibrationRow[];
  /** What belongs into `winnow.vector` of the encoder's config; absent where the index has no vectors. */
  readonly vector?: Pick<VectorSettings, 'mix' | 'relevance'>;
  /** What belongs into `winnow` of the cross-encoder's config; absent without one. */
  readonly cross?: Pick<CrossEncoderSettings, 'mix' | 'cascadeMix' | 'relevance'>;
  /** What `minRelevance` does to the best use of the stages. */
  readonly curve: readonly RelevancePoint[];
}

const DEPTHS = [10, 20, 50, 100];

/**
 * Chooses how the scores of the stages are mixed and what a score says of relevance: the shares with the highest mean nDCG@10 over the
 * data sets, and logistic regressions. Choose by data sets that nothing is reported on afterwards.
 *
 * @param sets scored by one or both stages
 * @throws WinnowError WINNOW_BAD_DATASET where no stage scored anything, or no document is relevant
 */
export function calibrate(sets: readonly ScoredSet[]): Calibration {
  const all = sets.flatMap(({ queries }) => queries.flatMap(({ documents }) => documents));
  const hasVector = all.some(({ vector }) => vector !== undefined);
  const hasCross = all.some(({ cross }) => cross !== undefined);
  if (!hasVector && !hasCross)
    throw new WinnowError('WINNOW_BAD_DATASET', 'no stage scored any document', {
      place: 'calibrate',
      hint: 'give a model with vectors or a reranker, and data sets whose queries have hits',
    });
  const rows: CalibrationRow[] = [];
  const measure = (name: string, use: Use) => {
    const ndcg = ndcgBySet(sets, use);
    rows.push({ name, mean: mean(ndcg), ndcg });
  };
  measure('first ranking', {});
  let best: Use = {};
  let vector: Calibration['vector'];
  let cross: Calibration['cross'];
  if (hasVector) {
    const mix = bestShare(sets, (share) => ({ vector: share }));
    best = { vector: mix };
    vector = { mix, relevance: relevanceOf(sets, 'vector') };
    measure(`vector, share ${mix}`, best);
  }
  if (hasCross) {
    const mix = bestShare(sets, (share) => ({ cross: share }));
    cross = { mix, relevance: relevanceOf(sets, 'cross') };
    for (const depth of DEPTHS) measure(`cross, share ${mix}, best ${depth}`, { cross: mix, depth });
    if (vector) {
      const { mix: before } = vector;
      const cascadeMix = bestShare(sets, (share) => ({ vector: before, cross: share }));
      cross = { ...cross, cascadeMix };
      best = { vector: before, cross: cascadeMix };
      for (const depth of DEPTHS)
        measure(`vector, then cross, share ${cascadeMix}, best ${depth}`, { ...best, depth });
    } else best = { cross: mix };
  }
  const { slope, offset } = (cross ?? vector)!.relevance;
  const last = ({ vector, cross }: StageScored) => cross ?? vector ?? 0;
  const curve = relevanceCurve(sets, best, (document) => logistic(slope * last(document) + offset));
  return {
    datasets: sets.map(({ name }) => name),
    rows,
    ...(vector ? { vector } : {}),
    ...(cross ? { cross } : {}),
    curve,
  };
}

function relevanceOf(sets: readonly ScoredSet[], stage: 'vector' | 'cross'): Relevance {
  const fitted = fitRelevance(sets, (document) => document[stage]);
  if (fitted) return fitted;
  throw new WinnowError('WINNOW_BAD_DATASET', 'no hit is relevant, or all are: relevance cannot be told', {
    place: 'calibrate',
    hint: 'give data sets whose judgements name documents of their corpus',
  });
}

/**
 * Writes settings into the `config.json` of a model folder, beside its other fields.
 *
 * @param at path of the object to change below the config, e.g. `['winnow', 'vector']`
 */
export function storeSettings(folder: string, at: readonly string[], settings: object): void {
  const path = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  let target = config;
  for (const name of at) target = target[name] ??= {};
  Object.assign(target, settings);
  // A crash between two writes must not leave half a config.
  writeFileSync(`${path}.new`, `${JSON.stringify(config, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}
