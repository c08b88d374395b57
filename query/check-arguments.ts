import type { WinnowError } from '../errors.ts';
import { type DocumentRef, type PassageRef, refOf } from '../indexer/format/stored-id.ts';
import { requireId } from '../indexer/store/storable.ts';
import type { FilterField } from '../indexer/types.ts';
import { badArgument, check, type Schema, shown } from './check-value.ts';
import { PASSAGE, QUERY } from './request.ts';

/*
 * Checks the arguments of the library against the schemas of `request.ts`. A general validator would do the same, but importing one
 * takes longer than a command-line search (180 ms for TypeBox's; see ARCHITECTURE.md).
 */

/** @throws WinnowError WINNOW_BAD_ARGUMENT naming the argument */
export function requireQuery(query: unknown): asserts query is string {
  check(query, QUERY, 'query');
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT for options that are no object */
export function requireObject(options: unknown): void {
  check(options, { type: 'object' }, '');
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
    throw badArgument(
      place,
      `must be an id, or {id, passage}, not ${shown(ref)}`,
      'ids are strings: String(id)',
    );
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
    throw badArgument(place, (error as WinnowError).message);
  }
  return { id: given.id, ...(passage === undefined ? {} : { passage }) };
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT naming the argument */
export function requireList(list: unknown, place: string): void {
  if (!Array.isArray(list))
    throw badArgument(place, `must be a list, not ${shown(list)}`, 'put a single one into brackets: [one]');
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
    if (RESERVED.has(name)) throw badArgument(place, `"${name}" combines filters and cannot name a field`);
    if (!name.isWellFormed() || name.includes('\u0000'))
      throw badArgument(place, 'must be well-formed text without NUL');
    if (seen.has(name)) throw badArgument(place, `"${name}" is declared twice`);
    seen.add(name);
  });
}
