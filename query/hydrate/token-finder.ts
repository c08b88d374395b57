import type { WordPieces, WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { isTokenized, letterAt, pairKey, type TextWords, tokenizedAt } from './text-words.ts';

/** A shorter piece is found as a whole word only: "in" begins too many others. */
const PREFIX_LETTERS = 4;

const ANY_LETTER = Array.from({ length: 36 }, (_, letter) => letter);

/** A token of the query that words may begin with. */
interface Beginning {
  /** Its letters, each 0..35. */
  readonly letters: Int8Array;
  /** Ids of the word that is this token and nothing else. */
  readonly whole: readonly [number];
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
  /** By the first two letters; a token of one letter is there with each second letter. */
  private readonly beginnings: (Beginning[] | undefined)[] = [];

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
  find({ text, starts, ends, keys, tokenized }: TextWords): WordPieces[] {
    const found: WordPieces[] = [];
    if (this.wanted.size === 0) return found;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if (isTokenized(key)) this.keep(found, tokenized[tokenizedAt(key)]!);
      else {
        const beginnings = this.beginnings[key];
        if (beginnings !== undefined) this.findWord(text, starts[i]!, ends[i]!, beginnings, found);
      }
    }
    return found;
  }

  private want(termId: number, token: string): void {
    this.wanted.add(termId);
    // A token of other letters is found where characters are not ASCII.
    const letters = Int8Array.from({ length: token.length }, (_, i) => letterAt(token, i));
    if (letters.some((letter) => letter < 0)) return;
    const isPrefix = token.length >= PREFIX_LETTERS || this.continuations.size > 0;
    const beginning = { letters, whole: [termId], isPrefix } as const;
    const [first, second] = letters as unknown as [number, number | undefined];
    // A word of one letter has it as its second, too; one that begins with a token of one letter has any.
    const seconds = second === undefined ? (isPrefix ? ANY_LETTER : [first]) : [second];
    for (const letter of seconds) {
      const at = pairKey(first, letter);
      const others = this.beginnings[at];
      if (others) others.push(beginning);
      else this.beginnings[at] = [beginning];
    }
  }

  /** @param end of a word of ASCII letters and digits */
  private findWord(
    text: string,
    at: number,
    end: number,
    beginnings: readonly Beginning[],
    found: WordPieces[],
  ): void {
    for (const { letters, whole, isPrefix } of beginnings) {
      const { length } = letters;
      if (length > end - at || (length < end - at && !isPrefix)) continue;
      let same = 0;
      while (same < length && letterAt(text, at + same) === letters[same]) same++;
      if (same < length) continue;
      if (length === end - at) found.push({ start: at, end, ids: whole });
      else {
        const ids = this.tokenizer.piecesOf(text.slice(at, end).toLowerCase());
        this.keep(found, { start: at, end, ids });
      }
      return;
    }
  }

  private keep(found: WordPieces[], word: WordPieces): void {
    const { ids } = word;
    const first = ids[0];
    if (first === undefined || !this.wanted.has(first)) return;
    const isLong = this.tokenizer.tokens[first]!.length >= PREFIX_LETTERS;
    if (isLong || ids.every((id, i) => i === 0 || this.continuations.has(id))) found.push(word);
  }
}
