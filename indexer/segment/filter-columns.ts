import type { Metadata, MetadataValue } from '../../corpus/types.ts';
import { WinnowError } from '../../errors.ts';
import { bytesOf, viewU32 } from '../format/bytes.ts';
import { corrupt } from '../format/errors.ts';
import type { FilterTypeName } from '../format/format.ts';
import { encodeStrings, StringTable, sortUtf8 } from '../format/string-table.ts';
import type { FilterField } from '../types.ts';
import { MOMENT_FORMS, parseMoment, parseYear } from './dates.ts';

/**
 * Values of one filterable field for all documents of a segment: document d has `values[offsets[d] .. offsets[d + 1])`.
 * Numbers, years and moments are f64 (moments as milliseconds since 1970 UTC), strings are indexes into a sorted dictionary,
 * booleans are 0 and 1.
 */
export interface FilterColumn {
  readonly field: FilterField;
  readonly offsets: Uint32Array;
  readonly values: Float64Array | Uint32Array;
  /** Only for strings. */
  readonly dictionary?: StringTable;
}

/** A field's values for one document, typed as declared; empty when absent. */
export type FieldValues = readonly (string | number)[];

/**
 * Brings a document's values of a field to the declared type; null counts as absent.
 *
 * @throws WinnowError WINNOW_BAD_ROW when a value cannot be of that type
 */
export function fieldValues(
  field: FilterField,
  { id, metadata }: { readonly id: string; readonly metadata: Metadata },
): FieldValues {
  // Every object has a `constructor`; only what was given counts.
  const raw = Object.hasOwn(metadata, field.name) ? metadata[field.name] : undefined;
  if (raw === undefined || raw === null) return [];
  const list: readonly MetadataValue[] = Array.isArray(raw) ? raw : [raw as MetadataValue];
  return list.map((value) => coerce(field, value, `document "${id}", field "${field.name}"`));
}

/**
 * One value of a field in its stored form; also used for the values that a filter names.
 *
 * @throws WinnowError WINNOW_BAD_ROW naming field, value and what is accepted
 */
export function coerce(field: FilterField, value: unknown, place = `field "${field.name}"`): string | number {
  switch (field.type) {
    case 'string':
      if (typeof value === 'string') return value.toWellFormed();
      if (typeof value === 'number' || typeof value === 'boolean') return String(value);
      break;
    case 'number': {
      const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
      if (typeof number === 'number' && Number.isFinite(number)) return number;
      break;
    }
    case 'boolean':
      if (value === true || value === 'true' || value === 1) return 1;
      if (value === false || value === 'false' || value === 0) return 0;
      break;
    case 'year': {
      const year = parseYear(value);
      if (year !== undefined) return year;
      break;
    }
    default: {
      const moment = parseMoment(field.type, value);
      if (moment !== undefined) return moment;
    }
  }
  const shown = JSON.stringify(value) ?? String(value);
  throw new WinnowError(
    'WINNOW_BAD_ROW',
    `${shown.length > 100 ? `${shown.slice(0, 100)}…` : shown} is no ${field.type}: ${FORMS[field.type]} is accepted`,
    {
      place,
      hint: `field "${field.name}" was declared as ${field.type} when the index was created${
        field.type === 'date' ? '; the types year, epoch-s and epoch-ms take numbers' : ''
      }`,
    },
  );
}

/** What each type accepts, for messages. */
const FORMS: Readonly<Record<FilterTypeName, string>> = {
  string: 'a text, number or boolean',
  number: 'a finite number',
  boolean: 'true or false',
  ...MOMENT_FORMS,
};

/** Serialises one column as four sections: offsets, values, dictionary offsets, dictionary bytes. */
export function encodeColumn(field: FilterField, rows: readonly FieldValues[]): Uint8Array[] {
  const offsets = new Uint32Array(rows.length + 1);
  rows.forEach((row, docId) => {
    offsets[docId + 1] = offsets[docId]! + row.length;
  });
  const flat = rows.flat();
  if (field.type !== 'string')
    return [
      bytesOf(offsets),
      bytesOf(Float64Array.from(flat as number[])),
      new Uint8Array(4),
      new Uint8Array(0),
    ];
  const words = sortUtf8([...new Set(flat as string[])]);
  const numberOf = new Map(words.map((word, i) => [word, i]));
  return [
    bytesOf(offsets),
    bytesOf(Uint32Array.from(flat as string[], (word) => numberOf.get(word)!)),
    ...encodeStrings(words),
  ];
}

export function decodeColumn(
  field: FilterField,
  sections: readonly Uint8Array[],
  place: string,
): FilterColumn {
  const [offsetBytes, valueBytes, wordOffsets, words] = sections;
  if (!offsetBytes || !valueBytes || !wordOffsets || !words)
    throw corrupt(place, `column "${field.name}" is missing`);
  const offsets = viewU32(offsetBytes, 0, offsetBytes.length / 4);
  if (field.type !== 'string') {
    return {
      field,
      offsets,
      values: new Float64Array(valueBytes.buffer, valueBytes.byteOffset, valueBytes.length / 8),
    };
  }
  const values = viewU32(valueBytes, 0, valueBytes.length / 4);
  return { field, offsets, values, dictionary: new StringTable(wordOffsets, words, place) };
}

/** The typed values of one document, as they were stored. */
export function columnRow(column: FilterColumn, docId: number): FieldValues {
  const row = column.values.subarray(column.offsets[docId]!, column.offsets[docId + 1]!);
  const { dictionary } = column;
  return dictionary ? Array.from(row, (index) => dictionary.get(index)) : Array.from(row);
}
