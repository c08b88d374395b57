import { existsSync, mkdirSync, statfsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Database, open, type RootDatabase, type Transaction } from 'lmdb';
import { WinnowError } from '../errors.ts';
import { checksum, corrupt, ZERO_COPY_BYTES } from './format.ts';
import { checkLmdbFile } from './lmdb-check.ts';

/** The one file that LMDB keeps an index in; its lock file lies beside it. */
export const INDEX_FILE = 'index.mdb';

/** Stored fields of a document. */
export interface StoredRecord {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly parentId?: string;
}

/** Value of a `documents` entry: the fields and the CRC-32 of {@link recordChecksum} over them. */
export interface CheckedRecord extends StoredRecord {
  readonly crc: number;
}

/** A source that was cut into passages, put together again; neighbouring passages may overlap by some sentences. */
export interface StoredSource extends StoredRecord {
  /** Ids of the passages in order. */
  readonly passages: readonly string[];
}

/** Value of a `sources` entry. */
export interface SourceRecord {
  readonly hash: string;
  /** Keys of the documents that the source became. */
  readonly keys: readonly number[];
}

/** The LMDB databases of an index folder (FORMAT.md, "Databases"). */
export interface Storage {
  readonly path: string;
  readonly root: RootDatabase;
  /** 'current' -> sealed Manifest. */
  readonly manifest: Database<Buffer, string>;
  /** segment number * 16 + PartKind (0 = header) -> bytes. */
  readonly segments: Database<Buffer, number>;
  /** segment number -> sealed bitmap, bit set = deleted. */
  readonly tombstones: Database<Buffer, number>;
  /** docKey -> stored fields. */
  readonly documents: Database<CheckedRecord, number>;
  /** user id -> docKey. */
  readonly ids: Database<number, string>;
  /** source id -> hash and document keys. */
  readonly sources: Database<SourceRecord, string>;
}

/** LMDB has no checksums of its own, and a flipped bit in a text would else be shown as if it had been written so. */
function recordChecksum({ id, title, text, metadata, parentId }: StoredRecord): number {
  return checksum(JSON.stringify([id, title, text, metadata, parentId ?? null]));
}

export function putRecord(storage: Storage, docKey: number, document: StoredRecord): void {
  const { id, title, text, metadata, parentId } = document;
  const record = { id, title, text, metadata, ...(parentId === undefined ? {} : { parentId }) };
  storage.documents.put(docKey, { ...record, crc: recordChecksum(record) });
}

/** @throws WinnowError WINNOW_INDEX_CORRUPT when the fields are not those that were written */
export function getRecord(
  storage: Storage,
  docKey: number,
  transaction?: Transaction,
): StoredRecord | undefined {
  const place = `${storage.path}, stored fields of document ${docKey}`;
  return guard(place, () => {
    const stored = storage.documents.get(docKey, transaction ? { transaction } : undefined);
    if (stored === undefined) return undefined;
    const { crc, ...record } = stored;
    if (recordChecksum(record) !== crc) throw corrupt(place, 'checksum mismatch');
    return record;
  });
}

export const segmentKey = (number: number, kind: number): number => number * 16 + kind;

/**
 * Opens the LMDB file of an index folder.
 *
 * Commits are synced to disk before they return, so an acknowledged write survives both kill -9 and a power cut.
 *
 * @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_CORRUPT, WINNOW_STORAGE
 */
export function openStorage(
  folder: string,
  { create, readOnly }: { create: boolean; readOnly: boolean },
): Storage {
  const path = resolve(folder);
  const file = join(path, INDEX_FILE);
  if (!existsSync(file)) {
    if (!create) {
      throw new WinnowError('WINNOW_INDEX_NOT_FOUND', 'no index here', {
        place: folder,
        hint: `create one with: winnow index PATH --index ${folder}`,
      });
    }
    guard(path, () => mkdirSync(path, { recursive: true }));
  }
  return guard(path, () => {
    checkLmdbFile(file);
    const root = open({
      path: file,
      readOnly,
      maxDbs: 8,
      maxReaders: 512,
      // A commit that returns is on disk: acknowledgements need no second promise.
      overlappingSync: false,
      cache: false,
    });
    try {
      if (!readOnly) root.readerCheck(); // slots of killed readers would keep old pages alive
      const binary = { encoding: 'binary', keyEncoding: 'uint32' } as const;
      return {
        path,
        root,
        manifest: root.openDB({ name: 'manifest', encoding: 'binary' }),
        segments: root.openDB({ name: 'segments', ...binary }),
        tombstones: root.openDB({ name: 'tombstones', ...binary }),
        documents: root.openDB({ name: 'documents', keyEncoding: 'uint32', compression: true }),
        ids: root.openDB({ name: 'ids' }),
        sources: root.openDB({ name: 'sources' }),
      };
    } catch (error) {
      void root.close();
      throw error;
    }
  });
}

/** Free space asked for beyond the bytes that are going to be written. */
const SPARE_BYTES = 16 * 1024 * 1024;

/**
 * Refuses a write that the disk has no room for before LMDB begins it: in lmdb-js 3.5.6 a failing write overruns a buffer of
 * 100 bytes while it words its message (mdb_page_flush), which ends the process sooner or later.
 *
 * @throws WinnowError WINNOW_STORAGE
 */
export function requireSpace(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  if (free >= bytes + SPARE_BYTES) return;
  throw new WinnowError(
    'WINNOW_STORAGE',
    `the disk has ${free} bytes free, and ${bytes + SPARE_BYTES} are asked for before ${bytes} are written`,
    { place: folder, hint: 'free space, or use another disk; nothing was changed' },
  );
}

/** Runs a storage call and turns LMDB's and the file system's errors into coded ones. */
export function guard<T>(place: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw storageError(place, cause);
  }
}

export function storageError(place: string, cause: unknown): WinnowError {
  if (cause instanceof WinnowError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (
    /MDB_(INVALID|VERSION_MISMATCH|CORRUPTED|PAGE_NOTFOUND|PANIC|BAD_)/.test(message) ||
    /not an LMDB file|Unknown type|End of buffer|Data read, but/.test(message)
  ) {
    return corrupt(place, `the LMDB file cannot be read: ${message}`);
  }
  return new WinnowError('WINNOW_STORAGE', message, {
    place,
    hint: 'check free space and permissions of the index folder; the last acknowledged write is still there',
    cause,
  });
}

/** lmdb-js's typings leave out the options that its implementation of this call takes. */
function getBinaryFast(
  db: Database<Buffer, number>,
  key: number,
  transaction?: Transaction,
): Buffer | undefined {
  const get = db.getBinaryFast as (key: number, options?: { transaction: Transaction }) => Buffer | undefined;
  return get.call(db, key, transaction && { transaction });
}

/**
 * A part's bytes under a held read transaction: a view of the memory map for large values, a copy for small ones.
 * Views stay valid until `transaction.done()`.
 */
export function readPart(storage: Storage, key: number, transaction?: Transaction): Uint8Array | undefined {
  const bytes: (Uint8Array & { isGlobal?: boolean }) | undefined = getBinaryFast(
    storage.segments,
    key,
    transaction,
  );
  if (!bytes) return undefined;
  const isView = bytes.isGlobal !== true && bytes.length >= ZERO_COPY_BYTES && bytes.byteOffset % 8 === 0;
  // lmdb-js sets `length` of its shared buffer to the value's length; only an explicit end respects that.
  return isView ? bytes : Uint8Array.prototype.slice.call(bytes, 0, bytes.length);
}
