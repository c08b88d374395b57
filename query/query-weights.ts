import type { IdfQueryEncoder } from '../encoder/idf-query.ts';
import type { SparseVector } from '../encoder/types.ts';
import type { Generation } from '../indexer/generation.ts';
import { inverseDocumentFrequency } from './bm25.ts';

/**
 * Where the weights of query tokens come from. `blended` (the default): from the model's idf table, the documents of the
 * index and the query itself; `table`: from the table alone, as the method was published.
 */
export const QUERY_IDF = ['blended', 'table'] as const;
export type QueryIdf = (typeof QUERY_IDF)[number];

/**
 * A query's tokens with their weights. Blended, a token weighs
 *
 *     sqrt(table idf * min(table idf, index idf) * occurrences) / sqrt(sqrt(pieces of its word))
 *
 * - Index idf: BM25's, over the documents in the index; df counts those that have the token in their text and a weight for
 *   it. The table was counted over web passages; in an index about one subject the subject's words tell
 *   documents apart less than it says. It is not raised: `what` is rare in a textbook and yet says nothing. Deleted
 *   documents count until their segment is merged, as in BM25. An index without texts, of imported vectors, says nothing
 *   about df: then the weights are the table's.
 * - Pieces: a rare word falls into several tokens, each of them rare, and would count several times.
 *
 * How the powers were chosen, and what each is worth: docs/training.md, "After training".
 */
export function queryWeights(
  encoder: IdfQueryEncoder,
  { segments }: Pick<Generation, 'segments'>,
  query: string,
  idf: QueryIdf,
): SparseVector {
  if (idf === 'table' || !segments.some(({ segment }) => segment.hasText)) return encoder.encode(query);
  const numDocs = segments.reduce((sum, { segment }) => sum + segment.numDocs, 0);
  const { termIds, counts, wordPieces } = encoder.tokens(query);
  const weights = Float32Array.from(termIds, (termId, i) => {
    let df = 0;
    for (const { segment } of segments) {
      const list = segment.listOfTerm(termId);
      if (list >= 0) df += segment.textFrequencies[list]!;
    }
    const tableIdf = encoder.idf[termId]!;
    const indexIdf = inverseDocumentFrequency(numDocs, df);
    return Math.sqrt((tableIdf * Math.min(tableIdf, indexIdf) * counts[i]!) / Math.sqrt(wordPieces[i]!));
  });
  return { termIds, weights };
}
