import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { WinnowError } from '../errors.ts';
import { FORMAT_VERSION, UPGRADABLE } from './format.ts';
import { IndexStore } from './index-store.ts';
import { checkLmdbFile } from './lmdb-check.ts';
import { wrongVersion } from './manifest.ts';
import { INDEX_FILE, makePrivate, requireFolder, requireSpace, storageError } from './storage.ts';
import { type UpgradeReport, upgradeIndex } from './upgrade.ts';

/** Beside the copy of the index file in a snapshot's folder; written last, so a folder without it is no snapshot. */
export const SNAPSHOT_FILE = 'snapshot.json';

/** What a snapshot says about itself. */
export interface SnapshotInfo {
  readonly formatVersion: number;
  readonly createdAt: string;
  readonly documents: number;
  readonly modelName: string;
  readonly modelHash: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Ends the name of a folder that a snapshot, restore or compaction is being made in. */
export const PARTIAL = '.partial';

/**
 * Writes a consistent copy of an index into a new folder, without free pages, while searches and writes go on: the copy is
 * what one read transaction sees.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_ALREADY_EXISTS, WINNOW_STORAGE (also when there is too little space, before anything is written)
 */
export async function takeSnapshot(store: IndexStore, folder: string): Promise<SnapshotInfo> {
  requireFolder(folder);
  if (!(store instanceof IndexStore))
    throw new WinnowError('WINNOW_BAD_ARGUMENT', 'store must be the store of an open index', {
      place: 'store',
      hint: 'pass index.store',
    });
  if (existsSync(folder)) throw alreadyExists(folder, 'name a folder that does not exist');
  const partial = `${folder}${PARTIAL}`;
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true, mode: 0o700 });
    requireSpace(partial, store.usedBytes());
    const file = join(partial, INDEX_FILE);
    await store.copyTo(file);
    makePrivate(file);
    const copy = IndexStore.open(partial, { merges: 'inline' });
    copy.forgetMerges();
    const { documents, settings } = copy.stats();
    await copy.close();
    rmSync(`${file}-lock`, { force: true });
    syncFile(file);
    const info: SnapshotInfo = {
      formatVersion: FORMAT_VERSION,
      createdAt: new Date().toISOString(),
      documents,
      modelName: settings.modelName,
      modelHash: settings.modelHash,
      bytes: statSync(file).size,
      sha256: await sha256(file),
    };
    writeFileSync(join(partial, SNAPSHOT_FILE), `${JSON.stringify(info, null, 2)}\n`, { mode: 0o600 });
    syncFile(join(partial, SNAPSHOT_FILE));
    syncFolder(partial);
    renameSync(partial, folder);
    syncFolder(dirname(folder));
    return info;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw storageError(folder, error);
  }
}

/** What a snapshot of any format says about itself. @throws WinnowError WINNOW_SNAPSHOT_INVALID when the folder holds no whole one */
export function readSnapshotInfo(folder: string): SnapshotInfo {
  const file = join(folder, SNAPSHOT_FILE);
  if (!existsSync(file)) throw invalid(folder, `it has no ${SNAPSHOT_FILE}`);
  let info: SnapshotInfo;
  try {
    info = JSON.parse(readFileSync(file, 'utf8')) as SnapshotInfo;
  } catch (cause) {
    throw invalid(file, `it cannot be read: ${(cause as Error).message}`);
  }
  if (typeof info?.sha256 !== 'string' || typeof info.bytes !== 'number')
    throw invalid(file, 'it names no size and checksum');
  if (typeof info.createdAt !== 'string' || typeof info.documents !== 'number')
    throw invalid(file, 'it names no time and number of documents');
  if (typeof info.formatVersion !== 'number') throw invalid(file, 'it names no format version');
  return info;
}

/**
 * Checks what can be checked without reading the copy: description, format, and size.
 *
 * @throws WinnowError WINNOW_SNAPSHOT_INVALID, WINNOW_INDEX_VERSION
 */
export function requireRestorable(snapshot: string, { upgrade = false } = {}): SnapshotInfo {
  const info = readSnapshotInfo(snapshot);
  if (info.formatVersion !== FORMAT_VERSION && !(upgrade && UPGRADABLE.includes(info.formatVersion)))
    throw wrongVersion('snapshot', info.formatVersion, snapshot);
  const size = statSync(join(snapshot, INDEX_FILE), { throwIfNoEntry: false })?.size;
  if (size === undefined) throw invalid(snapshot, `it has no ${INDEX_FILE}`);
  if (size !== info.bytes)
    throw invalid(
      join(snapshot, INDEX_FILE),
      `its ${size} bytes are not the ${info.bytes} that were written`,
    );
  return info;
}

export interface RestoreOptions {
  /** Replace an index that is there. Default false. */
  readonly overwrite?: boolean;
  /** Upgrade a snapshot of an older format on the way ({@link upgradeIndex}). Default false: it is refused. */
  readonly upgrade?: boolean;
}

/** What was restored. */
export interface RestoreReport extends SnapshotInfo {
  /** What the upgrade of an older format kept and dropped; absent when there was none. */
  readonly upgrade?: UpgradeReport;
}

/**
 * Makes an index folder from a snapshot. Size, SHA-256, page structure and every checksum of the copy are checked before
 * anything at the target changes.
 *
 * @throws WinnowError WINNOW_SNAPSHOT_INVALID, WINNOW_INDEX_VERSION, WINNOW_ALREADY_EXISTS, WINNOW_INDEX_IN_USE, WINNOW_STORAGE
 */
export async function restoreSnapshot(
  snapshot: string,
  target: string,
  { overwrite = false, upgrade = false }: RestoreOptions = {},
): Promise<RestoreReport> {
  requireFolder(snapshot, 'snapshot');
  requireFolder(target, 'target');
  const info = requireRestorable(snapshot, { upgrade });
  if (IndexStore.exists(target) && !overwrite)
    throw alreadyExists(target, 'name another folder, or pass --overwrite to replace the index');
  const partial = join(target, `restore${PARTIAL}`);
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true, mode: 0o700 });
    requireSpace(partial, info.bytes);
    const source = join(snapshot, INDEX_FILE);
    const file = join(partial, INDEX_FILE);
    const hash = createHash('sha256');
    await pipeline(
      createReadStream(source, { highWaterMark: 1 << 20 }),
      async function* (chunks) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(file, { mode: 0o600 }),
    );
    if (hash.digest('hex') !== info.sha256)
      throw invalid(source, 'its bytes are not those that were written');
    checkLmdbFile(file, { deep: true });
    const upgraded = info.formatVersion === FORMAT_VERSION ? undefined : await upgradeIndex(partial);
    const copy = IndexStore.open(partial, { readOnly: true });
    try {
      copy.verify();
    } finally {
      await copy.close();
    }
    syncFile(file);
    await replaceIndexFile(target, file);
    return { ...info, ...(upgraded ? { upgrade: upgraded } : {}) };
  } catch (error) {
    throw storageError(target, error);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

export interface CompactReport {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly segments: number;
}

/**
 * Merges all segments, drops deleted documents, and gives the file's free pages back by copying what is used and putting the
 * copy in the file's place.
 *
 * @throws WinnowError WINNOW_INDEX_IN_USE when another process has the index open, WINNOW_STORAGE
 */
export async function compactIndex(folder: string): Promise<CompactReport> {
  requireFolder(folder);
  const store = IndexStore.open(folder, { merges: 'inline' });
  const file = join(folder, INDEX_FILE);
  const partial = join(folder, `compact${PARTIAL}`);
  try {
    store.requireAlone();
    const bytesBefore = statSync(file).size;
    store.optimize();
    const segments = store.stats().segments;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { mode: 0o700 });
    requireSpace(partial, store.usedBytes());
    const copy = join(partial, INDEX_FILE);
    await store.copyTo(copy);
    makePrivate(copy);
    syncFile(copy);
    checkLmdbFile(copy, { deep: true });
    store.replaceFileBy(copy);
    syncFolder(folder);
    return { bytesBefore, bytesAfter: statSync(file).size, segments };
  } catch (error) {
    throw storageError(folder, error);
  } finally {
    await store.close();
    rmSync(partial, { recursive: true, force: true });
  }
}

/** Puts a checked file in the place of a folder's index, if there is one. */
async function replaceIndexFile(folder: string, file: string): Promise<void> {
  let old: IndexStore | undefined;
  try {
    if (IndexStore.exists(folder)) old = IndexStore.open(folder, { merges: 'inline' });
  } catch (error) {
    // A damaged index is what one restores over; anything else (no permission, say) is an error.
    const code = error instanceof WinnowError ? error.code : undefined;
    if (code !== 'WINNOW_INDEX_CORRUPT' && code !== 'WINNOW_INDEX_VERSION') throw error;
  }
  if (old) {
    try {
      old.requireAlone();
      old.replaceFileBy(file);
    } finally {
      await old.close();
    }
  } else {
    renameSync(file, join(folder, INDEX_FILE));
    rmSync(join(folder, `${INDEX_FILE}-lock`), { force: true });
  }
  syncFolder(folder);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function syncFile(file: string): void {
  const descriptor = openSync(file, 'r+');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes a rename in the folder last. Windows has no such call and needs none. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const invalid = (place: string, message: string): WinnowError =>
  new WinnowError('WINNOW_SNAPSHOT_INVALID', `this is no whole snapshot: ${message}`, {
    place,
    hint: 'use another snapshot',
  });

const alreadyExists = (place: string, hint: string): WinnowError =>
  new WinnowError('WINNOW_ALREADY_EXISTS', 'something is there already', { place, hint });
