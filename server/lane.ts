import { setImmediate as nextTurn } from 'node:timers/promises';
import { WinnowError } from '../errors.ts';

/** Runs actions one after another in the order they come, and refuses those beyond `maxWaiting`. */
export class Lane {
  private last: Promise<unknown> = Promise.resolve();
  private pending = 0;
  private readonly name: string;
  private readonly maxPending: number;

  /** @param name what waits, in the plural, for the error message */
  constructor(name: string, maxWaiting: number) {
    this.name = name;
    this.maxPending = maxWaiting + 1;
  }

  /**
   * Between two actions the event loop has a turn, so that whatever arrived meanwhile is answered first.
   *
   * @throws WinnowError WINNOW_BUSY
   */
  async run<T>(action: () => T | Promise<T>): Promise<T> {
    if (this.pending >= this.maxPending) throw busy(`${this.pending} ${this.name} are waiting already`);
    this.pending++;
    const result = this.last.then(async () => {
      await nextTurn();
      return action();
    });
    this.last = result.catch(() => {});
    try {
      return await result;
    } finally {
      this.pending--;
    }
  }
}

export const busy = (message: string): WinnowError =>
  new WinnowError('WINNOW_BUSY', message, { hint: 'send it again after the time in the header retry-after' });
