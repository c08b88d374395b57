import type { WordPieces, WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';

/** A shorter piece is found as a whole word only: "in" begins too many others. */
const PREFIX_LETTERS = 4;

/** 0..35 of an ASCII letter or digit, whatever its case; -1 of other characters. */
const ALPHANUMERIC = new Int8Array(128).fill(-1);
for (let i = 0; i < 26; i++) ALPHANUMERIC[97 + i] = ALPHANUMERIC[65 + i] = i;
for (let i = 0; i < 10; i++) ALPHANUMERIC[48 + i] = 26 + i;

/**
 * Finds the words of texts that begin with a token of a query. Only words with the first two letters of one are tokenised, so that
 * this takes some 5 ns per character.
 *
 * These are the words of {@link WordPieceTokenizer.words} whose first piece is a token of the query. Where that piece has less than
 * four letters, all others must be, too. Continuation pieces ("##s") and punctuation find no words.
 */
export class TokenFinder {
  private readonly tokenizer: WordPieceTokenizer;
  private readonly wanted = new Set<number>();
  private readonly continuations = new Set<number>();
  /** By the first two letters, or the only one twice: 1 where a token has them. */
  private readonly beginnings = new Uint8Array(36 * 36);

  constructor(tokenizer: WordPieceTokenizer, termIds: Iterable<number>) {
    this.tokenizer = tokenizer;
    for (const termId of termIds) {
      const token = tokenizer.tokens[termId]!;
      if (token.startsWith('##')) this.continuations.add(termId);
      else if (/[\p{L}\p{N}]/u.test(token)) this.want(termId, token);
    }
  }

  /** Whether words that begin with a token are found. */
  finds(termId: number): boolean {
    return this.wanted.has(termId);
  }

  /** In the order of the text. */
  find(text: string): WordPieces[] {
    const found: WordPieces[] = [];
    if (this.wanted.size === 0) return found;
    for (let at = 0; at < text.length; ) {
      const first = letterAt(text, at);
      if (first < 0) {
        // What is not ASCII may be a letter of a token in another form (é), or join what surrounds it.
        at = isUnusual(text, at) ? this.findInChunk(text, at, found) : at + 1;
        continue;
      }
      let end = at + 1;
      while (letterAt(text, end) >= 0) end++;
      if (isUnusual(text, end)) {
        at = this.findInChunk(text, at, found);
        continue;
      }
      const second = end - at > 1 ? letterAt(text, at + 1) : first;
      if (this.beginnings[36 * first + second])
        this.keep(found, at, end, this.tokenizer.piecesOf(text.slice(at, end).toLowerCase()));
      at = end;
    }
    return found;
  }

  private want(termId: number, token: string): void {
    this.wanted.add(termId);
    const first = letterAt(token, 0);
    // A token of other letters is found where characters are not ASCII.
    if (first < 0) return;
    // A token of one letter may begin a word of several pieces.
    if (token.length === 1) this.beginnings.fill(1, 36 * first, 36 * first + 36);
    else if (letterAt(token, 1) >= 0) this.beginnings[36 * first + letterAt(token, 1)] = 1;
  }

  private keep(found: WordPieces[], start: number, end: number, ids: readonly number[]): void {
    const [first, ...rest] = ids;
    if (first === undefined || !this.wanted.has(first)) return;
    const isLong = this.tokenizer.tokens[first]!.length >= PREFIX_LETTERS;
    if (isLong || rest.every((id) => this.continuations.has(id))) found.push({ start, end, ids });
  }

  /** Tokenises what lies between two spaces. @returns where it ends */
  private findInChunk(text: string, at: number, found: WordPieces[]): number {
    let start = at;
    let end = at + 1;
    const bound = found.at(-1)?.end ?? 0;
    while (start > bound && !isSpace(text.charCodeAt(start - 1))) start--;
    while (end < text.length && !isSpace(text.charCodeAt(end))) end++;
    for (const word of this.tokenizer.words(text.slice(start, end)))
      if (word.end + start > at) this.keep(found, word.start + start, word.end + start, word.ids);
    return end;
  }
}

function letterAt(text: string, at: number): number {
  const code = at < text.length ? text.charCodeAt(at) : 0;
  return code < 128 ? ALPHANUMERIC[code]! : -1;
}

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 9 || code === 13;

/** Control characters and all that is not ASCII, except dashes, quotes and the like. */
function isUnusual(text: string, at: number): boolean {
  if (at >= text.length) return false;
  const code = text.charCodeAt(at);
  if (code < 32 || code === 127) return !isSpace(code);
  return code > 127 && !(code >= 0x2010 && code <= 0x2027);
}
