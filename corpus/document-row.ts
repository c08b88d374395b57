import { type ErrorCode, WinnowError } from '../errors.ts';
import { type CorpusDocument, MAX_METADATA_DEPTH, type Metadata } from './types.ts';

/** Which fields of a row hold what. Unset: the first of the usual names that the row has. */
export interface FieldNames {
  /** Default `_id`, else `id`. */
  readonly idField?: string;
  /** Default `title`; a row without it has an empty title. */
  readonly titleField?: string;
  /** Default `text`, else `contents`, else `body`. */
  readonly textField?: string;
  /** Fields kept as metadata; default: every other field. */
  readonly metadataFields?: readonly string[];
}

const ID_FIELDS = ['_id', 'id'];
const TEXT_FIELDS = ['text', 'contents', 'body'];
/** As in the index. */
const MAX_ID_BYTES = 512;

/** A row of a corpus could not become a document; the reader adds the place. */
export class RowProblem extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  constructor(code: ErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
  at(file: string, line: number): WinnowError {
    return new WinnowError(this.code, this.message, {
      place: `${file}:${line}`,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    });
  }
}

function badRow(message: string, hint?: string): RowProblem {
  return new RowProblem('WINNOW_BAD_ROW', message, hint);
}

/** Name a value's type as a person would, for messages. */
function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Lone surrogates cannot be stored as UTF-8; they become U+FFFD, as TextEncoder would make them. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/**
 * Later entries of the same name win; `__proto__` is an ordinary name.
 *
 * @throws RowProblem for values that nest too deep to be hashed and stored
 */
export function toMetadata(entries: Iterable<readonly [string, unknown]>): Metadata {
  const metadata = Object.fromEntries([...new Map(entries)].filter(([, value]) => value !== undefined));
  for (const [name, value] of Object.entries(metadata))
    if (isDeeper(value, MAX_METADATA_DEPTH - 1))
      throw badRow(`"${name.slice(0, 60)}" nests deeper than ${MAX_METADATA_DEPTH} levels`);
  // What else values must be is checked where they are stored.
  return metadata as Metadata;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** Checks a user's id: 1..512 bytes of well-formed UTF-8. @throws RowProblem */
export function checkId(id: string): string {
  if (id.length === 0) throw badRow('the id is empty');
  if (/\p{Surrogate}/u.test(id)) throw badRow('the id holds half a surrogate pair');
  const bytes = Buffer.byteLength(id);
  if (bytes > MAX_ID_BYTES)
    throw badRow(`the id is ${bytes} bytes long, at most ${MAX_ID_BYTES} are allowed`);
  return id;
}

function optionalText(row: Record<string, unknown>, field: string): string {
  const value = row[field];
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') throw badRow(`"${field}" must be a string, not ${typeName(value)}`);
  return wellFormed(value);
}

/**
 * Turns a parsed row into a document. The title may stand alone (BEIR has documents with an empty text), but a row
 * without a text field, or with nothing in title and text, is refused. Fields of a `metadata` object count like fields of
 * the row.
 *
 * @param fallbackId id for rows without one, where the caller allows that
 * @throws RowProblem
 */
export function documentFromRow(
  row: Record<string, unknown>,
  names: FieldNames = {},
  fallbackId?: string,
): CorpusDocument {
  const has = (field: string) => Object.hasOwn(row, field);
  const idField = names.idField ?? ID_FIELDS.find(has);
  const textField = names.textField ?? TEXT_FIELDS.find(has);
  const titleField = names.titleField ?? 'title';

  const rawId = idField === undefined ? undefined : row[idField];
  let id: string;
  if (typeof rawId === 'string') id = rawId;
  else if (typeof rawId === 'number' && Number.isFinite(rawId)) id = String(rawId);
  else if ((rawId === undefined || rawId === null) && fallbackId !== undefined) id = fallbackId;
  else if (rawId === undefined || rawId === null)
    throw badRow(`no id: expected the field ${names.idField ?? ID_FIELDS.join(' or ')}`, 'name the id field');
  else throw badRow(`"${idField}" must be a string or number, not ${typeName(rawId)}`);
  checkId(id);

  if (textField === undefined || !has(textField))
    throw badRow(
      `no text: expected the field ${names.textField ?? TEXT_FIELDS.join(', ')}`,
      'name the text field',
    );
  const text = optionalText(row, textField);
  const title = optionalText(row, titleField);
  if (text.trim() === '' && title.trim() === '')
    throw new RowProblem('WINNOW_EMPTY_TEXT', `document "${id}" has no text`);

  const known = new Set([idField, textField, titleField]);
  const nested = row.metadata;
  const isNested = typeof nested === 'object' && nested !== null && !Array.isArray(nested);
  const entries = Object.entries(row).filter(
    ([name]) => !known.has(name) && !(isNested && name === 'metadata'),
  );
  if (isNested) entries.push(...Object.entries(nested));
  const wanted = names.metadataFields;
  const metadata = toMetadata(wanted ? entries.filter(([name]) => wanted.includes(name)) : entries);
  return { id, title, text, metadata };
}
