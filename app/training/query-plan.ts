import type { JudgedQuery } from '../../corpus/judged-queries.ts';
import { foldText } from '../../encoder/transformer/tokenizer/unicode-folding.ts';
import type { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import { shuffled } from '../../random.ts';
import { type Passage, passageIds, samplePassages, sourcesByText } from './passages.ts';
import { cutQuery } from './span-queries.ts';
import type { Splittable } from './split.ts';

/** What people said of documents, as far as the index has them. */
export interface Judged {
  /** Ids of sources. */
  readonly positives: readonly string[];
  readonly negatives: readonly string[];
  /** Texts that the index lacks: they are trained on, and nothing is measured with them. */
  readonly positiveTexts: readonly string[];
  readonly negativeTexts: readonly string[];
}

/** A query before its candidates are found. */
export interface PlannedQuery extends Splittable {
  /** Source that is no candidate: the query was cut out of it. */
  readonly hidden?: string;
  /** Absent for queries that were cut out of documents. */
  readonly judged?: Judged;
}

/** How much a word says: the rarest of its WordPieces, by the idf table of a model. */
export function rarityOf(tokenizer: WordPieceTokenizer, idf: Float32Array): (word: string) => number {
  return (word) => Math.max(0, ...tokenizer.encode(foldText(word)).map((id) => idf[id] ?? 0));
}

/**
 * Cuts queries out of the documents of an index, each out of another passage until all had their turn.
 *
 * @param count queries at most; passages without two words give none
 */
export async function planCutQueries(
  index: EmbeddedBackend,
  { count, seed, rarity }: { count: number; seed: number; rarity: (word: string) => number },
): Promise<PlannedQuery[]> {
  const passages = await samplePassages(index, count, seed);
  const planned = new Map<string, PlannedQuery>();
  for (let turn = 0; turn < 20 && passages.length > 0 && planned.size < count; turn++) {
    const before = planned.size;
    passages.forEach((passage, i) => {
      const one = cutFrom(passage, seed * 1_000_003 + turn * passages.length + i, rarity);
      if (one && planned.size < count && !planned.has(one.query)) planned.set(one.query, one);
    });
    if (planned.size === before) break;
  }
  return shuffled([...planned.values()], seed);
}

function cutFrom(
  { id, title, text }: Passage,
  seed: number,
  rarity: (word: string) => number,
): PlannedQuery | undefined {
  const cut = cutQuery({ title, text }, seed, rarity);
  if (!cut) return undefined;
  const source = parseStoredId(id).id;
  return { query: cut.query, about: [source], ...(cut.hidesSource ? { hidden: source } : {}) };
}

/** Finds the documents that judged queries speak of: by id, else by text. */
export async function planJudgedQueries(
  index: EmbeddedBackend,
  queries: readonly JudgedQuery[],
  seed: number,
): Promise<PlannedQuery[]> {
  const named = [...new Set(queries.flatMap(({ positives, negatives }) => [...positives, ...negatives]))];
  // An id has at most 512 bytes; a longer string can only be a text.
  const ids = new Set(named.filter((one) => one.length <= 512 && passageIds(index, one).length > 0));
  const byText = await sourcesByText(
    index,
    named.filter((one) => !ids.has(one)),
  );
  const sourceOf = (one: string): string | undefined => (ids.has(one) ? one : byText.get(one));
  const sources = (list: readonly string[]): string[] => [
    ...new Set(list.map(sourceOf).filter((id) => id !== undefined)),
  ];
  // What has no blank is an id of a document that is gone, and no text to train on.
  const texts = (list: readonly string[]): string[] =>
    list.filter((one) => sourceOf(one) === undefined && /\s/.test(one.trim()));
  const planned = queries.map(({ query, positives, negatives }): PlannedQuery => {
    const known = sources(positives);
    const judged: Judged = {
      positives: known,
      negatives: sources(negatives).filter((id) => !known.includes(id)),
      positiveTexts: texts(positives),
      negativeTexts: texts(negatives),
    };
    return { query, about: [...known, ...judged.positiveTexts.map((text) => `text ${text}`)], judged };
  });
  return shuffled(
    planned.filter(({ judged }) => judged!.positives.length + judged!.positiveTexts.length > 0),
    seed,
  );
}
