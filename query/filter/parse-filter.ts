import { WinnowError } from '../../errors.ts';
import { coerce } from '../../indexer/segment/filter-columns.ts';
import type { FilterField } from '../../indexer/types.ts';
import { FILTER_LIMITS } from '../limits.ts';
import type { Filter } from '../request.ts';
import { declaredField } from './fields.ts';

/** A filter whose fields are declared and whose values have the fields' types. */
export type ParsedFilter =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly ParsedFilter[] }
  | { readonly kind: 'not'; readonly part: ParsedFilter }
  | { readonly kind: 'field'; readonly index: number; readonly tests: readonly ValueTest[] };

/** One condition on the values of a document, in their stored form. `in` and the ranges hold if they hold for any of its values. */
export type ValueTest =
  | { readonly kind: 'in'; readonly values: ReadonlySet<string | number> }
  | { readonly kind: RangeName; readonly bound: string | number }
  | { readonly kind: 'exists'; readonly exists: boolean };

const RANGES = ['gt', 'gte', 'lt', 'lte'] as const;
type RangeName = (typeof RANGES)[number];
const CONDITIONS = ['eq', 'in', ...RANGES, 'exists'];

export const JOIN_HINT = 'write many values of one field as one list: {"field": {"in": [...]}}';

/** @returns the filter and its number of conditions on fields @throws WinnowError WINNOW_FILTER_FIELD, WINNOW_BAD_ARGUMENT */
export function parseFilter(
  filter: Filter,
  fields: readonly FilterField[],
): { readonly parsed: ParsedFilter; readonly conditions: number } {
  const parser = new FilterParser(fields);
  const parsed = parser.parse(filter, 0);
  return { parsed, conditions: parser.conditions };
}

class FilterParser {
  conditions = 0;
  private values = 0;
  private readonly fields: readonly FilterField[];

  constructor(fields: readonly FilterField[]) {
    this.fields = fields;
  }

  parse(filter: unknown, depth: number): ParsedFilter {
    if (depth > FILTER_LIMITS.depth) throw bad('filter', `filters nest at most ${FILTER_LIMITS.depth} deep`);
    if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
      throw bad('filter', 'a filter is an object');
    const parts = Object.entries(filter).map(([key, value]): ParsedFilter => {
      if (key === 'and' || key === 'or') return { kind: key, parts: this.parseAll(value, key, depth) };
      if (key === 'not') return { kind: 'not', part: this.parse(value, depth + 1) };
      const index = declaredField(this.fields, key, `filter.${key}`);
      return { kind: 'field', index, tests: this.fieldTests(this.fields[index]!, value) };
    });
    if (parts.length === 0) throw bad('filter', 'a filter names at least one field');
    return parts.length === 1 ? parts[0]! : { kind: 'and', parts };
  }

  private parseAll(value: unknown, key: string, depth: number): ParsedFilter[] {
    if (!Array.isArray(value) || value.length === 0)
      throw bad(`filter.${key}`, `"${key}" takes a non-empty list of filters`);
    return value.map((inner) => this.parse(inner, depth + 1));
  }

  private fieldTests(field: FilterField, value: unknown): ValueTest[] {
    const isCondition = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entries: [string, unknown][] = isCondition
      ? Object.entries(value)
      : [[Array.isArray(value) ? 'in' : 'eq', value]];
    this.count('conditions', Math.max(1, entries.length));
    for (const [, operand] of entries) if (Array.isArray(operand)) this.count('values', operand.length);
    const tests = entries.map(([key, operand]) => valueTest(field, key, operand));
    if (tests.length === 0) throw bad(`filter.${field.name}`, 'a condition is empty');
    return tests;
  }

  private count(what: 'conditions' | 'values', by: number): void {
    this[what] += by;
    if (this[what] > FILTER_LIMITS[what])
      throw bad('filter', `a filter has at most ${FILTER_LIMITS[what]} ${what}`, JOIN_HINT);
  }
}

function valueTest(field: FilterField, key: string, operand: unknown): ValueTest {
  const place = `filter.${field.name}`;
  const typed = (raw: unknown): string | number => {
    if (typeof raw === 'object' && raw !== null) throw bad(place, 'values are texts, numbers, true or false');
    try {
      return coerce(field, raw);
    } catch (cause) {
      throw new WinnowError('WINNOW_BAD_ARGUMENT', (cause as WinnowError).message, {
        place,
        hint: `"${field.name}" is a ${field.type}`,
      });
    }
  };
  switch (key) {
    case 'eq':
      return { kind: 'in', values: new Set([typed(operand)]) };
    case 'in':
      if (!Array.isArray(operand) || operand.length === 0) throw bad(place, '"in" takes a non-empty list');
      return { kind: 'in', values: new Set(operand.map(typed)) };
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte':
      if (field.type === 'boolean') throw bad(place, 'a boolean has no range');
      return { kind: key, bound: typed(operand) };
    case 'exists':
      if (typeof operand !== 'boolean') throw bad(place, '"exists" takes true or false');
      return { kind: 'exists', exists: operand };
    default:
      throw bad(place, `unknown condition "${key}"; known: ${CONDITIONS.join(', ')}`);
  }
}

function bad(place: string, message: string, hint = 'see "Filters" in the README'): WinnowError {
  return new WinnowError('WINNOW_BAD_ARGUMENT', message, { place, hint });
}
