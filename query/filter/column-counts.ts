import type { FilterColumn } from '../../indexer/segment/filter-columns.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import type { ValueCounts } from './fields.ts';

/** Dictionaries of at most so many texts are kept once decoded. */
const KEPT_TEXTS = 16_384;

/** What counting the texts of a column needs; it lives as long as the column. */
interface TextCounter {
  /** By number of a text: all 0 between calls. */
  readonly counts: Uint32Array;
  readonly texts: (string | undefined)[] | undefined;
}

const counters = new WeakMap<FilterColumn, TextCounter>();

/** A document of an index in this process. */
interface CountedDoc {
  readonly view: { readonly segment: CountedSegment };
  readonly docId: number;
}

type CountedSegment = Pick<Segment, 'filterColumn'>;

/** Counts the values of fields over some documents, as `countValues` does, from the columns of their segments. */
export class ColumnCounts {
  private readonly docIds = new Map<CountedSegment, number[]>();

  constructor(docs: readonly CountedDoc[]) {
    let last: CountedSegment | undefined;
    let ofLast: number[] = [];
    for (const { view, docId } of docs) {
      if (view.segment !== last) {
        last = view.segment;
        ofLast = this.docIds.get(last) ?? [];
        this.docIds.set(last, ofLast);
      }
      ofLast.push(docId);
    }
  }

  /** @param field number of a declared field */
  of(field: number): ValueCounts {
    const found = new Map<string | number, number>();
    for (const [segment, docIds] of this.docIds) {
      const column = segment.filterColumn(field);
      if (column.dictionary) countTexts(column, column.dictionary, docIds, found);
      else
        forEachValue(column, docIds, (value) => {
          found.set(value, (found.get(value) ?? 0) + 1);
        });
    }
    return found;
  }
}

/** Texts are counted by their numbers, and decoded once for each that occurs. */
function countTexts(
  column: FilterColumn,
  dictionary: NonNullable<FilterColumn['dictionary']>,
  docIds: readonly number[],
  found: Map<string | number, number>,
): void {
  let counter = counters.get(column);
  if (!counter) {
    const { length } = dictionary;
    counter = { counts: new Uint32Array(length), texts: length <= KEPT_TEXTS ? Array(length) : undefined };
    counters.set(column, counter);
  }
  const { counts, texts } = counter;
  const present: number[] = [];
  forEachValue(column, docIds, (number) => {
    if (counts[number]!++ === 0) present.push(number);
  });
  for (const number of present) {
    const text = texts?.[number] ?? dictionary.get(number);
    if (texts) texts[number] = text;
    found.set(text, (found.get(text) ?? 0) + counts[number]!);
    counts[number] = 0;
  }
}

/** Longer rows are searched for repeated values by a set. */
const SHORT_ROW = 8;

/** Visits each different value of each document, as it is stored. */
function forEachValue(
  { offsets, values }: FilterColumn,
  docIds: readonly number[],
  visit: (value: number) => void,
): void {
  for (const docId of docIds) {
    const from = offsets[docId]!;
    const to = offsets[docId + 1]!;
    if (to - from > SHORT_ROW) {
      for (const value of new Set(values.subarray(from, to))) visit(value);
      continue;
    }
    for (let p = from; p < to; p++) {
      let first = from;
      while (first < p && values[first] !== values[p]) first++;
      if (first === p) visit(values[p]!);
    }
  }
}
