import { createHash } from 'node:crypto';
import { WinnowError } from '../errors.ts';
import { coerce, type FilterColumn } from '../indexer/filter-columns.ts';
import { bitmapFor, setBit } from '../indexer/format.ts';
import type { SegmentView } from '../indexer/generation.ts';
import type { Segment } from '../indexer/segment.ts';
import type { FilterField } from '../indexer/types.ts';
import { complement, intersect } from './accept.ts';
import type { Deadline } from './deadline.ts';
import { declaredField } from './fields.ts';
import { FILTER_LIMITS } from './request.ts';

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

/** The bitmap of matching documents of a segment (bit set = match); undefined when the deadline passed first. */
type Predicate = (segment: Segment, deadline: Deadline) => Uint8Array | undefined;

const CONDITIONS = new Set(['eq', 'in', 'gt', 'gte', 'lt', 'lte', 'exists']);

/**
 * Checks a filter against the declared fields and compiles it. Every condition is tested on every document: their product is
 * bounded ({@link FILTER_LIMITS}), the length of a list of values costs nothing.
 *
 * @throws WinnowError WINNOW_FILTER_FIELD for an undeclared field, WINNOW_BAD_ARGUMENT for a malformed or too large filter
 */
export function compileFilter(filter: Filter, { manifest, segments }: FilteredIndex): Predicate {
  const compiler = new FilterCompiler(manifest.settings.filterFields);
  const predicate = compiler.compile(filter, 0);
  const numDocs = segments.reduce((sum, { segment }) => sum + segment.numDocs, 0);
  const tests = compiler.conditions * numDocs;
  if (tests > FILTER_LIMITS.tests)
    throw bad(
      'filter',
      `${compiler.conditions} conditions on ${numDocs} documents are ${tests} tests, at most ${FILTER_LIMITS.tests} are allowed`,
      JOIN_HINT,
    );
  return predicate;
}

/** What a filter is compiled for, of a `Generation`. */
interface FilteredIndex {
  readonly manifest: { readonly settings: { readonly filterFields: readonly FilterField[] } };
  readonly segments: readonly { readonly segment: { readonly numDocs: number } }[];
}

const JOIN_HINT = 'write many values of one field as one list: {"field": {"in": [...]}}';

class FilterCompiler {
  conditions = 0;
  private values = 0;
  private readonly fields: readonly FilterField[];

  constructor(fields: readonly FilterField[]) {
    this.fields = fields;
  }

  compile(filter: unknown, depth: number): Predicate {
    if (depth > FILTER_LIMITS.depth) throw bad('filter', `filters nest at most ${FILTER_LIMITS.depth} deep`);
    if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
      throw bad('filter', 'a filter is an object');
    const predicates = Object.entries(filter).map(([key, value]): Predicate => {
      if (key === 'and') return combine(this.compileAll(value, key, depth), (a, b) => a & b);
      if (key === 'or') return combine(this.compileAll(value, key, depth), (a, b) => a | b);
      if (key === 'not') {
        const inner = this.compile(value, depth + 1);
        return (segment, deadline) => {
          const bitmap = inner(segment, deadline);
          return bitmap && complement(bitmap, segment.numDocs);
        };
      }
      const index = declaredField(this.fields, key, `filter.${key}`);
      const test = this.fieldTest(this.fields[index]!, value);
      return (segment, deadline) => columnBitmap(segment.column(index), segment.numDocs, test, deadline);
    });
    if (predicates.length === 0) throw bad('filter', 'a filter names at least one field');
    return combine(predicates, (a, b) => a & b);
  }

  private compileAll(value: unknown, key: string, depth: number): Predicate[] {
    if (!Array.isArray(value) || value.length === 0)
      throw bad(`filter.${key}`, `"${key}" takes a non-empty list of filters`);
    return value.map((inner) => this.compile(inner, depth + 1));
  }

  private fieldTest(field: FilterField, value: unknown): ValuesTest {
    const isCondition = typeof value === 'object' && value !== null && !Array.isArray(value);
    const entries: [string, unknown][] = isCondition
      ? Object.entries(value)
      : [[Array.isArray(value) ? 'in' : 'eq', value]];
    this.count('conditions', Math.max(1, entries.length));
    for (const [, operand] of entries) if (Array.isArray(operand)) this.count('values', operand.length);
    return fieldTest(field, entries);
  }

  private count(what: 'conditions' | 'values', by: number): void {
    this[what] += by;
    if (this[what] > FILTER_LIMITS[what])
      throw bad('filter', `a filter has at most ${FILTER_LIMITS[what]} ${what}`, JOIN_HINT);
  }
}

/** Bitmaps of filters that come again, over the views of generations. */
export class FilterCache {
  private readonly ofSegments = new Map<string, Uint8Array>();
  /** Bitmaps less the deleted documents of one generation's view. */
  private readonly ofViews = new WeakMap<SegmentView, Map<string, Uint8Array>>();

  /** @returns which live documents of a view match; undefined when the deadline passed first */
  of(filter: Filter, matches: Predicate): (view: SegmentView, deadline: Deadline) => Uint8Array | undefined {
    const text = JSON.stringify(filter);
    // Long lists of values must not stay in memory as keys.
    const key = text.length > 256 ? createHash('sha256').update(text).digest('base64') : text;
    return (view, deadline) => {
      let ofView = this.ofViews.get(view);
      if (!ofView || ofView.size >= CACHED_FILTERS) {
        ofView = new Map();
        this.ofViews.set(view, ofView);
      }
      const known = ofView.get(key);
      if (known) return known;
      const bitmap = this.ofSegment(view.segment, key, matches, deadline);
      const accepted = bitmap && intersect(view.live, bitmap);
      if (accepted) ofView.set(key, accepted);
      return accepted;
    };
  }

  private ofSegment(
    segment: Segment,
    key: string,
    matches: Predicate,
    deadline: Deadline,
  ): Uint8Array | undefined {
    const segmentKey = `${segment.number} ${key}`;
    const known = this.ofSegments.get(segmentKey);
    if (known) return known;
    const bitmap = matches(segment, deadline);
    if (!bitmap) return undefined;
    if (this.ofSegments.size >= CACHED_FILTERS) this.ofSegments.delete(this.ofSegments.keys().next().value!);
    this.ofSegments.set(segmentKey, bitmap);
    return bitmap;
  }
}

const CACHED_FILTERS = 64;

/** Tests the values of one document; called with the decoded values of the column. */
type ValuesTest = (values: readonly (string | number)[]) => boolean;

/** @param conditions by name; all must hold */
function fieldTest(field: FilterField, conditions: readonly (readonly [string, unknown])[]): ValuesTest {
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
  const anyOf = (raw: unknown): ValuesTest => {
    if (!Array.isArray(raw) || raw.length === 0) throw bad(place, '"in" takes a non-empty list');
    const wanted = new Set(raw.map(typed));
    return (values) => values.some((one) => wanted.has(one));
  };
  const range = (
    limit: unknown,
    holds: (value: string | number, limit: string | number) => boolean,
  ): ValuesTest => {
    if (field.type === 'boolean') throw bad(place, 'a boolean has no range');
    const bound = typed(limit);
    return (values) => values.some((one) => holds(one, bound));
  };
  const tests = conditions.map(([key, operand]): ValuesTest => {
    switch (key) {
      case 'eq': {
        const wanted = typed(operand);
        return (values) => values.includes(wanted);
      }
      case 'in':
        return anyOf(operand);
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

/** Documents tested between two looks at the clock. */
const TESTED_STEP = 8192;

/** Bitmap of the documents whose values pass. String tests run once per dictionary entry where a value stands alone. */
function columnBitmap(
  { offsets, values, dictionary }: FilterColumn,
  numDocs: number,
  test: ValuesTest,
  deadline: Deadline,
): Uint8Array | undefined {
  const bitmap = bitmapFor(numDocs);
  const none = test([]);
  const verdicts =
    dictionary && Uint8Array.from({ length: dictionary.length }, (_, i) => Number(test([dictionary.get(i)])));
  for (let docId = 0; docId < numDocs; docId++) {
    if (docId % TESTED_STEP === 0 && deadline.isPast) return undefined;
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
  return (segment, deadline) => {
    let joined: Uint8Array | undefined;
    for (const predicate of predicates) {
      const bitmap = predicate(segment, deadline);
      if (!bitmap) return undefined;
      if (!joined) joined = bitmap;
      else for (let i = 0; i < joined.length; i++) joined[i] = join(joined[i]!, bitmap[i]!);
    }
    return joined;
  };
}

function bad(place: string, message: string, hint = 'see "Filters" in the README'): WinnowError {
  return new WinnowError('WINNOW_BAD_ARGUMENT', message, { place, hint });
}
