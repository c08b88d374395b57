import type { EmbeddedBackend } from '../../query/embedded/embedded-backend.ts';
import type { Collection, MeasuredQuery } from './measure.ts';
import { asSources, passageIds, readPassages, samplePassages } from './passages.ts';
import { gradesOf, type LabelledQuery } from './supervision.ts';

/** Candidates of each query that are in the collection whatever its size: the documents that could be mistaken for an answer. */
const HARD = 10;

/**
 * The collection that models are compared on: all documents of the index where they fit, else those that answer, the hardest others,
 * and as many drawn at random as there is room for. Whole sources are taken, because hits are sources.
 *
 * @param documents passages at most; answers and hard ones are taken even beyond it
 */
export async function heldOutCollection(
  index: EmbeddedBackend,
  queries: readonly LabelledQuery[],
  documents: number,
  seed: number,
): Promise<Collection> {
  const measured = queries
    .map((one, i): MeasuredQuery => {
      const { query, hidden } = one;
      return { id: String(i), query, grades: gradesOf(one), ...(hidden === undefined ? {} : { hidden }) };
    })
    .filter(({ grades }) => grades.size > 0);
  const ids = new Set<string>();
  for (const { grades } of measured)
    for (const source of grades.keys()) for (const id of passageIds(index, source)) ids.add(id);
  for (const { candidates } of queries) for (const { id } of candidates.slice(0, HARD)) ids.add(id);
  const room = Math.max(0, documents - ids.size);
  if (room > 0)
    for (const { id } of await samplePassages(index, ids.size + room, seed))
      if (ids.size < documents) ids.add(id);
  return { sources: asSources(readPassages(index, ids).values()), queries: measured };
}
