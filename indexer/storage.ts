import { chmodSync, existsSync, mkdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Database, RootDatabase, Transaction } from 'lmdb';
import { WinnowError } from '../errors.ts';
import { corrupt, PartKind, ZERO_COPY_BYTES } from './format.ts';
import { loadLmdb } from './lmdb.ts';
import { checkLmdbFile } from './lmdb-check.ts';

/** The one file that LMDB keeps an index in; its lock file lies beside it. */
export const INDEX_FILE = 'index.mdb';

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
  /** docKey -> stored fields behind their checksum (records.ts). */
  readonly documents: Database<Buffer, number>;
  /** source id -> hash and document keys behind their checksum (records.ts). */
  readonly sources: Database<Buffer, string>;
}

export const segmentKey = (number: number, kind: number): number => number * 16 + kind;

/** Inside a write transaction: removes a segment's parts and tombstones. */
export function dropSegment(storage: Storage, number: number): void {
  for (const kind of [0, ...Object.values(PartKind)]) storage.segments.remove(segmentKey(number, kind));
  storage.tombstones.remove(number);
}

/** @throws WinnowError WINNOW_BAD_ARGUMENT for what is no path */
export function requireFolder(folder: unknown, place = 'folder'): void {
  if (typeof folder === 'string' && folder !== '' && !folder.includes('\u0000')) return;
  throw new WinnowError(
    'WINNOW_BAD_ARGUMENT',
    `${place} must be the path of a folder, not ${JSON.stringify(folder) ?? typeof folder}`,
    {
      place,
    },
  );
}

/**
 * Opens the LMDB file of an index folder.
 *
 * A new folder and its files are for their owner alone (0700, 0600); those that are there keep their modes.
 *
 * Commits are synced to disk before they return, so an acknowledged write survives both kill -9 and a power cut.
 *
 * @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_CORRUPT, WINNOW_STORAGE
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
  return guard(path, () => {
    checkLmdbFile(file, { create });
    const root = loadLmdb().open({
      path: file,
      readOnly,
      maxDbs: 8,
      maxReaders: 512,
      // A commit that returns is on disk: acknowledgements need no second promise.
      overlappingSync: false,
      cache: false,
    });
    try {
      if (isNew) makePrivate(file);
      if (!readOnly) root.readerCheck(); // slots of killed readers would keep old pages alive
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
    } catch (error) {
      void root.close();
      throw error;
    }
  });
}

/** Documents are for their owner alone; LMDB would let the group and others read. */
export function makePrivate(file: string): void {
  for (const name of [file, `${file}-lock`]) if (existsSync(name)) chmodSync(name, 0o600);
}

function makeFolder(path: string): void {
  // One by one: Node's recursive mkdir never returns where a file system answers that the parent of a new folder is missing
  // although it is there, as /proc does.
  const missing: string[] = [];
  for (let folder = path; !existsSync(folder); folder = dirname(folder)) missing.push(folder);
  for (const folder of missing.length > 0 ? missing.reverse() : [path]) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      if (existsSync(folder) && statSync(folder).isDirectory()) continue; // it was there, or another process was first
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST' && code !== 'ENOTDIR') throw storageError(path, error);
      throw new WinnowError('WINNOW_ALREADY_EXISTS', 'a file is where the index folder should be', {
        place: path,
        hint: 'name another folder',
      });
    }
  }
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

/** LMDB's codes for a limit that is reached (MDB_MAP_FULL to MDB_PAGE_FULL); its other ones mean a file that it cannot read. */
const LMDB_LIMITS = { lowest: -30_792, highest: -30_786 };
/** What LMDB asks of the system with the offsets of a damaged file. */
const EINVAL = 22;

export function storageError(place: string, cause: unknown): WinnowError {
  if (cause instanceof WinnowError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (!isRefusal((cause as { code?: unknown } | undefined)?.code))
    return corrupt(place, `the index file cannot be read: ${message}`);
  return new WinnowError('WINNOW_STORAGE', message, {
    place,
    hint: 'check free space and permissions of the index folder; the last acknowledged write is still there',
    cause,
  });
}

/** Whether an error's code is the file system's, or one of LMDB's limits. Errors without such a code come from reading damage. */
function isRefusal(code: unknown): boolean {
  if (typeof code === 'number')
    return code > 0 ? code !== EINVAL : code >= LMDB_LIMITS.lowest && code <= LMDB_LIMITS.highest;
  return typeof code === 'string' && /^E[A-Z]+$/.test(code);
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
