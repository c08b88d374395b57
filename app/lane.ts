import { setImmediate as nextTurn } from 'node:timers/promises';
import { WinnowError } from '../errors.ts';

/** Runs actions one after another in the order of their calls, and refuses those beyond `maxWaiting` queued ones. */
export class Lane {
  private last: Promise<unknown> = Promise.resolve();
  private pending = 0;
  readonly name: string;
  private readonly maxPending: number;

  /** @param name of the actions, in the plural, for the error message */
  constructor(name: string, maxWaiting: number) {
    this.name = name;
    this.maxPending = maxWaiting + 1;
  }

  /** Actions that run or wait. */
  get length(): number {
    return this.pending;
  }

  /**
   * The event loop gets a turn between two actions, so that requests that arrived meanwhile are answered first.
   *
   * @param patient waits however many are before it; for work that nobody waits for
   * @throws WinnowError WINNOW_BUSY
   */
  async run<T>(action: () => T | Promise<T>, patient = false): Promise<T> {
    if (!patient && this.pending >= this.maxPending)
      throw busy(`${this.pending} ${this.name} are waiting already`);
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
