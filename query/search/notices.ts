import { MAX_TEXTS_READ } from '../limits.ts';
import type { SearchMode } from '../request.ts';
import type { Notice } from '../response.ts';

/** Words that a notice names. */
const NAMED_WORDS = 5;

export const ONLY_EXCLUSIONS: Notice = {
  code: 'only-exclusions',
  message: 'the query only says what not to find; add a word to search for',
};

export const UNKNOWN_DOCUMENT: Notice = {
  code: 'unknown-document',
  message: 'the model knows no word of this document, which is found by its words only (mode bm25)',
};

export const TEXTS_READ: Notice = {
  code: 'texts-read',
  message: `phrases were checked in the texts of the first ${MAX_TEXTS_READ} candidates; there may be more hits`,
};

/** @param mode the requested one */
export const unknownScript = (mode: SearchMode): Notice => ({
  code: 'unknown-script',
  message: `the model does not know the script of this query; it was searched by its words (mode bm25, not ${mode})`,
});

export function unknownWords(words: readonly string[]): Notice {
  const named = words.slice(0, NAMED_WORDS).join(', ');
  const more = words.length > NAMED_WORDS ? ', …' : '';
  return {
    code: 'unknown-words',
    message: `the model does not know the script of ${named}${more}; mode hybrid searches for these words as well`,
  };
}

export const noTerms = (mode: SearchMode): Notice => ({
  code: 'no-terms',
  message:
    mode === 'bm25'
      ? 'the query has no word that is searched for: words like "the" are left out'
      : 'the query has no token with a weight',
});
