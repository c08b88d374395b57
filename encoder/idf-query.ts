import { readFileSync } from 'node:fs';
import { WinnowError } from '../errors.ts';
import { SPECIAL_IDS, type WordPieces, type WordPieceTokenizer } from './transformer/tokenizer/wordpiece.ts';
import type { SparseVector } from './types.ts';

/** Weight of a vocabulary token that is not in the idf table (Geng et al., arXiv 2411.04403, section 3.1). */
const UNSEEN_IDF = 1;

/** ln(1 + (N - df + .5) / (df + .5)), as in Lucene's BM25Similarity. */
export const inverseDocumentFrequency = (numDocs: number, df: number): number =>
  Math.log(1 + (numDocs - df + 0.5) / (df + 0.5));

/**
 * Reads an idf table `{"token": idf}`: {@link inverseDocumentFrequency} over a reference corpus.
 *
 * @returns idf by token id, length = vocabulary size; {@link UNSEEN_IDF} for a token that is not in the table, 0 for special
 *   ids
 * @throws WinnowError WINNOW_MODEL_INVALID when the file is not a table of positive numbers
 */
export function readIdfTable(path: string, tokenizer: WordPieceTokenizer): Float32Array {
  let table: Record<string, unknown>;
  try {
    table = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new WinnowError('WINNOW_MODEL_INVALID', 'the idf table cannot be read as JSON', {
      place: path,
      cause,
    });
  }
  const idf = new Float32Array(tokenizer.vocabularySize).fill(UNSEEN_IDF);
  for (let id = 0; id < idf.length; id++) {
    const value = table[tokenizer.tokens[id]!];
    if (value === undefined) continue;
    if (typeof value !== 'number' || !(value > 0) || !Number.isFinite(value)) {
      throw new WinnowError(
        'WINNOW_MODEL_INVALID',
        `idf of "${tokenizer.tokens[id]}" is not a positive number`,
        {
          place: path,
        },
      );
    }
    idf[id] = value;
  }
  for (const id of SPECIAL_IDS) idf[id] = 0;
  return idf;
}

/** The id in a number that also holds the pieces of a word. */
const idOf = (token: number): number => Math.floor(token / 65_536);

/** The distinct tokens of a query. */
export interface QueryTokens {
  /** Ascending. */
  readonly termIds: Uint16Array;
  /** Occurrences of each token in the query, from 1. */
  readonly counts: Uint16Array;
  /** Tokens of the word that contains it, from 1; the fewest if several words do. */
  readonly wordPieces: Uint16Array;
}

/**
 * The query side of the model: a query is the set of its WordPieces, each weighted by idf; no model runs.
 * Special ids and [UNK] are dropped. `query/query-weights.ts` adds what the index knows of the tokens.
 */
export class IdfQueryEncoder {
  readonly tokenizer: WordPieceTokenizer;
  /** Weight by token id. */
  readonly idf: Float32Array;
  private last: { readonly query: string; readonly words: readonly WordPieces[] } | undefined;

  constructor(tokenizer: WordPieceTokenizer, idf: Float32Array) {
    this.tokenizer = tokenizer;
    this.idf = idf;
  }

  /** The words of a query. Those of the last one are kept: a search asks several times. */
  words(query: string): readonly WordPieces[] {
    if (this.last?.query !== query) this.last = { query, words: this.tokenizer.words(query) };
    return this.last.words;
  }

  /** Number of a query's WordPieces. */
  count(query: string): number {
    return this.words(query).reduce((count, { ids }) => count + ids.length, 0);
  }

  /** The tokens of a query that have a weight. */
  tokens(query: string): QueryTokens {
    const found: number[] = [];
    for (const { ids } of this.words(query))
      for (const id of ids) if (this.idf[id]! > 0) found.push(id * 65_536 + ids.length);
    // By id, and of one id the fewest pieces come first.
    found.sort((a, b) => a - b);
    let distinct = 0;
    for (let i = 0; i < found.length; i++) if (i === 0 || idOf(found[i]!) !== idOf(found[i - 1]!)) distinct++;
    const termIds = new Uint16Array(distinct);
    const counts = new Uint16Array(distinct);
    const wordPieces = new Uint16Array(distinct);
    let at = -1;
    for (const one of found) {
      if (at < 0 || termIds[at] !== idOf(one)) {
        termIds[++at] = idOf(one);
        wordPieces[at] = one % 65_536;
      }
      counts[at]!++;
    }
    return { termIds, counts, wordPieces };
  }

  /** The published weighting: repeated tokens count once, every weight is the table's. */
  encode(query: string): SparseVector {
    const { termIds } = this.tokens(query);
    return { termIds, weights: Float32Array.from(termIds, (id) => this.idf[id]!) };
  }
}
