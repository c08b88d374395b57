import type { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import type { QuantizedQuery } from '../weights/quantized-query.ts';
import { wordsByToken } from './token-explanation.ts';
import { type TokenBeginnings, TokenFinder } from './token-finder.ts';

/** What the hits of one search share: the tokens of its query, and the words that they stand for. */
export class QueryWords {
  readonly quantized: QuantizedQuery;
  /** Finds the query's tokens in texts. */
  readonly finder: TokenFinder;
  private readonly text: string;
  private readonly encoder: IdfQueryEncoder;
  private words: ReadonlyMap<number, string> | undefined;

  constructor(
    text: string,
    quantized: QuantizedQuery,
    encoder: IdfQueryEncoder,
    beginnings: TokenBeginnings,
  ) {
    this.text = text;
    this.quantized = quantized;
    this.encoder = encoder;
    this.finder = new TokenFinder(beginnings, quantized.termIds);
  }

  /** The word of the query that each of its tokens is part of, as typed. */
  get byToken(): ReadonlyMap<number, string> {
    this.words ??= wordsByToken(this.text, this.encoder);
    return this.words;
  }

  /** The words of some tokens, in their order, each once. A token of a query that is a vector stands for itself. */
  wordsOf(termIds: readonly number[]): string[] {
    if (termIds.length === 0) return [];
    const { tokens } = this.encoder.tokenizer;
    return [...new Set(termIds.map((termId) => this.byToken.get(termId) ?? tokens[termId]!))];
  }
}
