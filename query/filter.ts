import { WinnowError } from '../errors.ts';
import { coerce, type FilterColumn } from '../indexer/filter-columns.ts';
import { bitmapFor, setBit } from '../indexer/format.ts';
import type { Segment } from '../indexer/segment.ts';
import type { FilterField } from '../indexer/types.ts';
import { declaredField } from './fields.ts';

type Scalar = string | number | boolean;

/** Conditions on one field; all that are given must hold for some value of the document. */
export interface FieldCondition {
  readonly eq?: Scalar;
  readonly in?: readonly Scalar[];
  readonly gt?: string | number;
  readonly gte?: string | number;
  readonly lt?: string | number;
  readonly lte?: string | number;
  /** true: the document has the field; false: it does not. */
  readonly exists?: boolean;
}

/**
 * `{ year: { gte: 2020 }, lang: 'en' }`: all fields must match; a plain value means equality, a list means any of it.
 * `and`, `or` and `not` combine whole filters.
 */
export interface Filter {
  readonly [field: string]:
    | Scalar
    | readonly Scalar[]
    | FieldCondition
    | readonly Filter[]
    | Filter
    | undefined;
}

type Predicate = (segment: Segment) => Uint8Array;

const CONDITIONS = new Set(['eq', 'in', 'gt', 'gte', 'lt', 'lte', 'exists']);
const MAX_DEPTH = 16;

/**
 * Checks a filter against the declared fields and compiles it.
 *
 * @returns a function giving the bitmap of matching documents of a segment (bit set = match)
 * @throws WinnowError WINNOW_FILTER_FIELD for an undeclared field, WINNOW_BAD_ARGUMENT for a malformed condition
 */
export function compileFilter(filter: Filter, fields: readonly FilterField[], depth = 0): Predicate {
  if (depth > MAX_DEPTH) throw bad('filter', `filters nest at most ${MAX_DEPTH} deep`);
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
    throw bad('filter', 'a filter is an object');
  const compileAll = (value: unknown, key: string): Predicate[] => {
    if (!Array.isArray(value) || value.length === 0)
      throw bad(`filter.${key}`, `"${key}" takes a non-empty list of filters`);
    return value.map((inner) => compileFilter(inner as Filter, fields, depth + 1));
  };
  const predicates = Object.entries(filter).map(([key, value]): Predicate => {
    if (key === 'and') return combine(compileAll(value, key), (a, b) => a & b);
    if (key === 'or') return combine(compileAll(value, key), (a, b) => a | b);
    if (key === 'not') {
      const inner = compileFilter(value as Filter, fields, depth + 1);
      return (segment) =>
        trim(
          inner(segment).map((byte) => ~byte & 0xff),
          segment.numDocs,
        );
    }
    const index = declaredField(fields, key, `filter.${key}`);
    const test = fieldTest(fields[index]!, value);
    return (segment) => columnBitmap(segment.column(index), segment.numDocs, test);
  });
  if (predicates.length === 0) throw bad('filter', 'a filter names at least one field');
  return combine(predicates, (a, b) => a & b);
}

/** Tests the values of one document; called with the decoded values of the column. */
type ValuesTest = (values: readonly (string | number)[]) => boolean;

function fieldTest(field: FilterField, value: unknown): ValuesTest {
  const place = `filter.${field.name}`;
  const typed = (raw: unknown): string | number => {
    try {
      return coerce(field, raw);
    } catch (cause) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', (cause as WinnowError).message, {
        place,
        hint: `"${field.name}" is a ${field.type}`,
      });
    }
  };
  const anyOf = (raw: unknown, key: string): ValuesTest => {
    if (!Array.isArray(raw) || raw.length === 0) throw bad(place, `"${key}" takes a non-empty list`);
    const wanted = new Set(raw.map(typed));
    return (values) => values.some((one) => wanted.has(one));
  };
  if (Array.isArray(value)) return anyOf(value, field.name);
  if (typeof value !== 'object' || value === null) {
    const wanted = typed(value);
    return (values) => values.includes(wanted);
  }
  const range = (
    limit: unknown,
    holds: (value: string | number, limit: string | number) => boolean,
  ): ValuesTest => {
    if (field.type === 'boolean') throw bad(place, 'a boolean has no range');
    const bound = typed(limit);
    return (values) => values.some((one) => holds(one, bound));
  };
  const tests = Object.entries(value as FieldCondition).map(([key, operand]): ValuesTest => {
    switch (key) {
      case 'eq': {
        const wanted = typed(operand);
        return (values) => values.includes(wanted);
      }
      case 'in':
        return anyOf(operand, 'in');
      case 'gt':
        return range(operand, (one, limit) => one > limit);
      case 'gte':
        return range(operand, (one, limit) => one >= limit);
      case 'lt':
        return range(operand, (one, limit) => one < limit);
      case 'lte':
        return range(operand, (one, limit) => one <= limit);
      case 'exists':
        if (typeof operand !== 'boolean') throw bad(place, '"exists" takes true or false');
        return (values) => values.length > 0 === operand;
      default:
        throw bad(place, `unknown condition "${key}"; known: ${[...CONDITIONS].join(', ')}`);
    }
  });
  if (tests.length === 0) throw bad(place, 'a condition is empty');
  return (values) => tests.every((test) => test(values));
}

/** Bitmap of the documents whose values pass. String tests run once a dictionary entry where a value stands alone. */
function columnBitmap(
  { offsets, values, dictionary }: FilterColumn,
  numDocs: number,
  test: ValuesTest,
): Uint8Array {
  const bitmap = bitmapFor(numDocs);
  const none = test([]);
  const verdicts =
    dictionary && Uint8Array.from({ length: dictionary.length }, (_, i) => Number(test([dictionary.get(i)])));
  for (let docId = 0; docId < numDocs; docId++) {
    const from = offsets[docId]!;
    const to = offsets[docId + 1]!;
    let passes: boolean;
    if (from === to) passes = none;
    else if (to === from + 1) passes = verdicts ? verdicts[values[from]!] === 1 : test([values[from]!]);
    else passes = test(Array.from(values.subarray(from, to), (value) => dictionary?.get(value) ?? value));
    if (passes) setBit(bitmap, docId);
  }
  return bitmap;
}

function combine(predicates: readonly Predicate[], join: (a: number, b: number) => number): Predicate {
  return (segment) =>
    predicates.map((predicate) => predicate(segment)).reduce((a, b) => a.map((byte, i) => join(byte, b[i]!)));
}

/** Clears the bits past the last document. */
function trim(bitmap: Uint8Array, numDocs: number): Uint8Array {
  if (numDocs % 8 !== 0) bitmap[bitmap.length - 1]! &= (1 << (numDocs % 8)) - 1;
  return bitmap;
}

function bad(place: string, message: string): WinnowError {
  return new WinnowError('WINNOW_BAD_ARGUMENT', message, { place, hint: 'see "Filters" in the README' });
}
