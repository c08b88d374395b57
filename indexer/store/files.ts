import { chmodSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { storageError } from './storage-errors.ts';

/** The one file that LMDB keeps an index in; its lock file is beside it. */
export const INDEX_FILE = 'index.mdb';

/** Ends the name of a folder in which a snapshot, restore or compaction is being made. */
export const PARTIAL = '.partial';

/** @throws WinnowError WINNOW_BAD_ARGUMENT for a value that is not a path */
export function requireFolder(folder: unknown, place = 'folder'): void {
  if (typeof folder === 'string' && folder !== '' && !folder.includes('\u0000')) return;
  throw new WinnowError(
    'WINNOW_BAD_ARGUMENT',
    `${place} must be the path of a folder, not ${JSON.stringify(folder) ?? typeof folder}`,
    { place },
  );
}

/** Whether the folder holds an index file. An empty file is the remains of an interrupted creation and does not count. */
export function holdsIndex(folder: string): boolean {
  const file = join(folder, INDEX_FILE);
  return existsSync(file) && statSync(file).size > 0;
}

/** Makes a folder with mode 0700. @throws WinnowError WINNOW_ALREADY_EXISTS when a file is there, WINNOW_STORAGE */
export function makeFolder(path: string): void {
  // One by one: Node's recursive mkdir never returns where a file system reports that the parent of a new folder is missing
  // although it exists, as /proc does.
  const missing: string[] = [];
  for (let folder = path; !existsSync(folder); folder = dirname(folder)) missing.push(folder);
  for (const folder of missing.length > 0 ? missing.reverse() : [path]) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      if (existsSync(folder) && statSync(folder).isDirectory()) continue; // it existed, or another process was first
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST' && code !== 'ENOTDIR') throw storageError(path, error);
      throw new WinnowError('WINNOW_ALREADY_EXISTS', 'a file is where the index folder should be', {
        place: path,
        hint: 'name another folder',
      });
    }
  }
}

/** Makes an empty folder with mode 0700 in the place of whatever an interrupted run left there. */
export function makeEmptyFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Lets only the owner read an index file and its lock file. LMDB would let the group and others read them, too. */
export function makePrivate(file: string): void {
  for (const name of [file, lockFileOf(file)]) if (existsSync(name)) chmodSync(name, 0o600);
}

export const lockFileOf = (file: string): string => `${file}-lock`;
