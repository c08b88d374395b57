import type { CrossEncoder } from '../../encoder/rerank/cross-encoder.ts';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { searchableText } from '../../query/embedded/source-encoder.ts';
import type { ScoredDoc } from '../../query/retrieve/retriever.ts';
import { ensemble, type JudgeScores, type JudgeShares } from './ensemble.ts';
import { passageIds, readPassages } from './passages.ts';

/** A passage that was found for a query, with what the judges say of it together. */
export interface Candidate {
  /** Stored id. */
  readonly id: string;
  /** 0..1, comparable within one query. */
  readonly score: number;
}

export interface LabelOptions {
  readonly shares: JudgeShares;
  /** Passages that each of the two rankings brings, 1..1,000. */
  readonly depth: number;
  /** Source that is left out. */
  readonly hidden?: string | undefined;
  /** Sources that are scored whether they are found or not. */
  readonly wanted?: readonly string[];
}

/** BM25 scores of this many documents are looked at, so that what the other ranking finds has one, too. */
const BM25_SCORES = 1000;

/**
 * Finds passages for queries in an index of the user's documents, and lets BM25, the vectors of the index and a reranker say how well each
 * answers.
 */
export class Labeller {
  private readonly index: EmbeddedBackend;
  private readonly reranker: CrossEncoder;

  /** @param index whose model made vectors, else there is no vector judge */
  constructor(index: EmbeddedBackend, reranker: CrossEncoder) {
    this.index = index;
    this.reranker = reranker;
  }

  /**
   * @returns best first; equal scores by ascending id
   * @throws the signal's reason when it is aborted
   */
  async label(
    query: string,
    { shares, depth, hidden, wanted = [] }: LabelOptions,
    signal?: AbortSignal,
  ): Promise<Candidate[]> {
    const bm25 = this.index.rank(query, 'bm25', BM25_SCORES);
    const sparse = this.index.rank(query, 'sparse', Math.max(depth, wanted.length > 0 ? BM25_SCORES : depth));
    const found = new Map<string, ScoredDoc>([...bm25, ...sparse].map((doc) => [doc.id, doc]));
    const ids = new Set([...sparse.slice(0, depth), ...bm25.slice(0, depth)].map(({ id }) => id));
    for (const source of wanted) for (const id of passageIds(this.index, source)) ids.add(id);
    for (const id of [...ids]) if (parseStoredId(id).id === hidden) ids.delete(id);
    if (ids.size === 0) return [];
    const passages = [...readPassages(this.index, ids).values()];
    const [vector, cross] = await Promise.all([
      this.cosines(
        query,
        passages.map(({ id }) => found.get(id)),
        signal,
      ),
      this.reranker.score(
        query,
        passages.map(({ id, title, text }) => ({ key: id, title, text })),
        signal ? { signal } : {},
      ),
    ]);
    const words = new Map(bm25.map(({ id, score }) => [id, score]));
    const scores = ensemble(
      passages.map(
        ({ id }, i): JudgeScores => ({
          // What has none of the query's words, or few of many, is beyond the ranking.
          bm25: words.get(id) ?? 0,
          cross: cross[i]!,
          ...(vector[i] === undefined ? {} : { vector: vector[i] }),
        }),
      ),
      shares,
    );
    return passages
      .map(({ id }, i) => ({ id, score: scores[i]! }))
      .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
  }

  /** Cosine of the query's and each document's vector; undefined where a document has none or was not found. */
  private async cosines(
    query: string,
    docs: readonly (ScoredDoc | undefined)[],
    signal?: AbortSignal,
  ): Promise<(number | undefined)[]> {
    const [encoded] = await this.index.encode([query], 'query', signal);
    const vector = encoded?.vector;
    return docs.map((doc) => {
      const dense = vector && doc?.view.segment.denseVectors?.vector(doc.docId);
      if (!dense) return undefined;
      return dense.scale * dense.values.reduce((sum, value, i) => sum + value * vector[i]!, 0);
    });
  }
}

/** What the encoder reads of a passage. */
export const trainingText = searchableText;
