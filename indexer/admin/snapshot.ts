import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { syncFile, syncFolder } from '../../durable-files.ts';
import { WinnowError } from '../../errors.ts';
import { FORMAT_VERSION, isReadable, UPGRADABLE } from '../format/format.ts';
import { wrongVersion } from '../format/manifest.ts';
import { requireDiskSpace } from '../store/disk-space.ts';
import {
  INDEX_FILE,
  lockFileOf,
  makeEmptyFolder,
  makePrivate,
  PARTIAL,
  requireFolder,
} from '../store/files.ts';
import { OpenIndex } from '../store/open-index.ts';
import { storageError } from '../store/storage-errors.ts';
import { removeMergesOfOriginal, usedBytes } from './index-file.ts';

/** Beside the copy of the index file in a snapshot's folder. It is written last: a folder without it is not a snapshot. */
export const SNAPSHOT_FILE = 'snapshot.json';

/** Content of {@link SNAPSHOT_FILE}. */
export interface SnapshotInfo {
  readonly formatVersion: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Live documents; passages count one each. */
  readonly documents: number;
  readonly modelName: string;
  readonly modelHash: string;
  /** Size of the copy of the index file. */
  readonly bytes: number;
  /** Of the copy, in hex. */
  readonly sha256: string;
}

/**
 * Writes a consistent copy of an index into a new folder, without free pages, while searches and writes go on: the copy is
 * what one read transaction sees. A folder whose name ends in `.partial` holds the copy until it is whole.
 *
 * @throws WinnowError WINNOW_BAD_ARGUMENT, WINNOW_ALREADY_EXISTS, WINNOW_STORAGE (also when there is too little space, before anything is written)
 */
export async function takeSnapshot(index: OpenIndex, folder: string): Promise<SnapshotInfo> {
  requireFolder(folder);
  if (existsSync(folder)) throw alreadyExists(folder, 'name a folder that does not exist');
  const partial = `${folder}${PARTIAL}`;
  try {
    makeEmptyFolder(partial);
    index.reader.requireOpen();
    requireDiskSpace(partial, usedBytes(index.storage));
    const file = join(partial, INDEX_FILE);
    await index.copyTo(file);
    makePrivate(file);
    const info = await describeCopy(partial);
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

/** Removes from a copy what belongs to the original only, makes it durable, and describes it. */
async function describeCopy(folder: string): Promise<SnapshotInfo> {
  const file = join(folder, INDEX_FILE);
  const copy = OpenIndex.open(folder);
  removeMergesOfOriginal(copy);
  const { numLive, manifest } = copy.reader.view();
  const { modelName, modelHash } = manifest.settings;
  await copy.close();
  rmSync(lockFileOf(file), { force: true });
  syncFile(file);
  return {
    formatVersion: FORMAT_VERSION,
    createdAt: new Date().toISOString(),
    documents: numLive,
    modelName,
    modelHash,
    bytes: statSync(file).size,
    sha256: await sha256(file),
  };
}

/** The description of a snapshot of any format. @throws WinnowError WINNOW_SNAPSHOT_INVALID when the folder holds no whole snapshot */
export function readSnapshotInfo(folder: string): SnapshotInfo {
  const file = join(folder, SNAPSHOT_FILE);
  if (!existsSync(file)) throw invalidSnapshot(folder, `it has no ${SNAPSHOT_FILE}`);
  let info: SnapshotInfo;
  try {
    info = JSON.parse(readFileSync(file, 'utf8')) as SnapshotInfo;
  } catch (cause) {
    throw invalidSnapshot(file, `it cannot be read: ${(cause as Error).message}`);
  }
  if (typeof info?.sha256 !== 'string' || typeof info.bytes !== 'number')
    throw invalidSnapshot(file, 'it names no size and checksum');
  if (typeof info.createdAt !== 'string' || typeof info.documents !== 'number')
    throw invalidSnapshot(file, 'it names no time and number of documents');
  if (typeof info.formatVersion !== 'number') throw invalidSnapshot(file, 'it names no format version');
  return info;
}

/**
 * Checks what can be checked without reading the copy: description, format, and size.
 *
 * @throws WinnowError WINNOW_SNAPSHOT_INVALID, WINNOW_INDEX_VERSION
 */
export function requireRestorable(snapshot: string, { upgrade = false } = {}): SnapshotInfo {
  const info = readSnapshotInfo(snapshot);
  if (!isReadable(info.formatVersion) && !(upgrade && UPGRADABLE.includes(info.formatVersion)))
    throw wrongVersion('snapshot', info.formatVersion, snapshot);
  const size = statSync(join(snapshot, INDEX_FILE), { throwIfNoEntry: false })?.size;
  if (size === undefined) throw invalidSnapshot(snapshot, `it has no ${INDEX_FILE}`);
  if (size !== info.bytes)
    throw invalidSnapshot(
      join(snapshot, INDEX_FILE),
      `its ${size} bytes are not the ${info.bytes} that were written`,
    );
  return info;
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export const invalidSnapshot = (place: string, message: string): WinnowError =>
  new WinnowError('WINNOW_SNAPSHOT_INVALID', `this is not a whole snapshot: ${message}`, {
    place,
    hint: 'use another snapshot',
  });

export const alreadyExists = (place: string, hint: string): WinnowError =>
  new WinnowError('WINNOW_ALREADY_EXISTS', 'something is there already', { place, hint });
