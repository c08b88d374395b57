import { randomSource } from '../../random.ts';

/** Part of a document that queries are cut out of. */
export interface QuerySource {
  readonly title: string;
  readonly text: string;
}

/** How a query was made. */
export type CutKind = 'span' | 'sentence' | 'title' | 'keyphrase';

export interface CutQuery {
  readonly query: string;
  readonly kind: CutKind;
  /** Whether the document that the query was cut out of is left out of its candidates: else matching words are all there is to learn. */
  readonly hidesSource: boolean;
}

/** Shares of the kinds. A kind that a passage has nothing for becomes a span. */
const KINDS: readonly (readonly [CutKind, number])[] = [
  ['span', 0.55],
  ['sentence', 0.2],
  ['keyphrase', 0.15],
  ['title', 0.1],
];
/** Share of the queries whose source is hidden, as in the recipe of the bundled model (docs/training.md, "Queries"). */
const HIDDEN_SHARE = 0.6;
/** Words of a span: log-uniform, because queries of two words are more frequent than queries of twenty. */
const SPAN_WORDS = [2, 24] as const;
const SENTENCE_WORDS = [5, 40] as const;
/** Words of a keyphrase. */
const PHRASE_WORDS = [2, 4] as const;
/** The best phrases of a passage, one of which is drawn. */
const PHRASES = 5;

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

/**
 * Cuts one query out of a passage: a run of words, a sentence, its title, or a keyphrase. It needs no judgements, and every corpus has
 * text (docs/training.md, "Queries").
 *
 * @param seed decides all that is drawn
 * @param rarity of a word, above 0: how much it says; keyphrases are made of such words
 * @returns undefined for a passage of fewer than two words
 */
export function cutQuery(
  source: QuerySource,
  seed: number,
  rarity: (word: string) => number,
): CutQuery | undefined {
  const random = randomSource(seed);
  const drawn = random();
  const hidesSource = random() < HIDDEN_SHARE;
  const kind = kindAt(drawn);
  const query = kind === 'span' ? undefined : CUTS[kind](source, random, rarity);
  if (query !== undefined) return { query, kind, hidesSource };
  const span = spanOf(source, random);
  return span === undefined ? undefined : { query: span, kind: 'span', hidesSource };
}

function kindAt(drawn: number): CutKind {
  let sum = 0;
  for (const [kind, share] of KINDS) {
    sum += share;
    if (drawn < sum) return kind;
  }
  return 'span';
}

type Cut = (
  source: QuerySource,
  random: () => number,
  rarity: (word: string) => number,
) => string | undefined;

const CUTS: Readonly<Record<Exclude<CutKind, 'span'>, Cut>> = {
  title({ title }) {
    // The title of a passage is "Guide > Install > Linux": its last part is its own.
    const own = title.split(' > ').at(-1)!.trim();
    const count = wordsOf(own).length;
    return count >= 2 && count <= SENTENCE_WORDS[1] ? own : undefined;
  },
  sentence({ text }, random) {
    const found = [...sentences.segment(text)]
      .map(({ segment }) => segment.trim().replace(/\s+/g, ' '))
      .filter((sentence) => {
        const count = wordsOf(sentence).length;
        return count >= SENTENCE_WORDS[0] && count <= SENTENCE_WORDS[1];
      });
    return found[Math.floor(random() * found.length)];
  },
  keyphrase({ text }, random, rarity) {
    const phrases = keyphrases(text, rarity).slice(0, PHRASES);
    return phrases[Math.floor(random() * phrases.length)];
  },
};

function spanOf({ title, text }: QuerySource, random: () => number): string | undefined {
  const words = wordsOf(title === '' ? text : `${title} ${text}`);
  const [least, most] = SPAN_WORDS;
  if (words.length < least) return undefined;
  const length = Math.min(words.length, Math.round(least * (most / least) ** random()));
  const start = Math.floor(random() * (words.length - length + 1));
  return words.slice(start, start + length).join(' ');
}

/** The words of a text without the punctuation around them. */
const wordsOf = (text: string): string[] =>
  text.split(/\s+/).flatMap((word) => {
    const bare = word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '');
    return bare === '' ? [] : [bare];
  });

/** Words that a phrase neither holds nor crosses: those that say little in any text. */
const LITTLE = 3.5;

/**
 * Phrases of a text by what their words say and how often they come, best first: runs of words that say something, inside a sentence
 * (after RAKE: Rose et al. 2010, "Automatic keyword extraction from individual documents").
 */
function keyphrases(text: string, rarity: (word: string) => number): string[] {
  const found = new Map<string, { phrase: string; count: number; score: number }>();
  for (const run of text.split(/[^\p{L}\p{N}\s'’-]+/u)) {
    let phrase: string[] = [];
    const end = (): void => {
      if (phrase.length >= PHRASE_WORDS[0] && phrase.length <= PHRASE_WORDS[1]) {
        const joined = phrase.join(' ');
        const key = joined.toLowerCase();
        const score = phrase.reduce((sum, word) => sum + rarity(word), 0);
        const known = found.get(key) ?? { phrase: joined, count: 0, score };
        known.count++;
        found.set(key, known);
      }
      phrase = [];
    };
    for (const word of wordsOf(run)) {
      if (rarity(word) < LITTLE) end();
      else phrase.push(word);
    }
    end();
  }
  return [...found.values()]
    .sort((a, b) => b.score * b.count - a.score * a.count || (a.phrase < b.phrase ? -1 : 1))
    .map(({ phrase }) => phrase);
}
