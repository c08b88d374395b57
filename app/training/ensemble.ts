/** Scores of one document by the judges; what a judge does not score is absent and counts as its lowest. */
export interface JudgeScores {
  readonly bm25?: number;
  readonly vector?: number;
  readonly cross?: number;
}

/** Shares of the judges, which add up to 1. */
export type JudgeShares = Readonly<Record<keyof JudgeScores, number>>;

/**
 * The bundled reranker has the share that spans were trained with (docs/training.md, "The sixth attempt": .3, since it was trained on
 * whole questions); of the rest BM25 has .2 and the vector .8, the best mixture of BM25 and dense teachers (docs/training.md, "Teachers").
 */
export const SPAN_SHARES: JudgeShares = { bm25: 0.14, vector: 0.56, cross: 0.3 };

/** For queries that people wrote the reranker has .7, its share in searches (models/winnow-rerank/config.json). */
export const QUESTION_SHARES: JudgeShares = { bm25: 0.06, vector: 0.24, cross: 0.7 };

/**
 * One score per document: the weighted mean of the judges, each min-max normalised over the documents of the query, so that no judge's
 * scale or outlier decides.
 *
 * @returns 0..1 each; a judge that scores all documents alike, or none, says nothing and its share goes to the others
 */
export function ensemble(documents: readonly JudgeScores[], shares: JudgeShares): number[] {
  const total = documents.map(() => 0);
  let used = 0;
  for (const judge of ['bm25', 'vector', 'cross'] as const) {
    const scores = documents.map((document) => document[judge]);
    const known = scores.filter((score) => score !== undefined);
    const low = Math.min(...known);
    const range = Math.max(...known) - low;
    if (!(range > 0)) continue;
    used += shares[judge];
    scores.forEach((score, i) => {
      total[i]! += shares[judge] * (score === undefined ? 0 : (score - low) / range);
    });
  }
  return total.map((sum) => (used > 0 ? sum / used : 0));
}
