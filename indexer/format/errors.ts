import { WinnowError } from '../../errors.ts';

/** The error of every failed checksum or bounds check. @param place the part of the index that is damaged */
export function corrupt(place: string, message: string): WinnowError {
  return new WinnowError('WINNOW_INDEX_CORRUPT', message, {
    place,
    hint: 'drop what is damaged with `winnow doctor --repair --index DIR`, restore a snapshot, or delete the index folder and run `winnow index` again',
  });
}

/** The error of a file in the place of an index that is not an index, or of which nothing can be used any more. */
export function notAnIndex(file: string, message: string): WinnowError {
  return new WinnowError('WINNOW_INDEX_CORRUPT', `this is not an index: ${message}`, {
    place: file,
    hint: 'name the folder of an index, restore a snapshot with `winnow restore SNAPSHOT --index DIR --overwrite`, or delete the folder and run `winnow index` again',
  });
}

/** Whether an error says that something in an index is damaged, so that a repair may drop it. */
export const isDamage = (error: unknown): error is WinnowError =>
  error instanceof WinnowError && error.code === 'WINNOW_INDEX_CORRUPT';
