import { logistic } from '../../query/rerank/mixture.ts';
import { mean, ordered, type Use } from './mixes.ts';
import type { ScoredSet, StageScored } from './stage-scores.ts';

/** Relevance of a score: 1 / (1 + exp(-(slope * score + offset))). */
export interface Relevance {
  readonly slope: number;
  readonly offset: number;
}

const STEPS = 100;
/** Keeps the slope finite where scores separate relevant documents from others without error. */
const RIDGE = 1e-4;

/**
 * Logistic regression of "a judge called the document relevant" on a stage's score (Platt scaling), by Newton's method. Each data set
 * has the same weight. Documents that nobody judged count as not relevant, so relevance is rather too low than too high.
 *
 * @returns undefined without a relevant and a not relevant document
 */
export function fitRelevance(
  sets: readonly ScoredSet[],
  scoreOf: (document: StageScored) => number | undefined,
): Relevance | undefined {
  const samples = sets.flatMap(({ queries }) => {
    const documents = queries.flatMap((query) => query.documents);
    return documents.flatMap((document) => {
      const score = scoreOf(document);
      if (score === undefined) return [];
      return [{ score, relevant: document.grade > 0 ? 1 : 0, weight: 1 / documents.length }];
    });
  });
  const share = samples.filter(({ relevant }) => relevant === 1).length;
  if (share === 0 || share === samples.length) return undefined;
  const total = samples.reduce((sum, { weight }) => sum + weight, 0);
  const centre = samples.reduce((sum, { score, weight }) => sum + (weight * score) / total, 0);
  const spread =
    Math.sqrt(
      samples.reduce((sum, { score, weight }) => sum + (weight * (score - centre) ** 2) / total, 0),
    ) || 1;
  // Fitted on standardised scores, where Newton's method starts well for logits and cosines alike.
  let slope = 0;
  let offset = 0;
  for (let step = 0; step < STEPS; step++) {
    let [gs, go, ss, so, oo] = [RIDGE * slope, 0, RIDGE, 0, 1e-12];
    for (const { score, relevant, weight } of samples) {
      const x = (score - centre) / spread;
      const p = logistic(slope * x + offset);
      const error = (weight / total) * (p - relevant);
      const curve = (weight / total) * p * (1 - p);
      gs += error * x;
      go += error;
      ss += curve * x * x;
      so += curve * x;
      oo += curve;
    }
    const determinant = ss * oo - so * so;
    const ds = (oo * gs - so * go) / determinant;
    const dOffset = (ss * go - so * gs) / determinant;
    // A long step overshoots where almost all documents are irrelevant.
    const scale = Math.min(1, 2 / Math.max(Math.abs(ds), Math.abs(dOffset), 1e-300));
    slope -= scale * ds;
    offset -= scale * dOffset;
    if (Math.max(Math.abs(ds), Math.abs(dOffset)) < 1e-9) break;
  }
  return { slope: slope / spread, offset: offset - (slope * centre) / spread };
}

/** What `minRelevance` does to the first ten hits. */
export interface RelevancePoint {
  readonly minRelevance: number;
  /** Share of the hits that remain which a judge called relevant. */
  readonly precision: number;
  /** Share of the relevant documents among the first ten that remain. */
  readonly recall: number;
  /** Share of the queries without any hit left. */
  readonly empty: number;
}

/** Precision and recall of the first ten hits at thresholds 0, .05, ... .95: means over the data sets. */
export function relevanceCurve(
  sets: readonly ScoredSet[],
  use: Use,
  relevanceOf: (document: StageScored) => number,
): RelevancePoint[] {
  const bySet = sets.map(({ queries }) => queries.map((query) => ordered(query, use).slice(0, 10)));
  return Array.from({ length: 20 }, (_, i) => {
    const minRelevance = i / 20;
    const figures = bySet.map((queries) => {
      const sum = { kept: 0, good: 0, all: 0, empty: 0 };
      for (const hits of queries) {
        const left = hits.filter((hit) => relevanceOf(hit) >= minRelevance);
        sum.kept += left.length;
        sum.good += left.filter(({ grade }) => grade > 0).length;
        sum.all += hits.filter(({ grade }) => grade > 0).length;
        if (left.length === 0) sum.empty++;
      }
      return {
        precision: sum.kept === 0 ? undefined : sum.good / sum.kept,
        recall: sum.good / Math.max(1, sum.all),
        empty: sum.empty / Math.max(1, queries.length),
      };
    });
    const known = figures.flatMap(({ precision }) => (precision === undefined ? [] : [precision]));
    return {
      minRelevance,
      precision: known.length === 0 ? 1 : mean(known),
      recall: mean(figures.map(({ recall }) => recall)),
      empty: mean(figures.map(({ empty }) => empty)),
    };
  });
}
