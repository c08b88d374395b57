import { WinnowError } from '../../errors.ts';
import { corrupt } from '../format/errors.ts';

/** Runs a storage call and turns LMDB's and the file system's errors into coded ones. */
export function withStorageErrors<T>(place: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw storageError(place, cause);
  }
}

/** LMDB's codes for a limit that is reached (MDB_MAP_FULL to MDB_PAGE_FULL). Its other codes mean a file that it cannot read. */
const LMDB_LIMITS = { lowest: -30_792, highest: -30_786 };
/** The code of a system call that LMDB makes with the offsets of a damaged file. */
const EINVAL = 22;

/** @returns WinnowError WINNOW_STORAGE where the system refused, WINNOW_INDEX_CORRUPT where the file cannot be read */
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
