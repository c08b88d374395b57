import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { WinnowError } from '../../../errors.ts';

/** Waits until the names in a folder are on disk. */
export function syncFolder(folder: string): void {
  // Windows has no handle of a folder to sync.
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Replaces a file as a whole: after a crash at any moment it is the old one or the new one.
 *
 * @throws WinnowError WINNOW_STORAGE
 */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  const partial = `${path}.partial`;
  try {
    const descriptor = openSync(partial, 'w');
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(partial, path);
    syncFolder(dirname(path));
  } catch (cause) {
    throw new WinnowError('WINNOW_STORAGE', 'the file cannot be written', {
      place: path,
      hint: 'look at the free space and the rights of the folder',
      cause,
    });
  }
}
