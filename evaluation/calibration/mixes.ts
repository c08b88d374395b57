import { mixture } from '../../query/rerank/mixture.ts';
import { ndcgOf } from '../metrics.ts';
import type { ScoredQuery, ScoredSet, StageScored } from './stage-scores.ts';

/** Shares that are tried: 0, .05, ... 1. */
const SHARES = Array.from({ length: 21 }, (_, i) => i / 20);
const K = 10;

/** A way to use the stages. */
export interface Use {
  /** Share of the cosine; absent: no vectors. */
  readonly vector?: number;
  /** Share of the cross-encoder; absent: none. */
  readonly cross?: number;
  /** Documents that the cross-encoder reads; default: all that were scored. */
  readonly depth?: number;
}

/** The documents of a query in the order that a use of the stages gives, as `query/rerank/rerank.ts` orders them; ties as in the first ranking. */
export function ordered({ documents }: ScoredQuery, { vector, cross, depth }: Use): readonly StageScored[] {
  let ranking = documents.map((document, rank) => ({ document, rank, score: document.retrieval }));
  const reorder = (count: number, scoreOf: (document: StageScored) => number | undefined, mix: number) => {
    const first = ranking.slice(0, count);
    const scores = mixture(
      first.map(({ score }) => score),
      first.map(({ document }) => scoreOf(document)),
      mix,
    );
    const mixed = first.map((entry, i) => ({ ...entry, score: scores[i]! }));
    ranking = [...mixed.sort((a, b) => b.score - a.score || a.rank - b.rank), ...ranking.slice(count)];
  };
  if (vector !== undefined) reorder(ranking.length, (document) => document.vector, vector);
  if (cross !== undefined) reorder(depth ?? ranking.length, (document) => document.cross, cross);
  return ranking.map(({ document }) => document);
}

/** nDCG@10 of a use of the stages, by data set. */
export const ndcgBySet = (sets: readonly ScoredSet[], use: Use): number[] =>
  sets.map(({ queries }) =>
    mean(
      queries.map((query) => {
        const grades = ordered(query, use).map(({ grade }) => grade);
        return ndcgOf(grades, query.ideal, K);
      }),
    ),
  );

/** The share whose mean over the data sets is highest; of equal ones the smallest. */
export function bestShare(sets: readonly ScoredSet[], useOf: (share: number) => Use): number {
  let best = { share: 0, value: Number.NEGATIVE_INFINITY };
  for (const share of SHARES) {
    const value = mean(ndcgBySet(sets, useOf(share)));
    if (value > best.value + 1e-9) best = { share, value };
  }
  return best.share;
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
