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

/** Code and message of the error that an action throws at once, as 'WINNOW_MODEL_INVALID the file is cut short'. */
export function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return `${(error as WinnowError).code} ${(error as WinnowError).message}`;
  }
  return 'nothing was thrown';
}

/** Code and place of the error with which an action fails, as 'WINNOW_BAD_ARGUMENT k'. */
export async function codeOf(action: () => unknown): Promise<string> {
  const { code, place } = await thrownBy(action);
  return `${code} ${place}`;
}
