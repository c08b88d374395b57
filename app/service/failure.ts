import { isAbsolute } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { withoutPaths } from '../without-paths.ts';
import type { Failure } from './types.ts';

/** An error as a part of an answer or of a stored task. What is no WinnowError is the program's own fault, and says only that. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof WinnowError))
    return { code: 'WINNOW_SERVER', message: 'this failed inside the server; its log has the details' };
  const { code, message, place, hint } = error;
  return { code, message, ...(place ? { place } : {}), ...(hint ? { hint } : {}) };
}

/** As {@link failureOf}, for answers: without paths of this machine. */
export function shownFailure(error: unknown): Failure {
  const { code, message, place, hint } = failureOf(error);
  const shown = (text: string) => withoutPaths(text, place);
  return {
    code,
    message: shown(message),
    ...(place && !isAbsolute(place) ? { place: shown(place) } : {}),
    ...(hint ? { hint: shown(hint) } : {}),
  };
}
