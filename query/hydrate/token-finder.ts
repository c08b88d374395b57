import type { WordPieces, WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { keepPieces, LETTER_PAIRS, letterAt, pairKey, type TextWords } from './text-words.ts';

/** A shorter piece is found as a whole word only: "in" begins too many others. */
const PREFIX_LETTERS = 4;

const ANY_LETTER = Array.from({ length: 36 }, (_, letter) => letter);

/** A token of the query that words may begin with. */
interface Beginning {
  /** Its letters, each 0..35. */
  readonly letters: Int8Array;
  /** Whether longer words count: those of short tokens only where the query has continuation pieces. */
  readonly isPrefix: boolean;
}

/**
 * Finds the words of texts that begin with a token of a query. Letters are compared in place, and only words with all letters of a
 * token at their beginning are tokenised, so that this takes some 2 ns per word.
 *
 * These are the words of {@link WordPieceTokenizer.words} whose first piece is a token of the query. Where that piece has less than
 * four letters, all others must be, too. Continuation pieces ("##s") and punctuation find no words.
 */
export class TokenFinder {
  private readonly tokenizer: WordPieceTokenizer;
  private readonly wanted = new Set<number>();
  private readonly continuations = new Set<number>();
  private readonly beginnings: Beginning[][] = [];
  /** By key of a word: 1 + the place in {@link beginnings} of the tokens that begin like it; 0 where none does. */
  private readonly places = new Uint16Array(LETTER_PAIRS + 1);

  constructor(tokenizer: WordPieceTokenizer, termIds: Iterable<number>) {
    this.tokenizer = tokenizer;
    const words: number[] = [];
    for (const termId of termIds) {
      const token = tokenizer.tokens[termId]!;
      if (token.startsWith('##')) this.continuations.add(termId);
      else if (/[\p{L}\p{N}]/u.test(token)) words.push(termId);
    }
    for (const termId of words) this.want(termId, tokenizer.tokens[termId]!);
  }

  /** Whether words that begin with a token are found. */
  finds(termId: number): boolean {
    return this.wanted.has(termId);
  }

  /** In the order of the text. */
  find(words: TextWords): WordPieces[] {
    const found: WordPieces[] = [];
    if (this.wanted.size === 0) return found;
    const { keys, pieces } = words;
    const { places } = this;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if (places[key] === 0 && key < LETTER_PAIRS) continue;
      if (words.firstIds[i] === 0 && !this.tokenize(words, i)) continue;
      const first = words.firstIds[i]!;
      if (!this.wanted.has(first)) continue;
      const ids = pieces.get(i) ?? [first];
      if (this.isFound(ids)) found.push({ start: words.starts[i]!, end: words.ends[i]!, ids });
    }
    return found;
  }

  private want(termId: number, token: string): void {
    this.wanted.add(termId);
    // A token of other letters is found where characters are not ASCII.
    const letters = Int8Array.from({ length: token.length }, (_, i) => letterAt(token, i));
    if (letters.some((letter) => letter < 0)) return;
    const isPrefix = token.length >= PREFIX_LETTERS || this.continuations.size > 0;
    const beginning = { letters, isPrefix };
    const [first, second] = letters as unknown as [number, number | undefined];
    // A word of one letter has it as its second, too; one that begins with a token of one letter has any.
    const seconds = second === undefined ? (isPrefix ? ANY_LETTER : [first]) : [second];
    for (const letter of seconds) {
      const key = pairKey(first, letter);
      if (this.places[key] === 0) this.places[key] = this.beginnings.push([]);
      this.beginnings[this.places[key]! - 1]!.push(beginning);
    }
  }

  /** Tokenises a word if it begins with a token of the query. @returns whether it does */
  private tokenize(words: TextWords, at: number): boolean {
    const { text } = words;
    const start = words.starts[at]!;
    const end = words.ends[at]!;
    const place = this.places[words.keys[at]!]!;
    if (place === 0) return false; // a word without pieces
    const begins = this.beginnings[place - 1]!.some(({ letters, isPrefix }) => {
      const { length } = letters;
      if (length > end - start || (length < end - start && !isPrefix)) return false;
      let same = 0;
      while (same < length && letterAt(text, start + same) === letters[same]) same++;
      return same === length;
    });
    if (begins) keepPieces(words, at, this.tokenizer.piecesOf(text.slice(start, end).toLowerCase()));
    return begins;
  }

  private isFound(ids: readonly number[]): boolean {
    const isLong = this.tokenizer.tokens[ids[0]!]!.length >= PREFIX_LETTERS;
    return isLong || ids.every((id, i) => i === 0 || this.continuations.has(id));
  }
}
