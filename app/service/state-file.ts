import { existsSync, readFileSync } from 'node:fs';
import { replaceFile } from '../../durable-files.ts';
import { WinnowError } from '../../errors.ts';
import { withStorageErrors } from '../../indexer/store/storage-errors.ts';

/**
 * Replaces a small JSON file as a whole: after a crash at any moment it holds the value before or the new one. When the call
 * returns, the new one is on disk. Only its owner can read it.
 *
 * @throws WinnowError WINNOW_STORAGE
 */
export function writeState(file: string, value: unknown): void {
  withStorageErrors(file, () => replaceFile(file, `${JSON.stringify(value, null, 2)}\n`, 0o600));
}

/**
 * @returns undefined where there is no such file
 * @throws WinnowError WINNOW_INDEX_CORRUPT for a file that is no JSON, WINNOW_STORAGE
 */
export function readState(file: string): unknown {
  if (!existsSync(file)) return undefined;
  const text = withStorageErrors(file, () => readFileSync(file, 'utf8'));
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw damagedState(file, `it is no JSON: ${(cause as Error).message}`, cause);
  }
}

export const damagedState = (file: string, message: string, cause?: unknown): WinnowError =>
  new WinnowError('WINNOW_INDEX_CORRUPT', `this file cannot be used: ${message}`, {
    place: file,
    hint: 'put back a copy of it; the collections beside it are untouched',
    cause,
  });
