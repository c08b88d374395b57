import { replaceFile } from '../../../durable-files.ts';
import { WinnowError } from '../../../errors.ts';

/** As {@link replaceFile}. @throws WinnowError WINNOW_STORAGE */
export function writeAtomically(path: string, bytes: Uint8Array): void {
  try {
    replaceFile(path, bytes);
  } catch (cause) {
    throw new WinnowError('WINNOW_STORAGE', 'the file cannot be written', {
      place: path,
      hint: 'look at the free space and the rights of the folder',
      cause,
    });
  }
}
