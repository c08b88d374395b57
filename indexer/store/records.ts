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

/**
 * LMDB has no checksums of its own: without one, a flipped bit in a stored text would be returned undetected. The checksum covers
 * the bytes as they are stored, and the key, so that a value under another key is detected, too.
 */
function encodeChecked(key: string, fields: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(fields), 'utf8');
  const value = Buffer.allocUnsafe(4 + body.length);
  value.writeUInt32LE(checksum(body, checksum(key)), 0);
  body.copy(value, 4);
  return value;
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
