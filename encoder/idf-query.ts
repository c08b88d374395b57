import { readFileSync } from 'node:fs';
import { WinnowError } from '../errors.ts';
import type { SparseVector } from './types.ts';
import { SPECIAL_IDS, type WordPieceTokenizer } from './wordpiece.ts';

/** Weight of a vocabulary token that the idf table does not name (Geng et al., arXiv 2411.04403, section 3.1). */
export const UNSEEN_IDF = 1;

/**
 * Reads an idf table `{"token": idf}`: idf = ln(1 + (N - df + .5) / (df + .5)) over a reference corpus.
 *
 * @returns idf by token id, length = vocabulary size; {@link UNSEEN_IDF} where the table is silent, 0 for special ids
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

/**
 * The whole query side: a query is the set of its WordPieces, each weighted by idf; no model runs.
 * Special ids and [UNK] are dropped, repeated tokens count once.
 */
export class IdfQueryEncoder {
  readonly tokenizer: WordPieceTokenizer;
  /** Weight by token id. */
  readonly idf: Float32Array;

  constructor(tokenizer: WordPieceTokenizer, idf: Float32Array) {
    this.tokenizer = tokenizer;
    this.idf = idf;
  }

  encode(query: string): SparseVector {
    const ids = this.tokenizer.encode(query).sort((a, b) => a - b);
    const termIds = Uint16Array.from(ids.filter((id, i) => id !== ids[i - 1] && this.idf[id]! > 0));
    return { termIds, weights: Float32Array.from(termIds, (id) => this.idf[id]!) };
  }
}
