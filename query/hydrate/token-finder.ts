import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { LETTER_PAIRS, letterAt, MOST_WORDS, pairKey, type TextWords } from './text-words.ts';

/** A shorter piece is found as a whole word only: "in" begins too many others. */
const PREFIX_LETTERS = 4;
/** The last of the ASCII letters and digits, which are 0..35. */
const LAST_LETTER = 35;

/** A token as the beginning of words. */
interface Beginning {
  readonly termId: number;
  /** `##s` continues a word and begins none, punctuation is none. */
  readonly kind: 'word' | 'continuation' | 'other';
  /** Its letters, each 0..35; empty where one is not ASCII, or where words do not begin with it. */
  readonly letters: Int8Array;
}

/** Tokens as the beginnings of words, each looked at once. */
export class TokenBeginnings {
  readonly tokenizer: WordPieceTokenizer;
  private readonly known: (Beginning | undefined)[] = [];

  constructor(tokenizer: WordPieceTokenizer) {
    this.tokenizer = tokenizer;
  }

  of(termId: number): Beginning {
    this.known[termId] ??= this.read(termId);
    return this.known[termId];
  }

  private read(termId: number): Beginning {
    const token = this.tokenizer.tokens[termId]!;
    const kind = token.startsWith('##') ? 'continuation' : /[\p{L}\p{N}]/u.test(token) ? 'word' : 'other';
    const letters =
      kind === 'word' ? Int8Array.from({ length: token.length }, (_, i) => letterAt(token, i)) : NO_LETTERS;
    return { termId, kind, letters: letters.some((letter) => letter < 0) ? NO_LETTERS : letters };
  }
}

const NO_LETTERS = new Int8Array(0);

/** Words of a text that may begin with a token of the query: those whose keys are in a range. */
interface Wanted {
  readonly termId: number;
  readonly firstKey: number;
  readonly lastKey: number;
  readonly letters: Int8Array;
  /** Whether longer words count: those of short tokens only where the query has continuation pieces. */
  readonly isPrefix: boolean;
}

/** Scratch that grows: one text is looked through at a time. */
let places = new Float64Array(1024);
let found = new Uint32Array(1024);

/** Sorts as the text does, and holds the number of the word. */
const placeOf = (words: TextWords, word: number): number => words.startOf(word) * MOST_WORDS + word;

/**
 * Finds the words of texts that begin with a token of a query. The words of a text are sorted by their first two letters, so that only
 * those that begin like a token are looked at. Letters are compared in place, and only words with all letters of a token at their
 * beginning are tokenised. Not reentrant.
 *
 * These are the words of `WordPieceTokenizer.words` whose first piece is a token of the query. Where that piece has less than
 * four letters, all others must be, too. Continuation pieces ("##s") and punctuation find no words.
 */
export class TokenFinder {
  private readonly beginnings: TokenBeginnings;
  private readonly words = new Set<number>();
  private readonly continuations = new Set<number>();
  private readonly wanted: Wanted[] = [];

  constructor(beginnings: TokenBeginnings, termIds: Iterable<number>) {
    this.beginnings = beginnings;
    for (const termId of termIds) {
      const { kind } = beginnings.of(termId);
      if (kind === 'continuation') this.continuations.add(termId);
      else if (kind === 'word') this.words.add(termId);
    }
    for (const termId of this.words) {
      const beginning = beginnings.of(termId);
      // A token of other letters is found where characters are not ASCII.
      if (beginning.letters.length > 0) this.wanted.push(this.wantedOf(beginning));
    }
  }

  /** Whether words that begin with a token of the query are found. */
  finds(termId: number): boolean {
    return this.words.has(termId);
  }

  /** @returns which words of a text, in its order; valid until the next call, since its memory is used again */
  find(words: TextWords): Uint32Array {
    if (places.length < words.length) {
      places = new Float64Array(2 * words.length);
      found = new Uint32Array(places.length);
    }
    let count = 0;
    for (const wanted of this.wanted) {
      const { termId, lastKey } = wanted;
      for (
        let word = words.firstOf(wanted.firstKey);
        word < words.length && words.keyOf(word) <= lastKey;
        word++
      ) {
        if (words.firstIdOf(word) === 0 && begins(words, word, wanted)) this.tokenize(words, word);
        // A word that begins like several tokens ("scatter", "scattering") is found by its first piece alone.
        if (words.firstIdOf(word) === termId && this.isWhole(words, word))
          places[count++] = placeOf(words, word);
      }
    }
    if (this.words.size > 0)
      for (let word = words.firstOf(LETTER_PAIRS); word < words.length; word++)
        if (this.words.has(words.firstIdOf(word)) && this.isWhole(words, word))
          places[count++] = placeOf(words, word);
    places.subarray(0, count).sort();
    for (let i = 0; i < count; i++) found[i] = places[i]! % MOST_WORDS;
    return found.subarray(0, count);
  }

  private wantedOf({ termId, letters }: Beginning): Wanted {
    const isPrefix = letters.length >= PREFIX_LETTERS || this.continuations.size > 0;
    const [first, second] = letters as unknown as [number, number | undefined];
    // A word of one letter has it as its second, too; one that begins with a token of one letter has any.
    if (second === undefined && isPrefix)
      return { termId, firstKey: pairKey(first, 0), lastKey: pairKey(first, LAST_LETTER), letters, isPrefix };
    const key = pairKey(first, second ?? first);
    return { termId, firstKey: key, lastKey: key, letters, isPrefix };
  }

  private tokenize(words: TextWords, word: number): void {
    const text = words.text.slice(words.startOf(word), words.endOf(word));
    words.keep(word, this.beginnings.tokenizer.piecesOf(text.toLowerCase()));
  }

  /** Whether a word counts that begins with a token of the query: all of its pieces must be tokens of the query where the first is short. */
  private isWhole(words: TextWords, word: number): boolean {
    const pieces = words.piecesOf(word);
    if (pieces === undefined) return true;
    const { tokens } = this.beginnings.tokenizer;
    return (
      tokens[pieces[0]!]!.length >= PREFIX_LETTERS ||
      pieces.every((id, i) => i === 0 || this.continuations.has(id))
    );
  }
}

function begins(words: TextWords, word: number, { letters, isPrefix }: Wanted): boolean {
  const { length } = letters;
  const start = words.startOf(word);
  const rest = words.endOf(word) - start - length;
  if (rest < 0 || (rest > 0 && !isPrefix)) return false;
  let same = 0;
  while (same < length && letterAt(words.text, start + same) === letters[same]) same++;
  return same === length;
}
