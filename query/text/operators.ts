import { phraseWords } from './english-analyzer.ts';

/** A condition that a query sets on the words of a text. */
export interface TextCondition {
  /** `phrase`: the words must appear in the document in sequence; `exclusion`: they must not. */
  readonly kind: 'phrase' | 'exclusion';
  /** As typed, without quotes and dash. */
  readonly text: string;
  /** Analysed, stop words included; at least one. */
  readonly words: readonly string[];
}

export interface ParsedQuery {
  /** The text that documents are ranked by: the query without its exclusions and operators. */
  readonly text: string;
  readonly conditions: readonly TextCondition[];
}

const QUOTES = '"\u201c\u201d\u201e';

/**
 * An operator begins where a word could begin. Hyphens inside words, inch marks and negative numbers are therefore text. A
 * phrase ends with a quote that is not followed by a word; if there is none, its first quote is text.
 */
const OPERATOR = new RegExp(
  `(?<=^|[\\s(])(?:(?<dash>-?)[${QUOTES}](?<phrase>[^${QUOTES}]*)[${QUOTES}](?![\\p{L}\\p{N}_])|-(?<word>\\p{L}[^\\s${QUOTES}]*))`,
  'gu',
);

/**
 * Reads `"exact phrase"`, `-word` and `-"exact phrase"`; everything else is text to rank by.
 *
 * @param syntax `plain`: the whole query is text
 */
export function parseQuery(query: string, syntax: 'operators' | 'plain'): ParsedQuery {
  if (syntax === 'plain') return { text: query, conditions: [] };
  const conditions: TextCondition[] = [];
  const text = query.replace(OPERATOR, (typed: string, ...rest: unknown[]) => {
    const { dash, phrase, word } = rest.at(-1) as Record<string, string | undefined>;
    const inner = phrase ?? word ?? '';
    const words = phraseWords(inner);
    if (words.length === 0) return typed;
    const kind = word !== undefined || dash === '-' ? 'exclusion' : 'phrase';
    conditions.push({ kind, text: inner.trim(), words });
    return kind === 'phrase' ? ` ${inner} ` : ' ';
  });
  return { text: conditions.length === 0 ? query : text.trim(), conditions };
}

/** Whether a text's words contain a phrase's words in sequence. */
export function containsPhrase(words: readonly string[], phrase: readonly string[]): boolean {
  const first = phrase[0]!;
  for (let at = words.indexOf(first); at >= 0; at = words.indexOf(first, at + 1))
    if (phrase.every((word, i) => words[at + i] === word)) return true;
  return false;
}
