import { WinnowError } from '../../errors.ts';

/** The error with which an action fails. @throws the error itself when it is no WinnowError */
export async function thrownBy(action: () => unknown): Promise<WinnowError> {
  try {
    await action();
  } catch (error) {
    if (error instanceof WinnowError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Code and place of the error with which an action fails, as 'WINNOW_BAD_ARGUMENT k'. */
export async function codeOf(action: () => unknown): Promise<string> {
  const { code, place } = await thrownBy(action);
  return `${code} ${place}`;
}
