import { type ErrorCode, WinnowError } from '../errors.ts';
import {
  type CorpusDocument,
  MAX_ID_BYTES,
  MAX_METADATA_DEPTH,
  type Metadata,
  type UnreadScope,
} from './types.ts';

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
  /**
   * Types of the index's fields: a cell of CSV, or the digits of a long integer, become a number or boolean where that is
   * the type, and stay text where it is `text`. Absent: cells that print back the same become numbers.
   */
  readonly fieldTypes?: Readonly<Record<string, FieldType>>;
}

export type FieldType = 'text' | 'number' | 'boolean';

export const ID_FIELDS = ['_id', 'id'];
export const TEXT_FIELDS = ['text', 'contents', 'body'];

/** A row of a corpus could not become a document; the reader adds the place. */
export class RowProblem extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** The document that the row is about, where its id could be read. */
  unread?: UnreadScope;
  /** Which field the row lacks, for the reader to say how it can be named. */
  missing?: 'id' | 'text';
  constructor(code: ErrorCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
  at(file: string, line: number, hint = this.hint): WinnowError {
    return new WinnowError(this.code, this.message, {
      place: `${file}:${line}`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

function badRow(message: string, missing?: 'id' | 'text'): RowProblem {
  const problem = new RowProblem('WINNOW_BAD_ROW', message);
  if (missing) problem.missing = missing;
  return problem;
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
 * Turns a parsed row into a document. The title may be all there is (BEIR has documents with an empty text), but a row
 * without a text field, or with nothing in title and text, is rejected. Fields of a `metadata` object count like fields of
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
  // An alias whose value is null does not hide the next one.
  const filled = (field: string) => Object.hasOwn(row, field) && row[field] !== null;
  const idField = names.idField ?? ID_FIELDS.find(filled);
  const id = rowId(row, idField, names, fallbackId);
  try {
    const textField = names.textField ?? TEXT_FIELDS.find(filled);
    return { id, ...content(row, id, { ...names, idField, textField }) };
  } catch (error) {
    if (error instanceof RowProblem) error.unread = { id };
    throw error;
  }
}

function rowId(
  row: Record<string, unknown>,
  idField: string | undefined,
  names: FieldNames,
  fallbackId: string | undefined,
): string {
  const raw = idField === undefined ? undefined : row[idField];
  if (typeof raw === 'string') return checkId(raw);
  if (typeof raw === 'number' && Number.isFinite(raw)) return String(raw);
  if (raw !== undefined && raw !== null)
    throw badRow(`"${idField}" must be a string or number, not ${typeName(raw)}`);
  if (fallbackId !== undefined) return checkId(fallbackId);
  throw badRow(`no id: expected the field ${names.idField ?? ID_FIELDS.join(' or ')}`, 'id');
}

function content(
  row: Record<string, unknown>,
  id: string,
  names: Omit<FieldNames, 'idField' | 'textField'> & {
    readonly idField: string | undefined;
    readonly textField: string | undefined;
  },
): Omit<CorpusDocument, 'id'> {
  const { idField, textField, titleField = 'title', metadataFields: wanted, fieldTypes } = names;
  if (textField === undefined || !Object.hasOwn(row, textField))
    throw badRow(`no text: expected the field ${textField ?? TEXT_FIELDS.join(', ')}`, 'text');
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
  const kept = wanted ? entries.filter(([name]) => wanted.includes(name)) : entries;
  const typed = fieldTypes
    ? kept.map(([name, value]): [string, unknown] => [name, ofType(value, ownType(fieldTypes, name))])
    : kept;
  return { title, text, metadata: toMetadata(typed) };
}

function ownType(types: Readonly<Record<string, FieldType>>, name: string): FieldType | undefined {
  return Object.hasOwn(types, name) ? types[name] : undefined;
}

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

/** Text as the type of the index's field, where it reads as such. Other text is left for the index to reject. */
function ofType(value: unknown, type: FieldType | undefined): unknown {
  if (typeof value !== 'string') return value;
  if (type === 'number' && DECIMAL.test(value) && Number.isFinite(Number(value))) {
    const number = Number(value);
    // The digits of a long integer are kept; the index rounds what it filters on.
    return Number.isSafeInteger(number) || !/^[+-]?\d+$/.test(value) || String(number) === value
      ? number
      : value;
  }
  if (type === 'boolean' && /^(?:true|false)$/i.test(value)) return value.toLowerCase() === 'true';
  return value;
}
