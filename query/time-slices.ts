import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work that may be done before others get a turn, in ms. */
const SLICE_MS = 4;

/** Cuts long work on the calling thread into slices, so that searches come between two of them. */
export class TimeSlices {
  private end = performance.now() + SLICE_MS;

  /** Call it between two steps of the work: gives the event loop a turn where the slice is over. */
  async pause(): Promise<void> {
    if (performance.now() < this.end) return;
    await nextTurn();
    this.end = performance.now() + SLICE_MS;
  }
}
