import { WinnowError } from '../errors.ts';
import { FilterType } from '../indexer/format.ts';
import { requireId } from '../indexer/storable.ts';
import { type DocumentRef, type PassageRef, refOf } from '../indexer/stored-id.ts';
import type { FilterField } from '../indexer/types.ts';
import { QUERY_IDF } from './query-weights.ts';

/*
 * What a request may say: every limit, every list of values and every default once, as JSON Schema, which the server publishes and
 * validates with as it is. The library checks with a reading of the few keywords used here: a validator's import would cost a
 * command-line search more time than its search.
 */

export const MODES = ['sparse', 'bm25', 'hybrid'] as const;
export const FUSIONS = ['weighted', 'rrf'] as const;
export const SCANS = ['auto', 'exact', 'pruned'] as const;
export const SYNTAXES = ['operators', 'plain'] as const;
export const SORT_ORDERS = ['asc', 'desc'] as const;

export const QUERY = { type: 'string', minLength: 1, maxLength: 10_000 } as const;

/** Properties of {@link SEARCH_REQUEST} besides the query: the options of a search. */
export const SEARCH_OPTIONS = {
  k: { type: 'integer', minimum: 1, maximum: 1000, default: 10 },
  offset: { type: 'integer', minimum: 0, maximum: 10_000, default: 0 },
  mode: { type: 'string', enum: MODES, default: 'sparse' },
  filter: { type: 'object' },
  explain: { type: 'boolean', default: false },
  groupByParent: { type: 'boolean', default: false },
  fusion: { type: 'string', enum: FUSIONS, default: 'weighted' },
  sparseWeight: { type: 'number', minimum: 0, maximum: 1, default: 0.8 },
  idf: { type: 'string', enum: QUERY_IDF, default: 'blended' },
  sort: {
    type: 'object',
    required: ['field'],
    properties: {
      field: { type: 'string', minLength: 1 },
      order: { type: 'string', enum: SORT_ORDERS, default: 'asc' },
    },
    additionalProperties: false,
  },
  facets: { type: 'array', items: { type: 'string', minLength: 1 }, maxItems: 32 },
  among: { type: 'integer', minimum: 1, maximum: 10_000, default: 1000 },
  scan: { type: 'string', enum: SCANS, default: 'auto' },
  alpha: { type: 'number', exclusiveMinimum: 0, maximum: 1, default: 1 },
  budgetMs: { type: 'number', exclusiveMinimum: 0 },
  syntax: { type: 'string', enum: SYNTAXES, default: 'operators' },
} as const;

/** How large filters may be. */
export const FILTER_LIMITS = {
  depth: 16,
  conditions: 1024,
  /** Values of all lists. */
  values: 65_536,
  /** Conditions times documents. */
  tests: 2 ** 28,
} as const;

/** Phrases and exclusions of one query. */
export const MAX_TEXT_CONDITIONS = 64;

/** Stored texts that one search reads to decide about phrases; what lies behind them is not found, and `complete` is false. */
export const MAX_TEXTS_READ = 10_000;

export const SEARCH_REQUEST = {
  type: 'object',
  required: ['query'],
  properties: { query: QUERY, ...SEARCH_OPTIONS },
  additionalProperties: false,
} as const;

/** Ordinal of a passage. */
export const PASSAGE = { type: 'integer', minimum: 0, maximum: 999_999_999 } as const;

/** Options of `explain`. */
export const EXPLAIN_OPTIONS = { idf: SEARCH_OPTIONS.idf, syntax: SEARCH_OPTIONS.syntax } as const;

export const EXPLAIN_REQUEST = {
  type: 'object',
  required: ['query', 'id'],
  properties: {
    query: QUERY,
    id: { type: 'string', minLength: 1, maxLength: 512 },
    passage: PASSAGE,
    ...EXPLAIN_OPTIONS,
  },
  additionalProperties: false,
} as const;

/** Options of `openIndex`. */
export const OPEN_OPTIONS = {
  model: { type: 'string', minLength: 1 },
  filterFields: {
    type: 'array',
    items: {
      type: 'object',
      required: ['name', 'type'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 256 },
        type: { type: 'string', enum: Object.keys(FilterType) },
      },
      additionalProperties: false,
    },
    maxItems: 256,
  },
  create: { type: 'boolean', default: false },
  readOnly: { type: 'boolean', default: false },
  lexicalOnly: { type: 'boolean', default: false },
  backend: { type: 'string', enum: ['native', 'wasm', 'reference', 'onnx'] },
  threads: { type: 'integer', minimum: 0, maximum: 64 },
  maxBatchTokens: { type: 'integer', minimum: 1, maximum: 1_048_576 },
} as const;

/** The keywords of JSON Schema that are used here. */
interface Schema {
  readonly type: 'string' | 'number' | 'integer' | 'boolean' | 'object' | 'array';
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT naming the argument */
export function requireQuery(query: unknown): asserts query is string {
  check(query, QUERY, 'query');
}

/**
 * Checks an options argument: known names with allowed values; undefined counts as absent.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT naming the option
 */
export function requireOptions(options: unknown, properties: Readonly<Record<string, Schema>>): void {
  check(options, { type: 'object', properties }, '');
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT naming the argument */
export function requireRef(ref: unknown, place: string): PassageRef {
  const given =
    typeof ref === 'string' || (typeof ref === 'object' && ref !== null)
      ? refOf(ref as DocumentRef)
      : undefined;
  if (!given)
    throw bad(place, `must be an id, or {id, passage}, not ${shown(ref)}`, 'ids are strings: String(id)');
  const { passage } = given;
  if (typeof ref !== 'string')
    check(
      ref,
      { type: 'object', required: ['id'], properties: { id: { type: 'string' }, passage: PASSAGE } },
      place,
    );
  try {
    requireId(given.id);
  } catch (error) {
    throw bad(place, (error as WinnowError).message);
  }
  return { id: given.id, ...(passage === undefined ? {} : { passage }) };
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT naming the argument */
export function requireList(list: unknown, place: string): void {
  if (!Array.isArray(list))
    throw bad(place, `must be a list, not ${shown(list)}`, 'put a single one into brackets: [one]');
}

const RESERVED = new Set(['and', 'or', 'not']);

/**
 * Checks declarations of filter fields.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT for names that no filter could mean
 */
export function requireFilterFields(fields: readonly FilterField[]): void {
  const seen = new Set<string>();
  fields.forEach(({ name }, i) => {
    const place = `filterFields[${i}].name`;
    if (RESERVED.has(name)) throw bad(place, `"${name}" combines filters and cannot name a field`);
    if (!name.isWellFormed() || name.includes('\u0000'))
      throw bad(place, 'must be well-formed text without NUL');
    if (seen.has(name)) throw bad(place, `"${name}" is declared twice`);
    seen.add(name);
  });
}

function check(value: unknown, schema: Schema, place: string): void {
  const wrong = mistake(value, schema);
  if (wrong) throw bad(place || 'options', wrong);
  if (schema.type === 'object') checkProperties(value as object, schema, place);
  if (schema.type === 'array')
    (value as unknown[]).forEach((item, i) => {
      check(item, schema.items!, `${place}[${i}]`);
    });
}

/** What is wrong with a value by itself, as the rest of a sentence that begins with its name. */
function mistake(value: unknown, schema: Schema): string | undefined {
  const mustBe = (expected: string) => `must be ${expected}, not ${shown(value)}`;
  switch (schema.type) {
    case 'string':
      if (schema.enum && !schema.enum.includes(value as string))
        return mustBe(`one of ${schema.enum.join(', ')}`);
      if (typeof value !== 'string') return mustBe('a string');
      if (value.length < (schema.minLength ?? 0)) return mustBe('a string that is not empty');
      return value.length > (schema.maxLength ?? Infinity)
        ? `is ${value.length} characters long, at most ${schema.maxLength} are allowed`
        : undefined;
    case 'integer':
    case 'number':
      return isInRange(value, schema) ? undefined : mustBe(rangeOf(schema));
    case 'boolean':
      return typeof value === 'boolean' ? undefined : mustBe('true or false');
    case 'array':
      if (!Array.isArray(value)) return mustBe('a list');
      return value.length > (schema.maxItems ?? Infinity)
        ? `has ${value.length} entries, at most ${schema.maxItems} are allowed`
        : undefined;
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
        ? undefined
        : mustBe('an object');
  }
}

function isInRange(value: unknown, { type, minimum, exclusiveMinimum, maximum }: Schema): boolean {
  return (
    typeof value === 'number' &&
    (type === 'integer' ? Number.isInteger(value) : Number.isFinite(value)) &&
    value >= (minimum ?? -Infinity) &&
    value > (exclusiveMinimum ?? -Infinity) &&
    value <= (maximum ?? Infinity)
  );
}

function rangeOf({ type, minimum, exclusiveMinimum, maximum }: Schema): string {
  const low = exclusiveMinimum === undefined ? `from ${minimum}` : `above ${exclusiveMinimum}`;
  const high =
    maximum === undefined ? '' : minimum === undefined ? ` and at most ${maximum}` : ` to ${maximum}`;
  return `a ${type === 'integer' ? 'whole number' : 'number'} ${low}${high}`;
}

function checkProperties(value: object, { properties, required = [] }: Schema, place: string): void {
  const at = (name: string) => (place ? `${place}.${name}` : name);
  for (const name of required)
    if ((value as Record<string, unknown>)[name] === undefined) throw bad(at(name), 'is missing');
  if (!properties) return;
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema) check(item, schema, at(name));
    else {
      const meant = Object.keys(properties).find((known) => known.toLowerCase() === name.toLowerCase());
      throw bad(
        at(name),
        'is not an option',
        meant ? `the name is ${meant}` : `options are ${Object.keys(properties).join(', ')}`,
      );
    }
  }
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

const bad = (place: string, message: string, hint?: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ARGUMENT', `${place} ${message}`, {
    place,
    ...(hint === undefined ? {} : { hint }),
  });
