import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncFile, syncFolder } from '../../durable-files.ts';
import { WinnowError } from '../../errors.ts';
import { isReadable } from '../format/format.ts';
import { requireDiskSpace } from '../store/disk-space.ts';
import {
  holdsIndex,
  INDEX_FILE,
  lockFileOf,
  makeEmptyFolder,
  PARTIAL,
  requireFolder,
} from '../store/files.ts';
import { checkLmdbFile } from '../store/lmdb-check.ts';
import { OpenIndex } from '../store/open-index.ts';
import { storageError } from '../store/storage-errors.ts';
import { replaceIndexFile, requireNoOtherProcess } from './index-file.ts';
import { alreadyExists, invalidSnapshot, requireRestorable, type SnapshotInfo } from './snapshot.ts';
import { type UpgradeReport, upgradeIndex } from './upgrade.ts';
import { verifyIndex } from './verify.ts';

export interface RestoreOptions {
  /** Replace an existing index. Default false. */
  readonly overwrite?: boolean;
  /** Upgrade a snapshot of an older format on the way ({@link upgradeIndex}). Default false: it is rejected. */
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
  if (holdsIndex(target) && !overwrite)
    throw alreadyExists(target, 'name another folder, or pass --overwrite to replace the index');
  const partial = join(target, `restore${PARTIAL}`);
  try {
    makeEmptyFolder(partial);
    requireDiskSpace(partial, info.bytes);
    const file = join(partial, INDEX_FILE);
    await copyChecked(join(snapshot, INDEX_FILE), file, info.sha256);
    checkLmdbFile(file, { deep: true });
    const upgraded = isReadable(info.formatVersion) ? undefined : await upgradeIndex(partial);
    const copy = OpenIndex.open(partial, { readOnly: true });
    try {
      verifyIndex(copy);
    } finally {
      await copy.close();
    }
    syncFile(file);
    await installIndexFile(target, file);
    return { ...info, ...(upgraded ? { upgrade: upgraded } : {}) };
  } catch (error) {
    throw storageError(target, error);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** @throws WinnowError WINNOW_SNAPSHOT_INVALID when the bytes have another hash */
async function copyChecked(source: string, file: string, sha256: string): Promise<void> {
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
  if (hash.digest('hex') !== sha256)
    throw invalidSnapshot(source, 'its bytes are not those that were written');
}

/**
 * Puts a checked and synced file in the place of a folder's index, if there is one.
 *
 * @param generation that the index must have, where the file was made from it: a later one holds writes that the file lacks
 * @throws WinnowError WINNOW_INDEX_IN_USE when another process has the index open or it has another generation, WINNOW_STORAGE
 */
export async function installIndexFile(folder: string, file: string, generation?: number): Promise<void> {
  const old = openReplaceable(folder);
  if (old) {
    try {
      requireNoOtherProcess(old.storage);
      // Nothing can write between this look and the replacement, which do not wait for anything.
      if (generation !== undefined && old.reader.latest.manifest.generation !== generation)
        throw new WinnowError('WINNOW_INDEX_IN_USE', 'the index was written to at the last moment', {
          place: folder,
          hint: 'run the command again: it goes on with what is new',
        });
      replaceIndexFile(old.storage, file);
    } finally {
      await old.close();
    }
  } else {
    const own = join(folder, INDEX_FILE);
    renameSync(file, own);
    rmSync(lockFileOf(own), { force: true });
  }
  syncFolder(folder);
}

function openReplaceable(folder: string): OpenIndex | undefined {
  try {
    return holdsIndex(folder) ? OpenIndex.open(folder) : undefined;
  } catch (error) {
    // A damaged or outdated index is what a restore is for. Any other error (a lack of permissions, for example) is reported.
    const code = error instanceof WinnowError ? error.code : undefined;
    if (code !== 'WINNOW_INDEX_CORRUPT' && code !== 'WINNOW_INDEX_VERSION') throw error;
    return undefined;
  }
}
