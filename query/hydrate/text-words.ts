import type { WordPieces, WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';

/** Keys below this are two ASCII letters or digits. */
const LETTER_PAIRS = 36 * 36;

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
  /** {@link pairKey} of words of ASCII letters and digits; 1296 + a position in {@link tokenized} of the others. */
  readonly keys: Uint32Array;
  /** Words with other characters, which may be letters in another form (é) or join what surrounds them, and words beside them. */
  readonly tokenized: readonly WordPieces[];
}

/** The key of words that begin with two letters; the second letter of a word of one letter is its first. */
export const pairKey = (first: number, second: number): number => 36 * first + second;

export const isTokenized = (key: number): boolean => key >= LETTER_PAIRS;
export const tokenizedAt = (key: number): number => key - LETTER_PAIRS;

/** 0..35 of the ASCII letter or digit at a place, whatever its case; -1 of other characters and past the end. */
export function letterAt(text: string, at: number): number {
  const code = at < text.length ? text.charCodeAt(at) : 0;
  return code < 128 ? ALPHANUMERIC[code]! : -1;
}

/** Scratch that grows: one text is read at a time. */
let starts = new Uint32Array(1024);
let ends = new Uint32Array(1024);
let keys = new Uint32Array(1024);

/** Reads a text once, some 4 ns per character where it is ASCII. Not reentrant. */
export function readWords(text: string, tokenizer: WordPieceTokenizer): TextWords {
  const { length } = text;
  const tokenized: WordPieces[] = [];
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
        const place = { start: at + word.start, end: at + word.end, ids: word.ids };
        add(place.start, place.end, LETTER_PAIRS + tokenized.push(place) - 1);
      }
    } else if (first >= 0) add(at, end, pairKey(first, end - at > 1 ? letterAt(text, at + 1) : first));
    at = end;
  }
  return {
    text,
    starts: starts.slice(0, count),
    ends: ends.slice(0, count),
    keys: keys.slice(0, count),
    tokenized,
  };
}

function grow(): void {
  const larger = (array: Uint32Array): Uint32Array<ArrayBuffer> => {
    const copy = new Uint32Array(2 * array.length);
    copy.set(array);
    return copy;
  };
  starts = larger(starts);
  ends = larger(ends);
  keys = larger(keys);
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
