import { type Command, InvalidArgumentError, Option } from 'commander';
import { ENCODER_BACKENDS, type EncoderBackend } from '../encoder/types.ts';
import { defaultEvalCache } from '../evaluation/eval-cache.ts';
import { FilterType, type FilterTypeName } from '../indexer/format/format.ts';
import type { FilterField } from '../indexer/types.ts';
import type { FieldSort, Filter } from '../query/request.ts';

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

export const evalCacheOption = (): Option =>
  new Option('--cache <dir>', 'where the indexes of evaluated data sets are kept').default(
    defaultEvalCache(),
    '~/.cache/winnow/eval',
  );

/** An index stores only the name of its model, so the folder of a model that is not bundled must be given. */
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

/** Parser of a number from 0 to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return value;
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
