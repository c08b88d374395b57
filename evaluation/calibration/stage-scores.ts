import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import type { EvaluationDataset } from '../dataset.ts';
import { isOwnDocument } from '../evaluate.ts';
import { idealGrades } from '../metrics.ts';

/** A document that the first ranking found, with the score of every stage. */
export interface StageScored {
  /** Grade of the judgement; 0 for documents that nobody judged. */
  readonly grade: number;
  readonly retrieval: number;
  readonly vector?: number;
  readonly cross?: number;
}

/** The best documents of one query, in the order of the first ranking. */
export interface ScoredQuery {
  readonly documents: readonly StageScored[];
  /** Positive grades of all judged documents, descending: the best order that there could be. */
  readonly ideal: readonly number[];
}

/** The queries of one data set. */
export interface ScoredSet {
  readonly name: string;
  readonly queries: readonly ScoredQuery[];
}

/**
 * Scores the best documents of a data set's queries by every stage that the index has.
 *
 * @param queries at most this many, evenly spaced among those of the data set
 * @param depth documents per query, 1..1,000
 * @throws WinnowError of the models
 */
export async function scoreStages(
  dataset: EvaluationDataset,
  index: EmbeddedBackend,
  { queries, depth }: { readonly queries: number; readonly depth: number },
  onQuery: (done: number, total: number) => void,
): Promise<ScoredSet> {
  const chosen = evenly(dataset.queries, queries);
  const scored: ScoredQuery[] = [];
  for (const { id, text } of chosen) {
    const grades = dataset.qrels.get(id)!;
    const found = await index.rankReranked(text, 'sparse', depth, { rerank: true, rerankDepth: depth });
    const documents = (await withoutOwn(dataset, id, found))
      .map(({ id, stages, score }): StageScored => {
        const { retrieval = score, vector, cross } = stages ?? {};
        return {
          grade: Math.max(0, grades.get(id) ?? 0),
          retrieval,
          ...(vector === undefined ? {} : { vector }),
          ...(cross === undefined ? {} : { cross }),
        };
      })
      .sort((a, b) => b.retrieval - a.retrieval);
    scored.push({ documents, ideal: idealGrades(grades) });
    onQuery(scored.length, chosen.length);
  }
  return { name: dataset.name, queries: scored };
}

/** The hits of a query that is no document of the collection itself, or without that document. */
export async function withoutOwn<Hit extends { readonly id: string }>(
  dataset: EvaluationDataset,
  id: string,
  hits: readonly Hit[],
): Promise<readonly Hit[]> {
  const isOwn = hits.some((hit) => hit.id === id) && (await isOwnDocument(dataset, id, 'same-text'));
  return isOwn ? hits.filter((hit) => hit.id !== id) : hits;
}

/** At most `count` of the items, evenly spaced. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  const step = Math.max(1, items.length / count);
  return items.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
}
