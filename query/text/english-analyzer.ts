import { stemmer } from 'stemmer';
import { foldText } from '../../encoder/transformer/tokenizer/unicode-folding.ts';

/**
 * The chain of Lucene's EnglishAnalyzer, so that BM25 here can be compared with published Lucene figures:
 * StandardTokenizer -> EnglishPossessiveFilter -> LowerCaseFilter -> StopFilter (33 words) -> PorterStemFilter.
 *
 * Text is folded first (`unicode-folding.ts`), so that soft hyphens and ligatures do not hide a word; Lucene leaves this to its ICU
 * filters. Known differences, all outside English text: runs of scripts without blanks between words (Chinese, Japanese, Thai,
 * Lao, Khmer, Myanmar) are cut into words by the dictionaries of `Intl.Segmenter`, which come with Node, while Lucene has single
 * ideographs and whole runs; emoji sequences joined by ZWJ become one token per pictograph.
 */

/** Lucene's EnglishAnalyzer.ENGLISH_STOP_WORDS_SET. */
const ENGLISH_STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a an and are as at be but by for if in into is it no not of on or such that the their then there these they ' +
    'this to was will with'
  ).split(' '),
);

/** StandardTokenizer.MAX_TOKEN_LENGTH_DEFAULT in UTF-16 units: a longer word is chopped into pieces of this length. */
const MAX_TOKEN_LENGTH = 255;

// The Word_Break classes of UAX #29 that StandardTokenizer distinguishes. Each character has one class.
const OTHER = 0;
const LETTER = 1; // ALetter, Hebrew_Letter
const NUMERIC = 2;
const EXTEND_NUM_LET = 3; // _ and its like
const MID_LETTER = 4; // : and its like join letters
const MID_NUM = 5; // , and ; join digits
const MID_NUM_LET = 6; // . ' and ’ join both
const EXTEND = 7; // combining marks and format characters belong to the character before them
const UNSPACED = 8; // letters of scripts without blanks between words: runs, cut by a dictionary
const KATAKANA = 9; // runs: foreign words and names, which dictionaries lack
const EMOJI = 10;
const UNKNOWN = 255;

const MID_LETTERS = ':\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a';
const MID_NUMS = ',;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b';
const MID_NUM_LETS = ".'\u2018\u2019\u2024\ufe52\uff07\uff0e";

function classify(codePoint: number): number {
  const character = String.fromCodePoint(codePoint);
  if (MID_LETTERS.includes(character)) return MID_LETTER;
  if (MID_NUMS.includes(character)) return MID_NUM;
  if (MID_NUM_LETS.includes(character)) return MID_NUM_LET;
  if (/[\p{M}\u200c\u200d]|\p{Cf}/u.test(character)) return codePoint === 0x200b ? OTHER : EXTEND;
  if (/[\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u.test(character) && /\p{L}/u.test(character))
    return UNSPACED;
  if (/\p{Nd}/u.test(character) || codePoint === 0x66b) return NUMERIC;
  if (/[\p{sc=Han}\p{sc=Hiragana}]/u.test(character)) return UNSPACED;
  if (/\p{sc=Katakana}|[\u3031-\u3035\u309b\u309c\u30a0\u30fc\uff70]/u.test(character)) return KATAKANA;
  if (/\p{Alphabetic}/u.test(character) || codePoint === 0x5f3) return LETTER;
  if (/\p{Pc}|\u202f/u.test(character)) return EXTEND_NUM_LET;
  if (/\p{Emoji_Presentation}/u.test(character)) return EMOJI;
  return OTHER;
}

// Classes of the Basic Multilingual Plane are computed once per character; other characters are rare.
const classes = new Uint8Array(65_536).fill(UNKNOWN);

function classOf(codePoint: number): number {
  if (codePoint > 0xffff) return classify(codePoint);
  const known = classes[codePoint]!;
  if (known !== UNKNOWN) return known;
  const found = classify(codePoint);
  classes[codePoint] = found;
  return found;
}

/** Letters and digits join each other, and `_` both and Katakana; unspaced scripts join only themselves. */
function joinsAfter(last: number, kind: number): boolean {
  if (last === OTHER) return false;
  if (kind === last) return true;
  if (kind === UNSPACED || last === UNSPACED) return false;
  return kind === EXTEND_NUM_LET || last === EXTEND_NUM_LET || (kind !== KATAKANA && last !== KATAKANA);
}

/** UTF-16 units that the dictionary cuts at a time, because its time per unit grows with the run. Sentences are shorter. */
const RUN_UNITS = 256;

/** Made when first needed, because it takes milliseconds. */
let dictionary: Intl.Segmenter | undefined;

/** Words of a run of letters of unspaced scripts. */
function segment(run: string): string[] {
  dictionary ??= new Intl.Segmenter('en', { granularity: 'word' });
  const words: string[] = [];
  for (let from = 0; from < run.length; from += RUN_UNITS)
    for (const { segment, isWordLike } of dictionary.segment(run.slice(from, from + RUN_UNITS)))
      if (isWordLike) words.push(segment);
  return words;
}

/**
 * Words of a text in order, in their case: letters and digits with the joiners that UAX #29 allows between them ("don't", "3.14",
 * "U.S.A", "foo_bar"); runs of unspaced scripts as their dictionary cuts them. Words of more than 255 UTF-16 units are chopped
 * as Lucene does.
 */
export function tokenizeWords(text: string): string[] {
  const tokens: string[] = [];
  let start = -1; // first unit of the open word, or -1
  let end = 0; // one past its last unit, extending marks included
  let last = OTHER; // class of the last character that is not an extending mark
  let hasWordCharacter = false;

  const close = () => {
    if (start >= 0 && hasWordCharacter) {
      const word = text.slice(start, end);
      if (last === UNSPACED) for (const part of segment(word)) pushChopped(tokens, part);
      else pushChopped(tokens, word);
    }
    start = -1;
    hasWordCharacter = false;
    last = OTHER;
  };

  for (let at = 0; at < text.length; ) {
    const codePoint = text.codePointAt(at)!;
    const next = at + (codePoint > 0xffff ? 2 : 1);
    const kind = classOf(codePoint);
    const isOpen = start >= 0 && end === at;
    if (isWordCharacter(kind)) {
      if (!(isOpen && joinsAfter(last, kind))) {
        close();
        start = at;
      }
      end = next;
      last = kind;
      if (kind !== EXTEND_NUM_LET) hasWordCharacter = true;
    } else if (kind === EXTEND) {
      if (isOpen) end = next;
    } else if (kind === MID_LETTER || kind === MID_NUM || kind === MID_NUM_LET) {
      const after = isOpen ? endOfJoiner(text, next, last, kind) : -1;
      if (after >= 0) {
        end = after;
        at = after;
        continue;
      }
      close();
    } else {
      close();
      if (kind === EMOJI) {
        start = at;
        end = next;
        hasWordCharacter = true;
      }
    }
    at = next;
  }
  close();
  return tokens;
}

/** Letters, digits, `_`: what words are made of. */
const isWordCharacter = (kind: number): boolean =>
  kind === LETTER || kind === NUMERIC || kind === EXTEND_NUM_LET || kind === KATAKANA || kind === UNSPACED;

function pushChopped(tokens: string[], word: string): void {
  for (let from = 0; from < word.length; from += MAX_TOKEN_LENGTH)
    tokens.push(word.slice(from, from + MAX_TOKEN_LENGTH));
}

/**
 * A joiner belongs to a word only between two letters or two digits (WB6, WB7, WB11, WB12).
 *
 * @param next first unit after the joiner
 * @param last class of the character before it
 * @returns the unit at which the word continues, behind extending marks; -1 where the joiner ends the word
 */
function endOfJoiner(text: string, next: number, last: number, joiner: number): number {
  const joinsLetters = last === LETTER && joiner !== MID_NUM;
  const joinsDigits = last === NUMERIC && joiner !== MID_LETTER;
  if (!joinsLetters && !joinsDigits) return -1;
  let after = next;
  for (; after < text.length; after += text.codePointAt(after)! > 0xffff ? 2 : 1) {
    const kind = classOf(text.codePointAt(after)!);
    if (kind !== EXTEND) return kind === last ? after : -1;
  }
  return -1;
}

/** Drops a final 's with any of the three apostrophes of EnglishPossessiveFilter. */
function withoutPossessive(word: string): string {
  const n = word.length;
  if (n < 2) return word;
  const final = word.charCodeAt(n - 1);
  if (final !== 0x73 && final !== 0x53) return word;
  const mark = word.charCodeAt(n - 2);
  return mark === 0x27 || mark === 0x2019 || mark === 0xff07 ? word.slice(0, -2) : word;
}

/**
 * Stems kept, because natural text repeats its words and Porter's rules take some 2 us per word. The cache is cleared when full.
 */
const STEM_CACHE_WORDS = 65_536;
const stems = new Map<string, string>();

function stem(word: string): string {
  const known = stems.get(word);
  if (known !== undefined) return known;
  // `stemmer` is Porter 1 with the two departures (bli -> ble, logi -> log) that Lucene's PorterStemmer has as well.
  const found = stemmer(word);
  if (stems.size >= STEM_CACHE_WORDS) stems.clear();
  if (word.length <= 64) stems.set(word, found);
  return found;
}

/**
 * All words of a text in order, as phrases compare them: analysed, stop words included. The same text gives the same words in every
 * process of one version of Node.
 */
export function phraseWords(text: string): string[] {
  const words: string[] = [];
  for (const token of tokenizeWords(foldText(text))) {
    const word = withoutPossessive(token).toLowerCase();
    if (word.length > 0) words.push(isStopWord(word) ? word : stem(word));
  }
  return words;
}

/** Whether a word of {@link phraseWords} has no postings. */
export const isStopWord = (word: string): boolean => ENGLISH_STOP_WORDS.has(word);

/**
 * Index terms of a text in order, with repeats: their count is the term frequency, and their number the document length.
 */
export function analyze(text: string): string[] {
  const terms: string[] = [];
  for (const token of tokenizeWords(foldText(text))) {
    const word = withoutPossessive(token).toLowerCase();
    if (word.length > 0 && !isStopWord(word)) terms.push(stem(word));
  }
  return terms;
}
