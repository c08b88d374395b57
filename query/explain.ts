import type { WordPieceTokenizer } from '../encoder/wordpiece.ts';
import type { Segment } from '../indexer/segment.ts';
import type { ImpactQuery } from './impact-query.ts';

/** How one query token contributed to a document's score. */
export interface TokenExplanation {
  readonly token: string;
  /** Word of the query that the token is part of, as typed: `gout` for the tokens `go` and `##ut`. */
  readonly word: string;
  /** Weight of the token in the query (`query-weights.ts`). */
  readonly queryWeight: number;
  /** Document weight; 0 when the document lacks the token. */
  readonly weight: number;
  /** queryWeight * weight, up to the rounding of integer scores. */
  readonly contribution: number;
  /** `text`: the token stands in the document; `added`: the model added it; `missing`: the document lacks it. */
  readonly origin: 'text' | 'added' | 'missing';
}

/**
 * Splits a document's score by query token, largest contribution first. The contributions sum to the score exactly as
 * the engine computes it.
 *
 * @param words of the query text, by termId
 * @param textIds WordPiece ids of the document's title and text
 */
export function explainTokens(
  segment: Segment,
  docId: number,
  query: ImpactQuery,
  impactScale: number,
  tokenizer: WordPieceTokenizer,
  words: ReadonlyMap<number, string>,
  textIds: ReadonlySet<number>,
): TokenExplanation[] {
  const { termIds, impacts } = segment.vector(docId);
  const impactOf = new Map(Array.from(termIds, (termId, i) => [termId, impacts[i]!]));
  return Array.from(query.termIds, (termId, i): TokenExplanation => {
    const impact = impactOf.get(termId) ?? 0;
    const queryWeight = query.weights[i]! / query.scale;
    const weight = impact * impactScale;
    const origin = impact === 0 ? 'missing' : textIds.has(termId) ? 'text' : 'added';
    const token = tokenizer.tokens[termId]!;
    return {
      token,
      word: words.get(termId) ?? token,
      queryWeight,
      weight,
      contribution: queryWeight * weight,
      origin,
    };
  }).sort((a, b) => b.contribution - a.contribution || b.queryWeight - a.queryWeight);
}

/** The word of a text that each of its tokens first stands in. */
export function wordsByToken(text: string, tokenizer: WordPieceTokenizer): Map<number, string> {
  const words = new Map<number, string>();
  for (const { start, end, ids } of tokenizer.words(text)) {
    for (const id of ids) if (!words.has(id)) words.set(id, text.slice(start, end));
  }
  return words;
}
