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

/** A score by token, largest contribution first. */
export interface ScoreExplanation {
  readonly tokens: readonly TokenExplanation[];
  /** Tokens of the query that the document lacks, beyond the heaviest {@link MISSING_LISTED} that are listed. */
  readonly omittedTokens: number;
}

/** A long query has thousands of tokens, of which a document lacks nearly all. */
export const MISSING_LISTED = 32;

/** Splits the scores of documents for one query by its tokens. */
export class TokenExplainer {
  private readonly query: ImpactQuery;
  private readonly impactScale: number;
  private readonly tokenizer: WordPieceTokenizer;
  private readonly words: ReadonlyMap<number, string>;
  /** Positions in the query, heaviest token first. */
  private readonly heaviest: readonly number[];

  /** @param words of the query text, by termId */
  constructor(
    query: ImpactQuery,
    impactScale: number,
    tokenizer: WordPieceTokenizer,
    words: ReadonlyMap<number, string>,
  ) {
    this.query = query;
    this.impactScale = impactScale;
    this.tokenizer = tokenizer;
    this.words = words;
    this.heaviest = Array.from(query.termIds, (_, i) => i).sort(
      (a, b) => query.weights[b]! - query.weights[a]!,
    );
  }

  /**
   * The contributions sum to the score exactly as the engine computes it.
   *
   * @param textIds WordPiece ids of the document's title and text
   */
  explain(segment: Segment, docId: number, textIds: ReadonlySet<number>): ScoreExplanation {
    const { termIds, impacts } = segment.vector(docId);
    const impactOf = new Map(Array.from(termIds, (termId, i) => [termId, impacts[i]!]));
    const present: TokenExplanation[] = [];
    const missing: TokenExplanation[] = [];
    let omittedTokens = 0;
    for (const i of this.heaviest) {
      const termId = this.query.termIds[i]!;
      const impact = impactOf.get(termId) ?? 0;
      if (impact > 0) present.push(this.token(i, impact, textIds.has(termId) ? 'text' : 'added'));
      else if (missing.length < MISSING_LISTED) missing.push(this.token(i, 0, 'missing'));
      else omittedTokens++;
    }
    present.sort((a, b) => b.contribution - a.contribution || b.queryWeight - a.queryWeight);
    return { tokens: [...present, ...missing], omittedTokens };
  }

  private token(i: number, impact: number, origin: TokenExplanation['origin']): TokenExplanation {
    const { termIds, weights, scale } = this.query;
    const token = this.tokenizer.tokens[termIds[i]!]!;
    const queryWeight = weights[i]! / scale;
    const weight = impact * this.impactScale;
    const word = this.words.get(termIds[i]!) ?? token;
    return { token, word, queryWeight, weight, contribution: queryWeight * weight, origin };
  }
}

/** The word of a text that each of its tokens first stands in. */
export function wordsByToken(text: string, tokenizer: WordPieceTokenizer): Map<number, string> {
  const words = new Map<number, string>();
  for (const { start, end, ids } of tokenizer.words(text)) {
    for (const id of ids) if (!words.has(id)) words.set(id, text.slice(start, end));
  }
  return words;
}
