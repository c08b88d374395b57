import type { FUSIONS } from '../request.ts';

/** The part of a scored document that a fusion reads. */
interface RankedDoc {
  readonly id: string;
  readonly score: number;
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
 */
export function fuse<Doc extends RankedDoc>(
  lists: readonly (readonly Doc[])[],
  weights: readonly number[],
  fusion: (typeof FUSIONS)[number],
): Doc[] {
  const fused = new Map<string, { readonly doc: Doc; score: number }>();
  const deeper = new Map<string, { readonly doc: Doc; score: number }>();
  lists.forEach((list, i) => {
    const weight = weights[i]!;
    const contribution = contributionOf(list.slice(0, FUSED_DEPTH), fusion);
    list.forEach((doc, rank) => {
      const { id } = doc;
      if (rank < FUSED_DEPTH) {
        const known = fused.get(id);
        const added = weight * contribution(doc.score, rank);
        if (known) known.score += added;
        else fused.set(id, { doc, score: added });
        return;
      }
      // A list without weight comes after the others, in its own order.
      const place = weight > 0 ? rank / weight : Number.MAX_VALUE * (1 - 1 / (rank + 2));
      const known = deeper.get(id);
      if (known) known.score = Math.min(known.score, place);
      else deeper.set(id, { doc, score: place });
    });
  });
  const byId = (a: { doc: Doc }, b: { doc: Doc }): number => (a.doc.id < b.doc.id ? -1 : 1);
  const first = [...fused.values()].sort((a, b) => b.score - a.score || byId(a, b));
  const rest = [...deeper.values()]
    .filter(({ doc }) => !fused.has(doc.id))
    .sort((a, b) => a.score - b.score || byId(a, b));
  return [
    ...first.map(({ doc, score }) => ({ ...doc, score })),
    ...rest.map(({ doc }) => ({ ...doc, score: 0 })),
  ];
}

/** What a list contributes to the score of a document: at least 0. */
function contributionOf(
  list: readonly RankedDoc[],
  fusion: (typeof FUSIONS)[number],
): (score: number, rank: number) => number {
  if (fusion === 'rrf') return (_, rank) => 1 / (RRF_K + rank + 1);
  const high = list[0]?.score ?? 0;
  const low = list.at(-1)?.score ?? 0;
  return (score) => (high === low ? 1 : (score - low) / (high - low));
}
