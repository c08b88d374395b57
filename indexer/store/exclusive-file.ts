import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { WinnowError } from '../../errors.ts';

/** Time that others wait for the action of one process, in ms; actions take less than one. */
const WAIT_MS = 5_000;
const PAUSE_MS = 5;

/**
 * Runs a short action while no other process runs one under the same guard file. What a process that was killed meanwhile left
 * behind is removed after {@link WAIT_MS}.
 *
 * @throws WinnowError WINNOW_INDEX_IN_USE, and what the action throws
 */
export function exclusively<T>(guard: string, action: () => T): T {
  const end = performance.now() + 2 * WAIT_MS;
  while (!claimed(guard)) {
    if (performance.now() > end)
      throw new WinnowError('WINNOW_INDEX_IN_USE', 'other processes keep this file to themselves', {
        place: guard,
        hint: 'remove it if no winnow is running',
      });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
  try {
    return action();
  } finally {
    rmSync(guard, { force: true });
  }
}

function claimed(guard: string): boolean {
  try {
    closeSync(openSync(guard, 'wx', 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const made = statSync(guard, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Date.now() - made > WAIT_MS) rmSync(guard, { force: true });
    return false;
  }
}
