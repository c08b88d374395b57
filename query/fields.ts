import { WinnowError } from '../errors.ts';
import { showMoment } from '../indexer/dates.ts';
import { columnRow, type FieldValues } from '../indexer/filter-columns.ts';
import type { SegmentView } from '../indexer/generation.ts';
import type { FilterField } from '../indexer/types.ts';

/** Order of hits by a declared field instead of by score. */
export interface FieldSort {
  readonly field: string;
  /** Default `asc`. */
  readonly order?: 'asc' | 'desc';
}

/** A value of a field and how many of the documents have it. */
export interface FacetCount {
  readonly value: string | number | boolean;
  readonly count: number;
}

/** Values that a facet lists at most. */
export const MAX_FACET_VALUES = 100;

/** What sorting and counting need to know of a found document. */
interface Found {
  readonly view: SegmentView;
  readonly docId: number;
}

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

/**
 * Counts the values of a field over documents, most frequent first, equal counts by value; a document with several values
 * counts once for each. Dates come back as ISO 8601.
 */
export function countValues(documents: readonly Found[], field: FilterField, index: number): FacetCount[] {
  const counts = new Map<string | number, number>();
  for (const { view, docId } of documents)
    for (const value of new Set(columnRow(view.segment.column(index), docId)))
      counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, MAX_FACET_VALUES)
    .map(([value, count]) => ({ value: shown(field, value), count }));
}

function shown({ type }: FilterField, value: string | number): string | number | boolean {
  if (type === 'boolean') return value === 1;
  const isMoment = type === 'date' || type === 'epoch-s' || type === 'epoch-ms';
  return isMoment ? showMoment(value as number) : value;
}

/**
 * Orders documents by a field: the smallest value of each when ascending, the largest when descending; documents without
 * the field come last, and equal values keep their order.
 */
export function sortByField<T extends Found>(
  documents: readonly T[],
  index: number,
  order: 'asc' | 'desc',
): T[] {
  const sign = order === 'asc' ? 1 : -1;
  const compare = (a: string | number, b: string | number): number => (a < b ? -1 : a > b ? 1 : 0) * sign;
  const first = (row: FieldValues): string | number | undefined => [...row].sort(compare)[0];
  return documents
    .map((document) => ({
      document,
      key: first(columnRow(document.view.segment.column(index), document.docId)),
    }))
    .sort((a, b) => {
      if (a.key === undefined || b.key === undefined)
        return Number(a.key === undefined) - Number(b.key === undefined);
      return compare(a.key, b.key);
    })
    .map(({ document }) => document);
}
