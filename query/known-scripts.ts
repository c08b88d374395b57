import { foldText } from '../encoder/unicode-folding.ts';
import type { WordPieceTokenizer } from '../encoder/wordpiece.ts';
import { tokenizeWords } from './english-analyzer.ts';

/** Scripts told apart by the vocabulary; letters of any other script count as not known. */
const SCRIPTS = [
  'Greek',
  'Cyrillic',
  'Armenian',
  'Hebrew',
  'Arabic',
  'Devanagari',
  'Bengali',
  'Tamil',
  'Telugu',
  'Thai',
  'Georgian',
  'Hangul',
  'Hiragana',
  'Katakana',
  'Han',
];

/** Tokens of at least two letters that a vocabulary needs of a script to hold words of it and not only its alphabet. */
const KNOWN_FROM_TOKENS = 100;

/** Letters of the common script (the long vowel mark, letter-like symbols) belong to whatever they stand beside. */
const LETTER = /[^\P{L}\p{sc=Common}\p{sc=Inherited}]/u;
/** Scripts of which one letter is a word. */
const LETTER_IS_WORD = /\p{sc=Han}/u;

/** How much of a text a model can read. */
export interface Readability {
  /** Words in scripts of which the model knows no words, as typed. */
  readonly unknown: readonly string[];
  /** Number of the other words that have letters. */
  readonly known: number;
}

/** A letter of another script than Latin: only then the vocabulary is looked at, which costs milliseconds. */
const FOREIGN = /(?!\p{sc=Latin})[^\P{L}\p{sc=Common}\p{sc=Inherited}]/u;

/** Tells words in scripts of which a model's vocabulary has only letters, or nothing. Latin is always known. */
export class KnownScripts {
  private readonly tokens: readonly string[];
  private letters: RegExp | undefined;

  constructor({ tokens }: Pick<WordPieceTokenizer, 'tokens'>) {
    this.tokens = tokens;
  }

  read(text: string): Readability {
    const unknown: string[] = [];
    let known = 0;
    for (const word of tokenizeWords(foldText(text))) {
      if (!LETTER.test(word)) continue;
      if (!FOREIGN.test(word) || this.knownLetter.test(word) || !isWord(word)) known++;
      else unknown.push(word);
    }
    return { unknown, known };
  }

  /** Whether a text has words, and all of them in scripts that the model does not know. */
  isUnknown(text: string): boolean {
    if (!FOREIGN.test(text)) return false;
    const { unknown, known } = this.read(text);
    return unknown.length > 0 && known === 0;
  }

  /** One letter of a known script. */
  private get knownLetter(): RegExp {
    this.letters ??= lettersOf(this.tokens);
    return this.letters;
  }
}

function lettersOf(tokens: readonly string[]): RegExp {
  const foreign = tokens.filter((token) => FOREIGN.test(token));
  const known = SCRIPTS.filter((script) => {
    const word = new RegExp(`^(?:##)?\\p{sc=${script}}{2,}$`, 'u');
    return foreign.filter((token) => word.test(token)).length >= KNOWN_FROM_TOKENS;
  });
  return new RegExp(`[${['Latin', ...known].map((script) => `\\p{sc=${script}}`).join('')}]`, 'u');
}

/** A single letter, as in formulas, is read by itself: `α` is a token. */
const isWord = (word: string): boolean => [...word].length > 1 || LETTER_IS_WORD.test(word);
