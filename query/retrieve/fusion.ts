import type { FUSIONS } from '../request.ts';

/** What a fusion reads of documents. */
export interface Fusion<Doc> {
  /** How many documents are wanted. */
  readonly depth: number;
  /** Equal for the same document in two lists, and for no others. */
  keyOf(doc: Doc): string | number;
  /** Decides between equal scores. */
  idOf(doc: Doc): string;
}

/** Constant of reciprocal rank fusion (Cormack, Clarke & Büttcher, SIGIR 2009). */
const RRF_K = 60;

/**
 * Number of best documents of each list whose scores a fusion joins. It is fixed, so that a query has one ranking, whatever the
 * number of hits. With 1,000 a search takes five times as long and nDCG@10 changes by .001 (NQ-UTD .8396 instead of .8386,
 * Cranfield .4239 instead of .4248).
 */
export const FUSED_DEPTH = 100;

/**
 * Joins rankings. The {@link FUSED_DEPTH} best of each list come first, by the weighted sum of what each list contributes:
 *
 * - `weighted`: the score, normalised so that the best of the list is 1 and the last of those is 0; where all are equal, 1;
 * - `rrf`: 1 / (60 + rank), reciprocal rank fusion.
 *
 * Documents that appear only deeper follow with a score of 0, in ascending order of the smallest rank / weight. If the lists are
 * cut at a depth n >= {@link FUSED_DEPTH}, the first n documents of the result are those of the whole lists. Ties by smaller id.
 *
 * @param lists descending scores each
 * @param weights one per list, at least 0
 * @returns the first `depth` documents, with their new scores
 */
export function fuse<Doc extends { readonly score: number }>(
  lists: readonly (readonly Doc[])[],
  weights: readonly number[],
  fusion: (typeof FUSIONS)[number],
  { depth, keyOf, idOf }: Fusion<Doc>,
): Doc[] {
  const fused = new Map<string | number, Fused<Doc>>();
  lists.forEach((list, i) => {
    const top = list.slice(0, FUSED_DEPTH);
    const contribution = contributionOf(top, fusion);
    top.forEach((doc, rank) => {
      const added = weights[i]! * contribution(doc.score, rank);
      const key = keyOf(doc);
      const known = fused.get(key);
      if (known) known.score += added;
      else fused.set(key, { doc, score: added });
    });
  });
  const byId = (a: Fused<Doc>, b: Fused<Doc>): number => (idOf(a.doc) < idOf(b.doc) ? -1 : 1);
  const first = firstOf(fused.values(), depth, (a, b) => b.score - a.score || byId(a, b));
  const docs = first.map(({ doc, score }) => ({ ...doc, score }));
  if (depth <= fused.size) return docs;
  const rest = [...placesBelow(lists, weights, keyOf)]
    .filter(([key]) => !fused.has(key))
    .map(([, place]) => place);
  rest.sort((a, b) => a.score - b.score || byId(a, b));
  return [...docs, ...rest.slice(0, depth - fused.size).map(({ doc }) => ({ ...doc, score: 0 }))];
}

/** A document of the result, with its score or place so far. */
interface Fused<Doc> {
  readonly doc: Doc;
  score: number;
}

/** The first `count` in order. Most of a hundred documents are compared once, where few are wanted. */
export function firstOf<T>(all: Iterable<T>, count: number, compare: (a: T, b: T) => number): T[] {
  const kept: T[] = [];
  for (const one of all) {
    if (kept.length === count && compare(kept[count - 1]!, one) < 0) continue;
    let at = kept.length === count ? count - 1 : kept.length;
    for (; at > 0 && compare(one, kept[at - 1]!) < 0; at--) kept[at] = kept[at - 1]!;
    kept[at] = one;
  }
  return kept;
}

/** The smallest rank / weight of each document that a list has below {@link FUSED_DEPTH}. */
function placesBelow<Doc>(
  lists: readonly (readonly Doc[])[],
  weights: readonly number[],
  keyOf: (doc: Doc) => string | number,
): Map<string | number, Fused<Doc>> {
  const places = new Map<string | number, Fused<Doc>>();
  lists.forEach((list, i) => {
    const weight = weights[i]!;
    for (let rank = FUSED_DEPTH; rank < list.length; rank++) {
      const doc = list[rank]!;
      // A list without weight comes after the others, in its own order.
      const score = weight > 0 ? rank / weight : Number.MAX_VALUE * (1 - 1 / (rank + 2));
      const known = places.get(keyOf(doc));
      if (known) known.score = Math.min(known.score, score);
      else places.set(keyOf(doc), { doc, score });
    }
  });
  return places;
}

/** What a list contributes to the score of a document: at least 0. */
function contributionOf(
  list: readonly { readonly score: number }[],
  fusion: (typeof FUSIONS)[number],
): (score: number, rank: number) => number {
  if (fusion === 'rrf') return (_, rank) => 1 / (RRF_K + rank + 1);
  const high = list[0]?.score ?? 0;
  const low = list.at(-1)?.score ?? 0;
  return (score) => (high === low ? 1 : (score - low) / (high - low));
}
