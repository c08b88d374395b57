import { type IdfQueryEncoder, inverseDocumentFrequency } from '../../encoder/idf-query.ts';
import type { SparseVector } from '../../encoder/types.ts';
import type { IndexView } from '../../indexer/store/index-view.ts';

/**
 * Sources of the weights of query tokens. `blended` (the default): the model's idf table, the documents of the index and the query
 * itself. `table`: the table alone, as the method was published.
 */
export const QUERY_IDF = ['blended', 'table'] as const;
export type QueryIdf = (typeof QUERY_IDF)[number];

/** How often tokens occur in an index. */
export interface TokenStatistics {
  readonly numDocs: number;
  /** Number of documents that have a token both in their text and with a weight. */
  textFrequency(termId: number): number;
}

/** Of an index in this process; undefined where no document came with its text. */
export function tokenStatistics({ segments }: Pick<IndexView, 'segments'>): TokenStatistics | undefined {
  if (!segments.some(({ segment }) => segment.hasText)) return undefined;
  return {
    numDocs: segments.reduce((sum, { segment }) => sum + segment.numDocs, 0),
    textFrequency: (termId) =>
      segments.reduce((df, { segment }) => {
        const list = segment.listIdOfTerm(termId);
        return list >= 0 ? df + segment.textFrequencies[list]! : df;
      }, 0),
  };
}

/**
 * A query's tokens with their weights. Blended, a token weighs
 *
 *     sqrt(table idf * min(table idf, index idf) * occurrences) / sqrt(sqrt(pieces of its word))
 *
 * - Index idf is BM25's, over the documents in the index. df counts the documents that have the token both in their text and with
 *   a weight. The table was counted over web passages. In a single-topic index, topic words discriminate less than the table
 *   suggests, so idf is capped at the index's own value. It is never raised: a function word such as `what` can be rare in a textbook
 *   without being informative. Deleted documents count until their segment is merged, as in BM25. An index of imported vectors
 *   has no texts to count (`statistics` is undefined): there the weights are the table's.
 * - Pieces: a rare word is split into several tokens, all of them rare. Without the divisor it would count several times.
 *
 * How the exponents were chosen, and what each is worth: docs/training.md, "After training".
 */
export function queryWeights(
  encoder: IdfQueryEncoder,
  statistics: TokenStatistics | undefined,
  query: string,
  idf: QueryIdf,
): SparseVector {
  if (idf === 'table' || !statistics) return encoder.encode(query);
  const { numDocs } = statistics;
  const { termIds, counts, wordPieces } = encoder.tokens(query);
  const weights = new Float32Array(termIds.length);
  for (let i = 0; i < weights.length; i++) {
    const tableIdf = encoder.idf[termIds[i]!]!;
    const indexIdf = inverseDocumentFrequency(numDocs, statistics.textFrequency(termIds[i]!));
    weights[i] = Math.sqrt(
      (tableIdf * Math.min(tableIdf, indexIdf) * counts[i]!) / Math.sqrt(wordPieces[i]!),
    );
  }
  return { termIds, weights };
}
