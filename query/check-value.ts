import { WinnowError } from '../errors.ts';

/** The keywords of JSON Schema that are checked. */
export interface Schema {
  /** Absent where `enum` lists values of several types. */
  readonly type?: 'string' | 'number' | 'integer' | 'boolean' | 'object' | 'array';
  readonly enum?: readonly (string | boolean)[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly minItems?: number;
}

/**
 * Checks any value. Undefined properties count as absent, and properties that the schema does not name are refused.
 *
 * @param place where the value comes from, for messages
 * @throws WinnowError WINNOW_BAD_ARGUMENT naming the part at fault
 */
export function check(value: unknown, schema: Schema, place: string): void {
  const wrong = mistake(value, schema);
  if (wrong) throw badArgument(place || 'options', wrong);
  if (schema.type === 'object') checkProperties(value as object, schema, place);
  const { items } = schema;
  if (schema.type === 'array' && items)
    (value as unknown[]).forEach((item, i) => {
      check(item, items, `${place}[${i}]`);
    });
}

/** What is wrong with a value by itself, as the rest of a sentence that begins with its name. */
function mistake(value: unknown, schema: Schema): string | undefined {
  const mustBe = (expected: string) => `must be ${expected}, not ${shown(value)}`;
  if (schema.enum && !schema.enum.includes(value as string))
    return mustBe(`one of ${schema.enum.join(', ')}`);
  switch (schema.type) {
    case 'string':
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
      if (value.length < (schema.minItems ?? 0))
        return 'must be a list with at least one entry, not an empty list';
      return value.length > (schema.maxItems ?? Infinity)
        ? `has ${value.length} entries, at most ${schema.maxItems} are allowed`
        : undefined;
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
        ? undefined
        : mustBe('an object');
    default:
      return undefined;
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
    if ((value as Record<string, unknown>)[name] === undefined) throw badArgument(at(name), 'is missing');
  if (!properties) return;
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema) check(item, schema, at(name));
    else {
      const meant = Object.keys(properties).find((known) => known.toLowerCase() === name.toLowerCase());
      throw badArgument(
        at(name),
        'is not an option',
        meant ? `the name is ${meant}` : optionsHint(Object.keys(properties)),
      );
    }
  }
}

const optionsHint = (names: readonly string[]): string =>
  names.length > 0 ? `options are ${names.join(', ')}` : 'there are no options';

/** A value as messages show it. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

export const badArgument = (place: string, message: string, hint?: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ARGUMENT', `${place} ${message}`, {
    place,
    ...(hint === undefined ? {} : { hint }),
  });
