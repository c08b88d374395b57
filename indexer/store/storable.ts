import {
  type CorpusDocument,
  MAX_ID_BYTES,
  MAX_METADATA_DEPTH,
  type Metadata,
  type MetadataValue,
} from '../../corpus/types.ts';
import { WinnowError } from '../../errors.ts';
import { displayId, type PassageRef } from '../format/stored-id.ts';
import type { SourceDocument } from '../types.ts';

export { MAX_ID_BYTES } from '../../corpus/types.ts';

/** Longest stored fields of one document: title, text and metadata, in UTF-16 units. */
const MAX_RECORD_LENGTH = 64 * 1024 * 1024;

/** A source that can be stored as it is. */
export interface StorableSource extends SourceDocument {
  readonly documents: readonly CorpusDocument[];
}

/** Checked input, and whether something in it had to be changed to be stored. */
export interface Checked<T> {
  readonly value: T;
  readonly mended: boolean;
}

/**
 * Checks a source and copies it into the form that is stored and reads back equal: what JSON can say, in well-formed Unicode.
 * Unpaired surrogates, which UTF-8 cannot represent, become U+FFFD, and `mended` reports it; what cannot be stored is rejected.
 *
 * @param mayLack passages may be missing, as in a source that lost some; they have their ordinals, ascending
 * @throws WinnowError WINNOW_BAD_ROW naming the document and the field
 */
export function storableSource(source: SourceDocument, mayLack = false): Checked<StorableSource> {
  if (!isPlainObject(source))
    throw badRow('sources', `a source is an object with id, contentHash and documents, not ${kind(source)}`);
  const { id, contentHash, documents } = source;
  requireId(id);
  const place = `document "${id}"`;
  if (typeof contentHash !== 'string' || contentHash === '')
    throw badRow(
      `${place}, contentHash`,
      `a string is needed, not ${contentHash === '' ? 'an empty one' : kind(contentHash)}`,
      'see contentHash()',
    );
  if (!Array.isArray(documents) || documents.length === 0)
    throw badRow(`${place}, documents`, `a list of at least one document is needed, not ${kind(documents)}`);
  const isCut = documents.length > 1 || documents[0]?.passage !== undefined;
  let least = 0;
  const checked = documents.map((document) => {
    const ordinal = mayLack ? Math.max(least, ordinalOf(document)) : least;
    least = ordinal + 1;
    return storableDocument(document, id, isCut ? ordinal : undefined);
  });
  return {
    value: { id, contentHash, documents: checked.map(({ value }) => value) },
    mended: checked.some(({ mended }) => mended),
  };
}

/** 0 for what is no ordinal: that is refused later. */
function ordinalOf({ passage }: SourceDocument['documents'][number]): number {
  return typeof passage === 'number' && Number.isSafeInteger(passage) && passage < 2 ** 31 ? passage : 0;
}

/** @throws WinnowError WINNOW_BAD_ROW for an id that no document can have */
export function requireId(id: unknown): asserts id is string {
  if (typeof id !== 'string')
    throw badRow('id', `an id must be a string, not ${kind(id)}`, 'String(id) makes one');
  // A UTF-16 unit takes at most three bytes.
  const bytes = 3 * id.length <= MAX_ID_BYTES ? id.length : Buffer.byteLength(id, 'utf8');
  const wrong =
    bytes === 0
      ? 'is empty'
      : bytes > MAX_ID_BYTES
        ? `has ${bytes} bytes`
        : id.includes('\u0000')
          ? 'holds NUL'
          : id.isWellFormed()
            ? undefined
            : 'holds half a surrogate pair';
  if (wrong)
    throw badRow(
      `id ${JSON.stringify(id.slice(0, 60))}`,
      `an id is 1 to ${MAX_ID_BYTES} bytes of well-formed text without NUL, this one ${wrong}`,
    );
}

function storableDocument(
  document: SourceDocument['documents'][number],
  sourceId: string,
  ordinal: number | undefined,
): Checked<CorpusDocument> {
  const ref: PassageRef = { id: sourceId, ...(ordinal === undefined ? {} : { passage: ordinal }) };
  const placeOf = (): string => `document ${JSON.stringify(displayId(ref))}`;
  if (!isPlainObject(document)) throw badRow(placeOf(), `a document is an object, not ${kind(document)}`);
  const { id = sourceId, passage = ordinal, title = '', text, metadata = {} } = document;
  if (id !== sourceId)
    throw badRow(
      `${placeOf()}, id`,
      `a document of source "${sourceId}" has the id ${JSON.stringify(id)}`,
      'give the documents of a source its id, or leave their ids out; passages are told apart by their order',
    );
  if (passage !== ordinal)
    throw badRow(
      `${placeOf()}, passage`,
      `passages are numbered 0, 1, 2 in their order, this is number ${ordinal}`,
    );
  requireText('title', title, placeOf);
  requireText('text', text, placeOf);
  if (!isPlainObject(metadata))
    throw badRow(
      `${placeOf()}, metadata`,
      `metadata is an object of names and values, not ${kind(metadata)}`,
    );
  const copy = new MetadataCopy(placeOf);
  const value: CorpusDocument = {
    ...ref,
    title: copy.text(title),
    text: copy.text(text),
    metadata: copy.object(metadata, 'metadata', 1) as Metadata,
  };
  if (copy.length > MAX_RECORD_LENGTH)
    throw badRow(placeOf(), `title, text and metadata take more than ${MAX_RECORD_LENGTH} characters`);
  return { value, mended: copy.mended };
}

function requireText(name: 'title' | 'text', value: unknown, placeOf: () => string): void {
  if (typeof value !== 'string')
    throw badRow(`${placeOf()}, ${name}`, `the ${name} must be a string, not ${kind(value)}`);
}

/** Copies JSON values: a checked value must not change before it is stored (through getters or a caller that keeps writing). */
class MetadataCopy {
  mended = false;
  /** UTF-16 units of all strings so far. */
  length = 0;
  private readonly placeOf: () => string;

  constructor(placeOf: () => string) {
    this.placeOf = placeOf;
  }

  text(text: string): string {
    this.length += text.length;
    if (text.isWellFormed()) return text;
    this.mended = true;
    return text.toWellFormed();
  }

  object(object: object, path: string, depth: number): { readonly [name: string]: MetadataValue } {
    this.requireDepth(path, depth);
    const given = Object.entries(object);
    if (given.length === 0) return {};
    const entries = given.map(([rawName, value]): [string, MetadataValue] => {
      const name = this.text(rawName);
      return [name, this.value(value, `${path}.${name.slice(0, 60)}`, depth)];
    });
    // fromEntries defines properties, where an assignment to `__proto__` would change the prototype.
    const copy = Object.fromEntries(entries);
    if (Object.keys(copy).length !== entries.length)
      throw this.refuse(path, 'two names are the same once their unpaired surrogates are replaced');
    return copy;
  }

  private value(value: unknown, path: string, depth: number): MetadataValue {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'boolean' || value === null) return value;
    if (typeof value === 'number') {
      if (!Number.isFinite(value)) throw this.refuse(path, `${value} is no JSON number`);
      return value === 0 ? 0 : value; // JSON has one zero
    }
    if (Array.isArray(value)) {
      this.requireDepth(path, depth + 1);
      return Array.from(value as unknown[], (item, i) => this.value(item, `${path}[${i}]`, depth + 1));
    }
    if (isPlainObject(value)) return this.object(value, path, depth + 1);
    const hint =
      value instanceof Date
        ? 'give its toISOString()'
        : value === undefined
          ? 'leave the name out, or give null'
          : 'give JSON values: text, numbers, booleans, null, lists and plain objects';
    throw this.refuse(path, `${kind(value)} cannot be stored`, hint);
  }

  private requireDepth(path: string, depth: number): void {
    if (depth > MAX_METADATA_DEPTH)
      throw this.refuse(path, `metadata nests at most ${MAX_METADATA_DEPTH} deep`);
  }

  private refuse(path: string, message: string, hint?: string): WinnowError {
    const shown = path.length > 120 ? `${path.slice(0, 120)}…` : path;
    return badRow(`${this.placeOf()}, ${shown}`, message, hint);
  }
}

const badRow = (place: string, message: string, hint?: string): WinnowError =>
  new WinnowError('WINNOW_BAD_ROW', message, { place, ...(hint === undefined ? {} : { hint }) });

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm (vm, a test runner) have their own Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A value's type in plain words, for messages. */
function kind(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const name: unknown = value.constructor?.name;
  return typeof name === 'string' && name !== 'Object' ? `a ${name}` : 'an object';
}
