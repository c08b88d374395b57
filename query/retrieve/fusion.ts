import { firstOf } from '../first-of.ts';
import type { FUSIONS } from '../request.ts';

/** A ranking as a fusion reads it, best first. */
export interface FusedList {
  /** Equal for the same document in two lists, and for no others: integers from 0, below 2^32. */
  readonly keys: ArrayLike<number>;
  /** Descending, one per key. */
  readonly scores: ArrayLike<number>;
}

/** A document of a fusion: where the first list that has it has it. */
export interface FusedDoc {
  readonly list: number;
  /** From 0. */
  readonly rank: number;
  readonly score: number;
}

/** Whether `a` comes before `b` where their scores are equal. */
export type TieBreak = (a: FusedDoc, b: FusedDoc) => boolean;

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
 * cut at a depth n >= {@link FUSED_DEPTH}, the first n documents of the result are those of the whole lists.
 *
 * @param weights one per list, at least 0
 * @returns the first `depth` documents
 */
export function fuse(
  lists: readonly FusedList[],
  weights: readonly number[],
  fusion: (typeof FUSIONS)[number],
  depth: number,
  tieBreak: TieBreak,
): FusedDoc[] {
  const tops = lists.map(({ keys }) => Math.min(keys.length, FUSED_DEPTH));
  sums.reset(tops.reduce((sum, length) => sum + length, 0));
  lists.forEach(({ keys, scores }, list) => {
    const contribution = contributionOf(scores, tops[list]!, fusion);
    for (let rank = 0; rank < tops[list]!; rank++)
      sums.add(keys[rank]!, list, rank, weights[list]! * contribution(scores[rank]!, rank));
  });
  const docs = sums.best(depth, tieBreak);
  if (depth <= sums.size) return docs;
  const rest = [...placesBelow(lists, weights)].filter(([key]) => !sums.has(key)).map(([, place]) => place);
  rest.sort((a, b) => a.score - b.score || (tieBreak(a, b) ? -1 : 1));
  return [...docs, ...rest.slice(0, depth - sums.size).map((doc) => ({ ...doc, score: 0 }))];
}

/**
 * The sums of scores of documents, in columns and a hash table of their numbers: a `Map` of objects took a tenth of a hybrid search.
 * Columns grow and are kept.
 */
class SumsByKey {
  size = 0;
  private keys = new Uint32Array(0);
  private lists = new Uint16Array(0);
  private ranks = new Uint16Array(0);
  private scores = new Float64Array(0);
  /** 0, 1, 2, … */
  private numbers = new Uint16Array(0);
  /** 1 + the number of the document whose key falls here, or is kept here because the slots before were taken; 0: free. */
  private slots = new Uint32Array(1);

  /** Empties it. @param capacity most documents that will be added */
  reset(capacity: number): void {
    this.size = 0;
    if (capacity <= this.keys.length) {
      this.slots.fill(0);
      return;
    }
    this.keys = new Uint32Array(capacity);
    this.lists = new Uint16Array(capacity);
    this.ranks = new Uint16Array(capacity);
    this.scores = new Float64Array(capacity);
    this.numbers = Uint16Array.from({ length: capacity }, (_, i) => i);
    this.slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * capacity + 1)));
  }

  /** @param list and `rank` are where the document was found; the first place is kept */
  add(key: number, list: number, rank: number, score: number): void {
    const slot = this.slotOf(key);
    const known = this.slots[slot]!;
    if (known > 0) {
      this.scores[known - 1]! += score;
      return;
    }
    const added = this.size++;
    this.slots[slot] = added + 1;
    this.keys[added] = key;
    this.lists[added] = list;
    this.ranks[added] = rank;
    this.scores[added] = score;
  }

  has(key: number): boolean {
    return this.slots[this.slotOf(key)]! > 0;
  }

  /** The first `count` by descending sum. */
  best(count: number, tieBreak: TieBreak): FusedDoc[] {
    const { scores } = this;
    const compare = (a: number, b: number): number =>
      scores[b]! - scores[a]! || (tieBreak(this.doc(a), this.doc(b)) ? -1 : 1);
    return firstOf(this.numbers.subarray(0, this.size), count, compare).map((one) => this.doc(one));
  }

  private doc(at: number): FusedDoc {
    return { list: this.lists[at]!, rank: this.ranks[at]!, score: this.scores[at]! };
  }

  /** Where the key is, or would be. */
  private slotOf(key: number): number {
    const last = this.slots.length - 1;
    // The constant is 2^32 divided by the golden ratio, which spreads consecutive keys.
    let slot = (Math.imul(key, 0x9e3779b1) >>> 16) & last;
    for (; this.slots[slot]! > 0 && this.keys[this.slots[slot]! - 1] !== key; slot = (slot + 1) & last);
    return slot;
  }
}

/** One is enough for a thread, because a fusion never yields. */
const sums = new SumsByKey();

/** By key, the place with the smallest rank / weight, as `score`, of each document that a list has below {@link FUSED_DEPTH}. */
function placesBelow(lists: readonly FusedList[], weights: readonly number[]): Map<number, FusedDoc> {
  const places = new Map<number, FusedDoc>();
  lists.forEach(({ keys }, list) => {
    const weight = weights[list]!;
    for (let rank = FUSED_DEPTH; rank < keys.length; rank++) {
      // A list without weight comes after the others, in its own order.
      const score = weight > 0 ? rank / weight : Number.MAX_VALUE * (1 - 1 / (rank + 2));
      const known = places.get(keys[rank]!);
      if (!known) places.set(keys[rank]!, { list, rank, score });
      else if (score < known.score) places.set(keys[rank]!, { ...known, score });
    }
  });
  return places;
}

/** What the first `length` documents of a list contribute to the scores: at least 0. */
function contributionOf(
  scores: ArrayLike<number>,
  length: number,
  fusion: (typeof FUSIONS)[number],
): (score: number, rank: number) => number {
  if (fusion === 'rrf') return (_, rank) => 1 / (RRF_K + rank + 1);
  const high = scores[0] ?? 0;
  const low = length > 0 ? scores[length - 1]! : 0;
  return (score) => (high === low ? 1 : (score - low) / (high - low));
}
