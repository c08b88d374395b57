import { readFileSync } from 'node:fs';
import { WinnowError } from '../../../errors.ts';
import { foldCharacter, foldText } from './unicode-folding.ts';

/** One word of a text: its UTF-16 range `[start, end)` in the original and its WordPiece ids. */
export interface WordPieces {
  readonly start: number;
  readonly end: number;
  readonly ids: readonly number[];
}

/** Ids of BERT's special tokens, which never have a weight: [PAD], [UNK], [CLS], [SEP], [MASK]. */
export const SPECIAL_IDS: ReadonlySet<number> = new Set([0, 100, 101, 102, 103]);
const UNK_ID = 100;
export const CLS_ID = 101;
export const SEP_ID = 102;

/** Words longer than this become [UNK], as in BERT's WordPiece (`max_input_chars_per_word`). */
const MAX_WORD_CHARS = 100;
/** Entries of each word cache before it is cleared; natural text repeats its words. */
const CACHE_LIMIT = 50_000;

const Kind = { Word: 0, Space: 1, Punctuation: 2, Removed: 3 } as const;
type Kind = (typeof Kind)[keyof typeof Kind];

const ASCII_KIND = new Uint8Array(128);
for (let c = 0; c < 128; c++) {
  if (c === 9 || c === 10 || c === 13 || c === 32) ASCII_KIND[c] = Kind.Space;
  else if (c < 32 || c === 127) ASCII_KIND[c] = Kind.Removed;
  else if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126))
    ASCII_KIND[c] = Kind.Punctuation;
}

const isRemoved = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\uFFFD]/u;
const isSpace = /\p{White_Space}/u;
const isPunctuation = /\p{P}/u;
const nonspacingMarks = /\p{Mn}/gu;

function isCjkIdeograph(c: number): boolean {
  return (
    (c >= 0x4e00 && c <= 0x9fff) ||
    (c >= 0x3400 && c <= 0x4dbf) ||
    (c >= 0x20000 && c <= 0x2a6df) ||
    (c >= 0x2a700 && c <= 0x2b73f) ||
    (c >= 0x2b740 && c <= 0x2b81f) ||
    (c >= 0x2b920 && c <= 0x2ceaf) ||
    (c >= 0xf900 && c <= 0xfaff) ||
    (c >= 0x2f800 && c <= 0x2fa1f)
  );
}

/**
 * BERT's uncased WordPiece: clean, split at white space and punctuation, strip accents, lower-case, then split off the
 * longest known prefix repeatedly (Devlin et al. 2018). Text that is already folded (`unicode-folding.ts`) gets the ids of
 * the `tokenizers` library on `bert-base-uncased`. Other text is folded first; word positions refer to the original.
 *
 * A literal "[MASK]" in a text is ordinary text, so input cannot inject special tokens.
 */
export class WordPieceTokenizer {
  /** Token string of every id; continuation pieces start with `##`. */
  readonly tokens: readonly string[];
  private readonly vocabulary: ReadonlyMap<string, number>;
  private readonly cache = new Map<string, readonly number[]>();

  constructor(tokens: readonly string[]) {
    this.tokens = tokens;
    const vocabulary = new Map<string, number>();
    for (let id = 0; id < tokens.length; id++) vocabulary.set(tokens[id]!, id);
    this.vocabulary = vocabulary;
  }

  /**
   * Reads the `model.vocab` of a Hugging Face `tokenizer.json` (type WordPiece, lower-casing).
   *
   * @throws WinnowError WINNOW_MODEL_INVALID when the file is not such a tokenizer
   */
  static fromFile(path: string): WordPieceTokenizer {
    let json: { model?: { type?: string; vocab?: Record<string, number> } };
    try {
      json = JSON.parse(readFileSync(path, 'utf8'));
    } catch (cause) {
      throw new WinnowError('WINNOW_MODEL_INVALID', 'the tokenizer cannot be read as JSON', {
        place: path,
        cause,
      });
    }
    const vocab = json.model?.vocab;
    if (json.model?.type !== 'WordPiece' || !vocab) {
      throw new WinnowError('WINNOW_MODEL_INVALID', 'not a WordPiece tokenizer', {
        place: path,
        hint: 'Winnow reads tokenizers of the bert-base-uncased family',
      });
    }
    // Names and ids apart: 30,000 pairs would take twice the time, which every command waits for.
    const names = Object.keys(vocab);
    const ids = Object.values(vocab);
    const tokens = new Array<string>(names.length);
    let numbered = 0;
    for (let i = 0; i < names.length; i++) {
      const id = ids[i]!;
      if (!Number.isInteger(id) || id < 0 || id >= names.length || tokens[id] !== undefined) break;
      tokens[id] = names[i]!;
      numbered++;
    }
    if (names.length > 65_536 || numbered < names.length) {
      throw new WinnowError('WINNOW_MODEL_INVALID', 'vocabulary ids have gaps or exceed 65,536', {
        place: path,
      });
    }
    return new WordPieceTokenizer(tokens);
  }

  get vocabularySize(): number {
    return this.tokens.length;
  }

  /** Undefined for a token that the vocabulary lacks. */
  idOf(token: string): number | undefined {
    return this.vocabulary.get(token);
  }

  /**
   * WordPiece ids of a text in order, without special tokens at the ends; unknown words give [UNK] (100).
   *
   * @param most ids to return at most, 0 or more: the text behind them is not read
   */
  encode(text: string, most = Number.POSITIVE_INFINITY): number[] {
    const ids: number[] = [];
    if (most === 0) return ids;
    this.scan(text, (pieces) => {
      for (const id of pieces) if (ids.length < most) ids.push(id);
      return ids.length < most;
    });
    return ids;
  }

  /** The words of a text with their positions in the original string, for highlighting and explanations. */
  words(text: string): WordPieces[] {
    const words: WordPieces[] = [];
    this.scan(text, (ids, start, end) => {
      words.push({ start, end, ids });
      return true;
    });
    return words;
  }

  /** `[CLS] pieces [SEP]`, cut to at most `maxTokens` ids in total; `maxTokens` is at least 2. */
  encodeWindow(text: string, maxTokens: number): Uint16Array {
    return Uint16Array.from([CLS_ID, ...this.encode(text, maxTokens - 2), SEP_ID]);
  }

  /** Number of ids that `encode` returns, without building them. */
  count(text: string): number {
    let count = 0;
    this.scan(text, (pieces) => {
      count += pieces.length;
      return true;
    });
    return count;
  }

  /** Calls `visit` for each word of `text`, until it returns false. */
  private scan(text: string, visit: (ids: readonly number[], start: number, end: number) => boolean): void {
    let wordStart = -1;
    let plain = true; // every character of the word is ASCII and none is removed
    const flush = (end: number): boolean => {
      if (wordStart < 0) return true;
      const raw = text.slice(wordStart, end);
      const word = plain ? raw.toLowerCase() : normalizeWord(raw);
      const start = wordStart;
      wordStart = -1;
      plain = true;
      return word === '' || visit(this.pieces(word), start, end);
    };
    for (let i = 0; i < text.length; ) {
      let code = text.charCodeAt(i);
      let width = 1;
      let kind: number;
      let ascii = true;
      if (code < 128) {
        kind = ASCII_KIND[code]!;
      } else {
        ascii = false;
        code = text.codePointAt(i)!;
        width = code > 0xffff ? 2 : 1;
        if (isCjkIdeograph(code)) {
          if (!flush(i) || !visit(this.pieces(normalizeWord(text.slice(i, i + width))), i, i + width)) return;
          i += width;
          continue;
        }
        kind = kindOf(code);
      }
      if (kind === Kind.Word) {
        if (wordStart < 0) wordStart = i;
        if (!ascii) plain = false;
      } else if (kind === Kind.Removed) {
        plain = false; // an invisible character joins its neighbours: "co\u00adoperate" is one word
      } else {
        if (!flush(i)) return;
        if (
          kind === Kind.Punctuation &&
          !visit(this.pieces(normalizeWord(text.slice(i, i + width))), i, i + width)
        )
          return;
      }
      i += width;
    }
    flush(text.length);
  }

  /** Ids of one word. @param word without spaces and punctuation, folded and in lower case, as a word of ASCII letters and digits is */
  piecesOf(word: string): readonly number[] {
    return this.pieces(word);
  }

  private pieces(word: string): readonly number[] {
    const known = this.cache.get(word);
    if (known) return known;
    const ids = this.split(word);
    if (this.cache.size >= CACHE_LIMIT) this.cache.clear();
    this.cache.set(word, ids);
    return ids;
  }

  /** Greedy longest-match-first; a word with an unknown remainder becomes [UNK] as a whole. */
  private split(word: string): readonly number[] {
    const whole = this.vocabulary.get(word);
    if (whole !== undefined) return [whole];
    const chars = Array.from(word);
    if (chars.length > MAX_WORD_CHARS) return [UNK_ID];
    const ids: number[] = [];
    for (let start = 0; start < chars.length; ) {
      let end = chars.length;
      let found: number | undefined;
      while (end > start) {
        const piece = (start > 0 ? '##' : '') + chars.slice(start, end).join('');
        found = this.vocabulary.get(piece);
        if (found !== undefined) break;
        end--;
      }
      if (found === undefined) return [UNK_ID];
      ids.push(found);
      start = end;
    }
    return ids;
  }
}

/** Cached kind + 1 of each character of the Basic Multilingual Plane, 0: not yet looked up. Other characters are rare. */
const kinds = new Uint8Array(65_536);

/** Kind of a non-ASCII character: that of the first character of its folded form. */
function kindOf(code: number): Kind {
  const known = code > 0xffff ? 0 : kinds[code]!;
  if (known > 0) return (known - 1) as Kind;
  const folded = foldCharacter(String.fromCodePoint(code));
  // Canonical decomposition first: U+037E, the Greek question mark, is a semicolon.
  const kind = folded === '' ? Kind.Removed : classifyAny(folded.normalize('NFD'));
  if (code <= 0xffff) kinds[code] = kind + 1;
  return kind;
}

function classify(char: string): Kind {
  if (isRemoved.test(char)) return Kind.Removed;
  if (isSpace.test(char)) return Kind.Space;
  return isPunctuation.test(char) ? Kind.Punctuation : Kind.Word;
}

/** Cache of the normalised forms of words that are not plain ASCII. */
const normalized = new Map<string, string>();

/** Lower-cases character by character, as `tokenizers` does; JavaScript lower-cases a final sigma by its context. */
function normalizeWord(raw: string): string {
  const known = normalized.get(raw);
  if (known !== undefined) return known;
  let word = '';
  for (const char of foldText(raw).normalize('NFD').replace(nonspacingMarks, '')) {
    if (classifyAny(char) !== Kind.Removed) word += char.toLowerCase();
  }
  if (normalized.size >= CACHE_LIMIT) normalized.clear();
  if (raw.length <= MAX_WORD_CHARS) normalized.set(raw, word);
  return word;
}

function classifyAny(char: string): Kind {
  const code = char.charCodeAt(0);
  return code < 128 ? (ASCII_KIND[code] as Kind) : classify(char);
}
