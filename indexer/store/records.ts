import type { Transaction } from 'lmdb';
import type { Metadata } from '../../corpus/types.ts';
import { checksum } from '../format/checksum.ts';
import { corrupt } from '../format/errors.ts';
import type { Storage } from './storage.ts';
import { withStorageErrors } from './storage-errors.ts';

/** Stored fields of a document or passage. */
export interface StoredRecord {
  /** The id that the source was added under. */
  readonly id: string;
  /** Ordinal of a passage of a source that was cut, from 0; absent for a whole document. */
  readonly passage?: number;
  readonly title: string;
  readonly text: string;
  readonly metadata: Metadata;
}

/** A source that was cut into passages, joined again; neighbouring passages may overlap by some sentences. */
export interface StoredSource extends Omit<StoredRecord, 'passage'> {
  /** Ordinals of the passages that the index holds, ascending. */
  readonly passages: readonly number[];
}

/** Value of a `sources` entry. */
export interface SourceRecord {
  /** Content hash; undefined when the index holds less than the source had, so that the next run indexes it again. */
  readonly hash: string | undefined;
  /** Keys of the documents that the source became. */
  readonly keys: readonly number[];
  /** Ordinal of the passage of each key; undefined for a source that is one whole document. */
  readonly passages: readonly number[] | undefined;
}

/** Key and value of the entry that is written, one after the other. */
let written = Buffer.allocUnsafe(64 << 10);
/** Bytes that are kept for the next entry, at most. */
const KEPT_BYTES = 1 << 20;

/**
 * LMDB has no checksums of its own: without one, a flipped bit in a stored text would be returned undetected. The checksum covers
 * the bytes as they are stored, and the key, so that a value under another key is detected, too.
 *
 * Only inside a synchronous write transaction: there LMDB copies a value when it is put, and elsewhere later.
 *
 * @returns a view, valid until the next call
 */
function encodeChecked(key: string, fields: unknown): Buffer {
  const json = JSON.stringify(fields);
  // A UTF-16 unit takes at most three bytes of UTF-8.
  let most = 4 + 3 * (key.length + json.length);
  if (most > KEPT_BYTES) most = 4 + Buffer.byteLength(key) + Buffer.byteLength(json);
  const buffer = written.length < most ? Buffer.allocUnsafe(most) : written;
  if (most <= KEPT_BYTES) written = buffer;
  const body = 4 + buffer.write(key, 4);
  const end = body + buffer.write(json, body);
  const crc = checksum(buffer.subarray(4, end));
  // The checksum takes the place of the last bytes of the key, or of what is before it.
  buffer.writeUInt32LE(crc, body - 4);
  return buffer.subarray(body - 4, end);
}

function decodeChecked(key: string, value: Uint8Array, place: string): unknown {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  const body = bytes.subarray(4);
  if (bytes.length < 6 || checksum(body, checksum(key)) !== bytes.readUInt32LE(0))
    throw corrupt(place, 'checksum mismatch');
  return JSON.parse(body.toString('utf8'));
}

/** JSON keeps every metadata name as an own property, `__proto__` included, on the way in and out. */
function encodeRecord(docKey: number, { id, passage, title, text, metadata }: StoredRecord): Buffer {
  return encodeChecked(String(docKey), [id, passage ?? null, title, text, metadata]);
}

function decodeRecord(docKey: number, value: Uint8Array, place: string): StoredRecord {
  const [id, passage, title, text, metadata] = decodeChecked(String(docKey), value, place) as [
    string,
    number | null,
    string,
    string,
    Metadata,
  ];
  return { id, ...(passage === null ? {} : { passage }), title, text, metadata };
}

/** @returns bytes of the stored value before compression */
export function putRecord(storage: Storage, docKey: number, record: StoredRecord): number {
  const value = encodeRecord(docKey, record);
  storage.documents.put(docKey, value);
  return value.length;
}

/** @throws WinnowError WINNOW_INDEX_CORRUPT when the stored bytes are not those that were written */
export function getRecord(
  storage: Storage,
  docKey: number,
  transaction?: Transaction,
): StoredRecord | undefined {
  const place = `${storage.path}, stored fields of document ${docKey}`;
  return withStorageErrors(place, () => {
    const value = storage.documents.get(docKey, transaction ? { transaction } : undefined);
    return value === undefined ? undefined : decodeRecord(docKey, value, place);
  });
}

export function putSource(storage: Storage, id: string, { hash, keys, passages }: SourceRecord): void {
  storage.sources.put(id, encodeChecked(id, [hash ?? null, keys, passages ?? null]));
}

/** @throws WinnowError WINNOW_INDEX_CORRUPT when the entry is not the one that was written */
export function getSource(storage: Storage, id: string, transaction?: Transaction): SourceRecord | undefined {
  const place = `${storage.path}, source "${id}"`;
  return withStorageErrors(place, () => {
    const value = storage.sources.get(id, transaction ? { transaction } : undefined);
    if (value === undefined) return undefined;
    const [hash, keys, passages] = decodeChecked(id, value, place) as [
      string | null,
      readonly number[],
      readonly number[] | null,
    ];
    return { hash: hash ?? undefined, keys, passages: passages ?? undefined };
  });
}
