import type { WordPieces } from '../encoder/wordpiece.ts';

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
 * @param words of `text`, by the encoder's tokenizer
 * @param queryWeights by termId: what a query token contributes to this document's score, 0 for other tokens
 * @param documentWeights by termId: the document's weights
 */
export function makeSnippet(
  text: string,
  words: readonly WordPieces[],
  queryWeights: Float32Array,
  documentWeights: Float32Array,
): Snippet {
  if (words.length === 0) return { parts: [], cutBefore: false, cutAfter: false };
  const matched = new Uint8Array(words.length);
  const repeats = new Map<number, number>();
  const values = words.map(({ ids }, i) => {
    let value = 0;
    for (const id of ids) {
      const query = queryWeights[id]!;
      if (query > 0) {
        const before = repeats.get(id) ?? 0;
        repeats.set(id, before + 1);
        matched[i] = 1;
        value = Math.max(value, query / (1 + 0.5 * before));
      }
      value = Math.max(value, 0.05 * documentWeights[id]!);
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
    append(text.slice(start, end), matched[i] === 1);
  }
  return { parts, cutBefore: from > 0, cutAfter: to < words.length };
}
