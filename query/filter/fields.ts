import { WinnowError } from '../../errors.ts';
import { showMoment } from '../../indexer/segment/dates.ts';
import type { FieldValues } from '../../indexer/segment/filter-columns.ts';
import type { FilterField } from '../../indexer/types.ts';
import { firstOf } from '../first-of.ts';

/** A value of a field and how many of the documents have it. */
export interface FacetCount {
  readonly value: string | number | boolean;
  readonly count: number;
}

/** Largest number of values that a facet lists. */
const MAX_FACET_VALUES = 100;

/** The values that a found document has for one field. */
type ValuesOf<Doc> = (document: Doc) => FieldValues;

/**
 * Number of a declared field.
 *
 * @throws WinnowError WINNOW_FILTER_FIELD naming the field and those that exist
 */
export function declaredField(fields: readonly FilterField[], name: string, place: string): number {
  const index = fields.findIndex((field) => field.name === name);
  if (index >= 0) return index;
  const declared = fields.map((field) => field.name).join(', ');
  throw new WinnowError('WINNOW_FILTER_FIELD', `"${name}" is not a filterable field`, {
    place,
    hint: declared
      ? `filterable fields are: ${declared}`
      : 'declare fields when the index is created (--filter NAME:TYPE)',
  });
}

/** How many documents have a value, by its stored form. */
export type ValueCounts = ReadonlyMap<string | number, number>;

/** Counts the values of documents. One with several values counts once for each. */
export function countValues<Doc>(documents: readonly Doc[], valuesOf: ValuesOf<Doc>): ValueCounts {
  const counts = new Map<string | number, number>();
  for (const document of documents)
    for (const value of new Set(valuesOf(document))) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

/** The most frequent values first, equal counts in ascending order of value. Dates are given as ISO 8601. */
export function mostFrequent(counts: ValueCounts, field: FilterField): FacetCount[] {
  const order = ([a, x]: readonly [string | number, number], [b, y]: readonly [string | number, number]) =>
    y - x || (a < b ? -1 : 1);
  return firstOf(counts, MAX_FACET_VALUES, order).map(([value, count]) => ({
    value: shown(field, value),
    count,
  }));
}

function shown({ type }: FilterField, value: string | number): string | number | boolean {
  if (type === 'boolean') return value === 1;
  const isMoment = type === 'date' || type === 'epoch-s' || type === 'epoch-ms';
  return isMoment ? showMoment(value as number) : value;
}

/**
 * Orders documents by a field: by the smallest value of each document when ascending, by the largest when descending. Documents without
 * the field come last, and documents with equal values keep their order.
 */
export function sortByField<Doc>(
  documents: readonly Doc[],
  order: 'asc' | 'desc',
  valuesOf: ValuesOf<Doc>,
): Doc[] {
  const sign = order === 'asc' ? 1 : -1;
  const compare = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0) * sign;
  const first = (row: FieldValues): string | number | undefined => [...row].sort(compare)[0];
  return documents
    .map((document) => ({
      document,
      key: first(valuesOf(document)),
    }))
    .sort((a, b) => {
      if (a.key === undefined || b.key === undefined)
        return Number(a.key === undefined) - Number(b.key === undefined);
      return compare(a.key, b.key);
    })
    .map(({ document }) => document);
}
