import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Database, RootDatabase, Transaction } from 'lmdb';
import { WinnowError } from '../../errors.ts';
import { ZERO_COPY_BYTES } from '../format/format.ts';
import { ALL_KINDS, segmentKey } from '../format/parts.ts';
import { INDEX_FILE, makeFolder, makePrivate, requireFolder } from './files.ts';
import { loadLmdb } from './lmdb.ts';
import { checkLmdbFile } from './lmdb-check.ts';
import { withStorageErrors } from './storage-errors.ts';

/** The LMDB databases of an index folder (FORMAT.md, "Databases"). */
export interface Storage {
  readonly path: string;
  readonly root: RootDatabase;
  /** 'current' -> Manifest behind its checksum. */
  readonly manifest: Database<Buffer, string>;
  /** `segmentKey(segment, kind)` -> bytes of the header or of a part. */
  readonly segments: Database<Buffer, number>;
  /** segment number -> bitmap behind its checksum, bit set = deleted. */
  readonly tombstones: Database<Buffer, number>;
  /** docKey -> stored fields behind their checksum (records.ts). */
  readonly documents: Database<Buffer, number>;
  /** source id -> hash and document keys behind their checksum (records.ts). */
  readonly sources: Database<Buffer, string>;
}

/** Inside a write transaction: removes the header and the parts of a segment. */
export function removeParts(storage: Storage, segment: number): void {
  for (const kind of ALL_KINDS) storage.segments.remove(segmentKey(segment, kind));
}

/** Inside a write transaction: removes a segment with its tombstones. */
export function removeSegment(storage: Storage, segment: number): void {
  removeParts(storage, segment);
  storage.tombstones.remove(segment);
}

/**
 * Opens the LMDB file of an index folder. Everything that reads or writes an index opens it through this function.
 *
 * A new folder and its files are for their owner alone (0700, 0600); existing ones keep their modes.
 *
 * Commits are synced to disk before they return, so an acknowledged write survives both kill -9 and a power cut.
 *
 * @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_CORRUPT, WINNOW_STORAGE, WINNOW_ALREADY_EXISTS, WINNOW_BAD_ARGUMENT
 */
export function openStorage(
  folder: string,
  { create, readOnly }: { create: boolean; readOnly: boolean },
): Storage {
  requireFolder(folder);
  const path = resolve(folder);
  const file = join(path, INDEX_FILE);
  const isNew = !existsSync(file);
  if (isNew) {
    if (!create) {
      throw new WinnowError('WINNOW_INDEX_NOT_FOUND', 'no index here', {
        place: folder,
        hint: `create one with: winnow index PATH --index ${folder}`,
      });
    }
    makeFolder(path);
  }
  return withStorageErrors(path, () => {
    checkLmdbFile(file, { create });
    const root = loadLmdb().open({
      path: file,
      readOnly,
      maxDbs: 8,
      maxReaders: 512,
      // A commit that returns is on disk: an acknowledgement needs no second promise.
      overlappingSync: false,
      cache: false,
    });
    try {
      if (isNew) makePrivate(file);
      if (!readOnly) root.readerCheck(); // slots of killed readers would keep old pages alive
      return openDatabases(path, root);
    } catch (error) {
      void root.close();
      throw error;
    }
  });
}

function openDatabases(path: string, root: RootDatabase): Storage {
  const binary = { encoding: 'binary', keyEncoding: 'uint32' } as const;
  return {
    path,
    root,
    manifest: root.openDB({ name: 'manifest', encoding: 'binary' }),
    segments: root.openDB({ name: 'segments', ...binary }),
    tombstones: root.openDB({ name: 'tombstones', ...binary }),
    documents: root.openDB({ name: 'documents', ...binary, compression: true }),
    sources: root.openDB({ name: 'sources', encoding: 'binary' }),
  };
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
 * Views are valid until `transaction.done()`.
 *
 * @param key see `segmentKey`
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
