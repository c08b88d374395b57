import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EncoderBackend } from '../encoder/types.ts';
import { FilterType, type FilterTypeName } from '../indexer/format.ts';
import type { FilterField } from '../indexer/types.ts';
import type { FieldSort } from '../query/fields.ts';
import type { Filter } from '../query/filter.ts';

/** Backends that commands offer. */
export const ENCODER_BACKENDS = ['native', 'wasm', 'reference'] as const satisfies readonly EncoderBackend[];

/** Options of the commands that run the document encoder. */
export interface EncoderCliOptions {
  readonly model?: string;
  readonly backend?: EncoderBackend;
  readonly threads?: number;
}

export function addEncoderOptions(command: Command): Command {
  return command
    .option('--model <name>', 'bundled model or model folder (default: winnow-mini)')
    .addOption(new Option('--backend <name>', 'arithmetic to use').choices(ENCODER_BACKENDS))
    .option('--threads <n>', 'encoder threads (default: the cores, at most 8)', wholeNumber(0, 64));
}

/** An index knows its model by name only: one that is not bundled must be pointed to. */
export const indexModelOption = (): Option =>
  new Option(
    '--model <folder>',
    'model that the index was built with (default: the bundled one of its name)',
  );

/** Turns the operators of a query off. */
export const plainOption = (): Option =>
  new Option('--plain', 'quotes and dashes in the query are no operators, but text like the rest');

/** Parser of a whole number in a range. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new InvalidArgumentError(`Expected a whole number from ${low} to ${high}.`);
    }
    return value;
  };
}

/** Parser of a number above `low` and at most `high`. */
export function number(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value > low && value <= high))
      throw new InvalidArgumentError(`Expected a number above ${low} and at most ${high}.`);
    return value;
  };
}

/** Words that combine filters, so that no field of that name could be filtered on. */
const FILTER_OPERATORS = ['and', 'or', 'not'];

/** Parser of repeated `NAME:TYPE` field declarations; refuses those that no filter could use. */
export function filterField(text: string, previous: readonly FilterField[] = []): readonly FilterField[] {
  const [name = '', type = 'string', ...more] = text.split(':');
  if (name.trim() === '' || more.length > 0 || !Object.hasOwn(FilterType, type)) {
    throw new InvalidArgumentError(
      `Expected NAME:TYPE with a type of ${Object.keys(FilterType).join(', ')} and no colon in the name.`,
    );
  }
  if (FILTER_OPERATORS.includes(name))
    throw new InvalidArgumentError(`"${name}" combines filters and cannot be the name of a field.`);
  if (previous.some((field) => field.name === name))
    throw new InvalidArgumentError(`The field "${name}" is declared twice.`);
  return [...previous, { name, type: type as FilterTypeName }];
}

/** Parser of one character; `\t` stands for a tab. */
export function oneCharacter(text: string): string {
  const character = text === '\\t' ? '\t' : text;
  if (character.length !== 1 || character === '"')
    throw new InvalidArgumentError('Expected one character other than the quote, or \\t.');
  return character;
}

/** Parser of `FIELD` or `FIELD:desc`. */
export function fieldSort(text: string): FieldSort {
  const [, field, order] = /^(.+?)(?::(asc|desc))?$/.exec(text) ?? [];
  if (!field) throw new InvalidArgumentError('Expected FIELD, FIELD:asc or FIELD:desc.');
  return { field, order: order === 'desc' ? 'desc' : 'asc' };
}

/** Collects the values of an option that may be repeated. */
export const repeated = (value: string, previous: readonly string[] = []): readonly string[] => [
  ...previous,
  value,
];

export function jsonFilter(text: string): Filter {
  try {
    return JSON.parse(text) as Filter;
  } catch {
    throw new InvalidArgumentError('Expected JSON, such as \'{"year":{"gte":2020}}\'.');
  }
}

/** Leaves out undefined values, which exact optional properties do not take. */
export function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
