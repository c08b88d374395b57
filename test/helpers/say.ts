import { writeSync } from 'node:fs';

/**
 * Prints at once: what was said is in the pipe even if this process is killed in the next instruction. Waits when the pipe is
 * full.
 */
export function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
