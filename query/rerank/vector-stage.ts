import { LRUCache } from 'lru-cache';
import { cosineWith } from '../../encoder/dense-vector.ts';
import type { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import type { TokenVectors } from '../../encoder/token-vectors.ts';
import type { FoundDoc, FoundQuery } from '../retrieve/retriever.ts';
import type { InstantStage, RerankSettings, RerankStage } from './stage.ts';

/** Vectors of queries that are kept, so that the pages of a query need one pass. */
const KEPT_QUERIES = 256;

/** Scores documents by the cosine of their vectors with that of the query. */
export function vectorStage(
  settings: RerankSettings,
  encodeQuery: (query: string, signal: AbortSignal | undefined) => Promise<Float32Array>,
): RerankStage {
  const kept = new LRUCache<string, Float32Array>({ max: KEPT_QUERIES });
  return {
    name: 'vector',
    settings,
    async score({ text }, docs, { signal }) {
      let query = kept.get(text);
      if (!query) {
        query = await encodeQuery(text, signal);
        kept.set(text, query);
      }
      return { scores: cosines(docs, query) };
    },
  };
}

/** As {@link vectorStage}, with the sum of the vectors of the query's tokens for the query: no model runs. */
export function tokenVectorStage(
  settings: RerankSettings,
  vectors: TokenVectors,
  encoder: IdfQueryEncoder,
): InstantStage {
  const scoreNow = ({ text, quantized }: FoundQuery, docs: readonly FoundDoc[]) => {
    // A ranking by words alone has no weights of tokens.
    const { termIds, weights } = quantized.termIds.length > 0 ? quantized : encoder.encode(text);
    return cosines(docs, vectors.queryVector(termIds, weights));
  };
  return {
    name: 'vector',
    settings,
    scoreNow,
    score: async (search, docs) => ({ scores: scoreNow(search, docs) }),
  };
}

const cosines = (docs: readonly FoundDoc[], query: Float32Array): (number | undefined)[] =>
  docs.map(({ view, docId }) => {
    const vector = view.segment.denseVectors?.vector(docId);
    return vector && cosineWith(query, vector);
  });
