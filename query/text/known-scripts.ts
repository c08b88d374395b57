import { foldText } from '../../encoder/transformer/tokenizer/unicode-folding.ts';
import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { tokenizeWords } from './english-analyzer.ts';

/** Scripts that a vocabulary may have words of. Letters of any other script count as unknown. */
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

/** A vocabulary with fewer tokens of two letters or more in a script has the script's alphabet, but not its words. */
const KNOWN_FROM_TOKENS = 100;

/** Letters of the common script (the long vowel mark, letter-like symbols) belong to the script of their neighbours. */
const LETTER = /[^\P{L}\p{sc=Common}\p{sc=Inherited}]/u;
/** Scripts in which one letter is a word. */
const LETTER_IS_WORD = /\p{sc=Han}/u;

/** The words of a text by whether the model can read them. */
export interface Readability {
  /** Words in scripts that the model has no words of, as typed. */
  readonly unknown: readonly string[];
  /** Number of the other words that have letters. */
  readonly known: number;
}

/** A letter of another script than Latin. Only then is the vocabulary examined, which takes milliseconds. */
const FOREIGN = /(?!\p{sc=Latin})[^\P{L}\p{sc=Common}\p{sc=Inherited}]/u;

/** Detects words in scripts of which a model's vocabulary has only letters, or nothing. Latin is always known. */
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

  /** Whether a text has words and all of them are in unknown scripts. */
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

/** Single letters, as in formulas, are tokens of the model: `α`. */
const isWord = (word: string): boolean => [...word].length > 1 || LETTER_IS_WORD.test(word);
