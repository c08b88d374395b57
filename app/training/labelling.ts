import { cosineWith } from '../../encoder/dense-vector.ts';
import type { CrossEncoder } from '../../encoder/rerank/cross-encoder.ts';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import type { ScoredDoc } from '../../query/retrieve/retriever.ts';
import { ensemble, type JudgeScores, type JudgeShares } from './ensemble.ts';
import { type Passage, passageIds, readPassages } from './passages.ts';

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
  /** Passages that the reranker reads, those that the other judges like best, 0..; it takes most of the time. */
  readonly rerankDepth: number;
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
    { shares, depth, rerankDepth, hidden, wanted = [] }: LabelOptions,
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
    const vector = await this.cosines(
      query,
      passages.map(({ id }) => found.get(id)),
      signal,
    );
    const words = new Map(bm25.map(({ id, score }) => [id, score]));
    const judged = passages.map(
      ({ id }, i): JudgeScores => ({
        // What has none of the query's words, or few of many, is beyond the ranking.
        bm25: words.get(id) ?? 0,
        ...(vector[i] === undefined ? {} : { vector: vector[i] }),
      }),
    );
    const first = ensemble(judged, shares);
    const isWanted = ({ id }: Passage): boolean => wanted.includes(parseStoredId(id).id);
    const order = passages
      .map((passage, i) => ({ passage, i }))
      .sort((a, b) => Number(isWanted(b.passage)) - Number(isWanted(a.passage)) || first[b.i]! - first[a.i]!)
      .slice(0, rerankDepth);
    const cross = await this.crossScores(
      query,
      order.map(({ passage }) => passage),
      signal,
    );
    order.forEach(({ i }, at) => {
      judged[i] = { ...judged[i]!, cross: cross[at]! };
    });
    const scores = ensemble(judged, shares);
    return passages
      .map(({ id }, i) => ({ id, score: scores[i]! }))
      .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
  }

  private async crossScores(
    query: string,
    passages: readonly Passage[],
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    if (passages.length === 0) return new Float32Array(0);
    return this.reranker.score(
      query,
      passages.map(({ id, title, text }) => ({ key: id, title, text })),
      signal ? { signal } : {},
    );
  }

  /** Cosine of the query's and each document's vector; undefined where a document has none or was not found. */
  private async cosines(
    query: string,
    docs: readonly (ScoredDoc | undefined)[],
    signal?: AbortSignal,
  ): Promise<(number | undefined)[]> {
    const [encoded] = await this.index.encode([query], 'query', signal);
    const vector = encoded?.vector && Float32Array.from(encoded.vector);
    return docs.map((doc) => {
      const dense = vector && doc?.view.segment.denseVectors?.vector(doc.docId);
      return vector && dense && cosineWith(vector, dense);
    });
  }
}
