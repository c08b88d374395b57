import type { TrainingExample } from '../../encoder/training/types.ts';
import { parseStoredId } from '../../indexer/format/stored-id.ts';
import { searchableText } from '../../query/embedded/source-encoder.ts';
import { randomSource } from '../../random.ts';
import type { Candidate } from './labelling.ts';
import type { Passage } from './passages.ts';
import type { LabelledQuery } from './supervision.ts';

/** Passages per query: as in the recipe of the bundled model (docs/training.md, "Objective"). */
const PASSAGES_PER_QUERY = 4;
/** Of people's positives: above whatever the judges found best, who score 0..1. */
const POSITIVE_TARGET = 1.25;

/**
 * What the trainer gets: the best passage of each query, others drawn among its candidates, the better ones more often, and what the judges
 * say of them. A passage that a person called right is better than all others; one called wrong is worse than those that the judges like.
 *
 * @param passages of all candidates, by stored id
 */
export function trainingExamples(
  queries: readonly LabelledQuery[],
  passages: ReadonlyMap<string, Passage>,
  seed: number,
): TrainingExample[] {
  const random = randomSource(seed);
  return queries.flatMap((query): TrainingExample[] => {
    const { positives, others } = sides(query, passages);
    return positives.flatMap((positive) => {
      const chosen = [positive, ...draw(others, PASSAGES_PER_QUERY - 1, random)];
      if (chosen.length < 2) return [];
      return [
        {
          query: query.query,
          passages: chosen.map(({ text }) => text),
          targets: chosen.map(({ score }) => score),
        },
      ];
    });
  });
}

interface Scored {
  readonly text: string;
  readonly score: number;
}

/** The passages that an example begins with, one example each, and those that it is completed with, best first. */
function sides(
  { candidates, judged }: LabelledQuery,
  passages: ReadonlyMap<string, Passage>,
): { positives: Scored[]; others: Scored[] } {
  const scored = ({ id, score }: Candidate): Scored[] => {
    const passage = passages.get(id);
    return passage ? [{ text: searchableText(passage), score }] : [];
  };
  if (!judged) {
    const [best, ...others] = candidates.flatMap(scored);
    return { positives: best ? [best] : [], others };
  }
  // Of a document that was cut, the passage that answers best stands for it.
  const seen = new Set<string>();
  const best = candidates.filter(({ id }) => {
    const { id: source } = parseStoredId(id);
    return judged.positives.includes(source) && !seen.has(source) && seen.add(source);
  });
  const positives = [
    ...best.flatMap(scored),
    ...judged.positiveTexts.map((text) => ({ text, score: POSITIVE_TARGET })),
  ].map(({ text }) => ({ text, score: POSITIVE_TARGET }));
  const isWrong = (id: string): boolean => judged.negatives.includes(parseStoredId(id).id);
  const others = candidates
    .filter(({ id }) => !judged.positives.includes(parseStoredId(id).id))
    .map(({ id, score }) => ({ id, score: isWrong(id) ? score / 2 : score }));
  const wrong = judged.negativeTexts.map((text) => ({ text, score: 0 }));
  return { positives, others: [...wrong, ...others.flatMap(scored)] };
}

/** Draws without replacement, the k-th item with a chance in proportion to 1 / (k + 3), so that hard ones come more often. */
function draw(items: readonly Scored[], count: number, random: () => number): Scored[] {
  const left = items.map((item, rank) => ({ item, weight: 1 / (rank + 4) }));
  const drawn: Scored[] = [];
  while (drawn.length < count && left.length > 0) {
    let at = random() * left.reduce((sum, { weight }) => sum + weight, 0);
    const found = left.findIndex(({ weight }) => {
      at -= weight;
      return at < 0;
    });
    drawn.push(left.splice(found < 0 ? left.length - 1 : found, 1)[0]!.item);
  }
  return drawn;
}
