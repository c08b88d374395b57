import type { WordPieceTokenizer } from '../encoder/wordpiece.ts';

/** A piece of a document's text; `marked` pieces carry query tokens. */
export interface SnippetPart {
  readonly text: string;
  readonly marked: boolean;
}

export interface Snippet {
  readonly parts: readonly SnippetPart[];
  /** Whether text was left out before or after. */
  readonly cutBefore: boolean;
  readonly cutAfter: boolean;
}

/** Words of a snippet; about two lines of a terminal. */
const SNIPPET_WORDS = 32;

/**
 * The run of words that carries the most score: words are weighted by the contribution of the query tokens in them, and
 * by a small share of the document's own weights, so that a hit whose query words were all added still shows its topic.
 *
 * @param queryWeights contribution of each query token to this document's score, by termId
 * @param documentWeights the document's weights by termId
 */
export function makeSnippet(
  text: string,
  tokenizer: WordPieceTokenizer,
  queryWeights: ReadonlyMap<number, number>,
  documentWeights: ReadonlyMap<number, number>,
): Snippet {
  const words = tokenizer.words(text);
  if (words.length === 0) return { parts: [], cutBefore: false, cutAfter: false };
  const matched = words.map(({ ids }) => ids.some((id) => queryWeights.has(id)));
  const seen = new Map<number, number>();
  const values = words.map(({ ids }, i) => {
    let value = 0;
    for (const id of ids) {
      const query = queryWeights.get(id);
      if (query !== undefined) {
        const repeats = seen.get(id) ?? 0;
        seen.set(id, repeats + 1);
        value = Math.max(value, query / (1 + 0.5 * repeats));
      }
      value = Math.max(value, 0.05 * (documentWeights.get(id) ?? 0));
    }
    return matched[i] ? value + 0.1 : value;
  });

  let sum = 0;
  let best = -1;
  let from = 0;
  for (let i = 0; i < words.length; i++) {
    sum += values[i]!;
    if (i >= SNIPPET_WORDS) sum -= values[i - SNIPPET_WORDS]!;
    if (sum > best + 1e-9) {
      best = sum;
      from = Math.max(0, i - SNIPPET_WORDS + 1);
    }
  }
  const to = Math.min(words.length, from + SNIPPET_WORDS);
  const parts: SnippetPart[] = [];
  const append = (piece: string, marked: boolean): void => {
    const clean = piece.replace(/\s+/g, ' ');
    const last = parts.at(-1);
    if (clean === '') return;
    if (last && last.marked === marked) parts[parts.length - 1] = { text: last.text + clean, marked };
    else parts.push({ text: clean, marked });
  };
  for (let i = from; i < to; i++) {
    const { start, end } = words[i]!;
    if (i > from) append(text.slice(words[i - 1]!.end, start), false);
    append(text.slice(start, end), matched[i]!);
  }
  return { parts, cutBefore: from > 0, cutAfter: to < words.length };
}
