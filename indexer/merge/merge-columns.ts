import { bytesOf } from '../format/bytes.ts';
import { StringTable } from '../format/string-table.ts';
import type { FilterColumn } from '../segment/filter-columns.ts';
import type { FilterField } from '../types.ts';
import { DROPPED, mergeStrings } from './merge-strings.ts';

/** Where a merged segment's documents come from: document d is `docIds[d]` of input `inputs[d]`. */
export interface Origins {
  readonly inputs: Uint16Array;
  readonly docIds: Uint32Array;
}

/** Joins one field's columns of several segments. @returns sections as `encodeColumn` makes them */
export function mergeColumns(
  field: FilterField,
  columns: readonly FilterColumn[],
  origins: Origins,
): Uint8Array[] {
  const numDocs = origins.docIds.length;
  const offsets = new Uint32Array(numDocs + 1);
  for (let docId = 0; docId < numDocs; docId++) {
    const own = columns[origins.inputs[docId]!]!.offsets;
    const ownId = origins.docIds[docId]!;
    offsets[docId + 1] = offsets[docId]! + own[ownId + 1]! - own[ownId]!;
  }
  const dictionaries = columns.map(({ dictionary }) => dictionary ?? NO_STRINGS);
  const used = dictionaries.map(({ length }) => new Uint8Array(length));
  if (field.type === 'string') {
    eachValue((input, value) => {
      used[input]![value] = 1;
    });
  }
  const { newIndexes, encoded } = mergeStrings(dictionaries, used);
  const total = offsets[numDocs]!;
  const values = field.type === 'string' ? new Uint32Array(total) : new Float64Array(total);
  let next = 0;
  eachValue((input, value) => {
    values[next++] = field.type === 'string' ? (newIndexes[input]![value] ?? DROPPED) : value;
  });
  return [bytesOf(offsets), bytesOf(values), ...encoded];

  function eachValue(visit: (input: number, value: number) => void): void {
    for (let docId = 0; docId < numDocs; docId++) {
      const input = origins.inputs[docId]!;
      const column = columns[input]!;
      const ownId = origins.docIds[docId]!;
      for (let p = column.offsets[ownId]!; p < column.offsets[ownId + 1]!; p++)
        visit(input, column.values[p]!);
    }
  }
}

const NO_STRINGS = new StringTable(new Uint8Array(4), new Uint8Array(0), 'no strings');
