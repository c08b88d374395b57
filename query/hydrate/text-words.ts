import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';

/** ASCII letters and digits. */
const LETTERS = 36;
/** Number of pairs of them; it is the key of all other words. */
export const LETTER_PAIRS = LETTERS * LETTERS;
/** Numbers before the columns: by letter, the first word that begins with it or with a later one. */
const HEADER = LETTERS + 2;

/** 0..35 of an ASCII letter or digit, whatever its case; -1 of other characters. */
const ALPHANUMERIC = new Int8Array(128).fill(-1);
for (let i = 0; i < 26; i++) ALPHANUMERIC[97 + i] = ALPHANUMERIC[65 + i] = i;
for (let i = 0; i < 10; i++) ALPHANUMERIC[48 + i] = 26 + i;

/** Words of a text that are kept; those behind them are in no snippet. With places in the text below 2^29 it fits a double exactly. */
export const MOST_WORDS = 2 ** 24;

/**
 * Where the words of a text are, so that the words of any query are found in it without reading it again. Words are numbered by key, and
 * those of one key are in the order of the text.
 *
 * Everything is in one array, column by column: searches look at a handful of words of many texts, and each column that is an array of its own
 * would be one more place of memory to wait for.
 */
export class TextWords {
  readonly text: string;
  readonly length: number;
  /** The header; by word: 65,536 * key + first WordPiece; then where they start, then where they end. */
  private readonly columns: Uint32Array;
  /** Words that were tokenised and have several pieces. */
  private readonly pieces = new Map<number, readonly number[]>();

  /** @param columns as described: a header, then three per word, in ascending order of keys */
  constructor(text: string, columns: Uint32Array) {
    this.text = text;
    this.length = (columns.length - HEADER) / 3;
    this.columns = columns;
  }

  /** {@link pairKey} of words of ASCII letters and digits, {@link LETTER_PAIRS} of the others. */
  keyOf(word: number): number {
    return this.columns[HEADER + word]! >>> 16;
  }

  /**
   * First WordPiece of words that were tokenised, and 0 of the others. Tokenised are words with other characters, which may be
   * letters in another form (é) or join what surrounds them, words beside them, and those that a query looked at.
   */
  firstIdOf(word: number): number {
    return this.columns[HEADER + word]! & 0xffff;
  }

  /** UTF-16 range `[start, end)`. */
  startOf(word: number): number {
    return this.columns[HEADER + this.length + word]!;
  }

  endOf(word: number): number {
    return this.columns[HEADER + 2 * this.length + word]!;
  }

  /** All pieces of a word that was tokenised and has several; undefined of others. */
  piecesOf(word: number): readonly number[] | undefined {
    return this.pieces.get(word);
  }

  /** The first word with a key, or with a greater one; {@link length} where there is none. */
  firstOf(key: number): number {
    const letter = Math.floor(key / LETTERS);
    let low = this.columns[letter]!;
    let high = this.columns[letter + 1]!;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.keyOf(middle) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Notes the pieces of a word. */
  keep(word: number, ids: readonly number[]): void {
    this.columns[HEADER + word] = (this.keyOf(word) << 16) | (ids[0] ?? 0);
    if (ids.length > 1) this.pieces.set(word, ids);
  }
}

/** The key of words that begin with two letters; the second letter of a word of one letter is its first. */
export const pairKey = (first: number, second: number): number => LETTERS * first + second;

/** 0..35 of the ASCII letter or digit at a place, whatever its case; -1 of other characters and past the end. */
export function letterAt(text: string, at: number): number {
  const code = at < text.length ? text.charCodeAt(at) : 0;
  return code < 128 ? ALPHANUMERIC[code]! : -1;
}

/** Scratch that grows: one text is read at a time. */
let starts = new Uint32Array(1024);
let ends = new Uint32Array(1024);
let keys = new Uint16Array(1024);
/** By key: first the number of its words, then the place of its next one. */
const places = new Uint32Array(LETTER_PAIRS + 1);

/** Reads a text once, some 4 ns per character where it is ASCII. Not reentrant. */
export function readWords(text: string, tokenizer: WordPieceTokenizer): TextWords {
  const { length } = text;
  const others: (readonly number[])[] = [];
  let count = 0;
  const add = (start: number, end: number, key: number): void => {
    if (count === starts.length) grow();
    starts[count] = start;
    ends[count] = end;
    keys[count++] = key;
  };
  for (let at = 0; at < length && count < MOST_WORDS; ) {
    const first = letterAt(text, at);
    let end = at + 1;
    if (first >= 0) while (end < length && letterAt(text, end) >= 0) end++;
    if (isUnusual(text, first < 0 ? at : end)) {
      end = chunkEnd(text, end);
      for (const word of tokenizer.words(text.slice(at, end))) {
        others.push(word.ids);
        add(at + word.start, at + word.end, LETTER_PAIRS);
      }
    } else if (first >= 0) add(at, end, pairKey(first, end - at > 1 ? letterAt(text, at + 1) : first));
    at = end;
  }
  const words = new TextWords(text, sortedColumns(Math.min(count, MOST_WORDS)));
  // Words with other characters have the greatest key, so that they come last, in the order in which they were read.
  const firstOther = words.firstOf(LETTER_PAIRS);
  for (let word = firstOther; word < words.length; word++) words.keep(word, others[word - firstOther]!);
  return words;
}

/** Counting sort: a text has few words and there are 1,297 keys, so that it takes a microsecond or two. */
function sortedColumns(count: number): Uint32Array {
  places.fill(0);
  for (let i = 0; i < count; i++) places[keys[i]!]!++;
  const columns = new Uint32Array(HEADER + 3 * count);
  let next = 0;
  for (let key = 0; key <= LETTER_PAIRS; key++) {
    if (key % LETTERS === 0) columns[key / LETTERS] = next;
    const words = places[key]!;
    places[key] = next;
    next += words;
  }
  columns[LETTERS + 1] = next;
  for (let i = 0; i < count; i++) {
    const key = keys[i]!;
    const word = places[key]!++;
    columns[HEADER + word] = key << 16;
    columns[HEADER + count + word] = starts[i]!;
    columns[HEADER + 2 * count + word] = ends[i]!;
  }
  return columns;
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
