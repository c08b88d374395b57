import { parseStoredId } from '../../indexer/format/stored-id.ts';
import type { FieldValues } from '../../indexer/segment/filter-columns.ts';
import type { FilterField } from '../../indexer/types.ts';
import { declaredField, mostFrequent, sortByField, type ValueCounts } from '../filter/fields.ts';
import { SEARCH_OPTIONS, type SearchOptions } from '../request.ts';
import type { SearchResponse } from '../response.ts';

/** A step between finding documents and showing them: reorders them or leaves some out, and never adds any. */
export type PageStage<Doc> = (docs: readonly Doc[]) => readonly Doc[];

/** The values that a document has for a declared field, by the field's number. */
type ValuesOf<Doc> = (doc: Doc, field: number) => FieldValues;

/** Sorts the best `rankDepth` documents and leaves out the others. @throws WinnowError WINNOW_FILTER_FIELD */
export function sortStage<Doc>(
  sort: SearchOptions['sort'],
  fields: readonly FilterField[],
  rankDepth: number,
  valuesOf: ValuesOf<Doc>,
): PageStage<Doc> | undefined {
  if (!sort) return undefined;
  const field = declaredField(fields, sort.field, 'sort.field');
  const { order = SEARCH_OPTIONS.sort.properties.order.default } = sort;
  return (docs) => sortByField(docs.slice(0, rankDepth), order, (doc) => valuesOf(doc, field));
}

export function bestOfEachSource<Doc extends { readonly id: string }>(docs: readonly Doc[]): Doc[] {
  const seen = new Set<string>();
  return docs.filter(({ id }) => {
    const source = parseStoredId(id).id;
    return !seen.has(source) && seen.add(source);
  });
}

/**
 * @param facets numbers of declared fields
 * @param countsOf counts the values of one
 */
export function countFacets(
  facets: readonly number[],
  fields: readonly FilterField[],
  countsOf: (field: number) => ValueCounts,
): NonNullable<SearchResponse['facets']> {
  const counts = facets.map(
    (index) => [fields[index]!.name, mostFrequent(countsOf(index), fields[index]!)] as const,
  );
  return Object.fromEntries(counts);
}
