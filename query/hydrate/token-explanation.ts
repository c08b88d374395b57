import type { WordPieces, WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { positionOf } from '../../indexer/format/lower-bound.ts';
import type { FoundSegment } from '../retrieve/retriever.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';

/** How one query token contributed to a document's score. */
export interface TokenExplanation {
  readonly token: string;
  /** Word of the query that the token is part of, as typed: `gout` for the tokens `go` and `##ut`. */
  readonly word: string;
  /** Weight of the token in the query (`weights/query-weights.ts`). */
  readonly queryWeight: number;
  /** Document weight; 0 when the document lacks the token. */
  readonly weight: number;
  /** queryWeight * weight, up to the rounding of integer scores. */
  readonly contribution: number;
  /** `text`: the token is in the document's text; `added`: the model added it; `missing`: the document lacks it. */
  readonly origin: 'text' | 'added' | 'missing';
}

/** A score by token, largest contribution first. */
export interface ScoreExplanation {
  readonly tokens: readonly TokenExplanation[];
  /** Tokens of the query that the document lacks, beyond the heaviest {@link MISSING_LISTED} that are listed. */
  readonly omittedTokens: number;
}

/** Missing tokens that are listed: a long query has thousands of tokens, and a document lacks nearly all of them. */
const MISSING_LISTED = 32;

/** Splits the scores of documents for one query by its tokens. */
export class TokenExplainer {
  private readonly query: QuantizedQuery;
  private readonly impactScale: number;
  private readonly tokenizer: WordPieceTokenizer;
  private readonly words: ReadonlyMap<number, string>;
  /** Positions in the query, heaviest token first. */
  private readonly heaviest: readonly number[];

  /** @param words of the query text, by termId */
  constructor(
    query: QuantizedQuery,
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
   * @param readText WordPiece ids of the document's title and text; asked where the segment does not say which terms are in them
   */
  explain(
    segment: Pick<FoundSegment, 'vector' | 'isInText'>,
    docId: number,
    readText: () => ReadonlySet<number>,
  ): ScoreExplanation {
    const { termIds, impacts } = segment.vector(docId);
    let textIds: ReadonlySet<number> | undefined;
    const isInText = (place: number): boolean => {
      if (segment.isInText) return segment.isInText(docId, place);
      textIds ??= readText();
      return textIds.has(termIds[place]!);
    };
    const present: TokenExplanation[] = [];
    const missing: TokenExplanation[] = [];
    let omittedTokens = 0;
    for (const i of this.heaviest) {
      const termId = this.query.termIds[i]!;
      const place = positionOf(termIds, termId, 0);
      if (termIds[place] === termId)
        present.push(this.token(i, impacts[place]!, isInText(place) ? 'text' : 'added'));
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

/** The word of a text in which each of its tokens first occurs. */
export function wordsByToken(
  text: string,
  reader: { words(text: string): readonly WordPieces[] },
): Map<number, string> {
  const words = new Map<number, string>();
  for (const { start, end, ids } of reader.words(text)) {
    for (const id of ids) if (!words.has(id)) words.set(id, text.slice(start, end));
  }
  return words;
}
