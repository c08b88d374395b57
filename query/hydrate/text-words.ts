import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';

/** Number of pairs of ASCII letters or digits; greater keys are those of other words. */
export const LETTER_PAIRS = 36 * 36;

/** 0..35 of an ASCII letter or digit, whatever its case; -1 of other characters. */
const ALPHANUMERIC = new Int8Array(128).fill(-1);
for (let i = 0; i < 26; i++) ALPHANUMERIC[97 + i] = ALPHANUMERIC[65 + i] = i;
for (let i = 0; i < 10; i++) ALPHANUMERIC[48 + i] = 26 + i;

/** Where the words of a text are, so that the words of any query are found in it without reading it again. */
export interface TextWords {
  readonly text: string;
  /** UTF-16 range of each word, in the order of the text. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** {@link pairKey} of words of ASCII letters and digits, {@link LETTER_PAIRS} of the others. */
  readonly keys: Uint16Array;
  /**
   * First WordPiece of words that were tokenised, by position, and 0 of the others. Tokenised are words with other characters, which may be
   * letters in another form (é) or join what surrounds them, words beside them, and those that a query looked at.
   */
  readonly firstIds: Uint16Array;
  /** Words that were tokenised and have several pieces, by position. */
  readonly pieces: Map<number, readonly number[]>;
}

/** The key of words that begin with two letters; the second letter of a word of one letter is its first. */
export const pairKey = (first: number, second: number): number => 36 * first + second;

/** 0..35 of the ASCII letter or digit at a place, whatever its case; -1 of other characters and past the end. */
export function letterAt(text: string, at: number): number {
  const code = at < text.length ? text.charCodeAt(at) : 0;
  return code < 128 ? ALPHANUMERIC[code]! : -1;
}

/** Scratch that grows: one text is read at a time. */
let starts = new Uint32Array(1024);
let ends = new Uint32Array(1024);
let keys = new Uint16Array(1024);

/** Reads a text once, some 4 ns per character where it is ASCII. Not reentrant. */
export function readWords(text: string, tokenizer: WordPieceTokenizer): TextWords {
  const { length } = text;
  const others: { readonly at: number; readonly ids: readonly number[] }[] = [];
  let count = 0;
  const add = (start: number, end: number, key: number): void => {
    if (count === starts.length) grow();
    starts[count] = start;
    ends[count] = end;
    keys[count++] = key;
  };
  for (let at = 0; at < length; ) {
    const first = letterAt(text, at);
    let end = at + 1;
    if (first >= 0) while (end < length && letterAt(text, end) >= 0) end++;
    if (isUnusual(text, first < 0 ? at : end)) {
      end = chunkEnd(text, end);
      for (const word of tokenizer.words(text.slice(at, end))) {
        others.push({ at: count, ids: word.ids });
        add(at + word.start, at + word.end, LETTER_PAIRS);
      }
    } else if (first >= 0) add(at, end, pairKey(first, end - at > 1 ? letterAt(text, at + 1) : first));
    at = end;
  }
  const words: TextWords = {
    text,
    starts: starts.slice(0, count),
    ends: ends.slice(0, count),
    keys: keys.slice(0, count),
    firstIds: new Uint16Array(count),
    pieces: new Map(),
  };
  for (const { at, ids } of others) keepPieces(words, at, ids);
  return words;
}

/** Notes the pieces of a word. */
export function keepPieces({ firstIds, pieces }: TextWords, at: number, ids: readonly number[]): void {
  firstIds[at] = ids[0] ?? 0;
  if (ids.length > 1) pieces.set(at, ids);
}

function grow(): void {
  const larger = <Scratch extends { set(from: Scratch): void }>(copy: Scratch, from: Scratch): Scratch => {
    copy.set(from);
    return copy;
  };
  const length = 2 * starts.length;
  starts = larger(new Uint32Array(length), starts);
  ends = larger(new Uint32Array(length), ends);
  keys = larger(new Uint16Array(length), keys);
}

/** The next space: up to it, characters may belong together. */
function chunkEnd(text: string, from: number): number {
  let end = from;
  while (end < text.length && !isSpace(text.charCodeAt(end))) end++;
  return end;
}

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 9 || code === 13;

/** Control characters and all that is not ASCII, except dashes, quotes and the like. */
function isUnusual(text: string, at: number): boolean {
  if (at >= text.length) return false;
  const code = text.charCodeAt(at);
  if (code < 32 || code === 127) return !isSpace(code);
  return code > 127 && !(code >= 0x2010 && code <= 0x2027);
}
