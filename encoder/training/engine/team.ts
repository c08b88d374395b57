import { WinnowError } from '../../../errors.ts';

/** Words of shared memory that a team needs. */
export const TEAM_WORDS = 4;

const [ARRIVED, GENERATION, NEXT_ITEM, FAILED] = [0, 1, 2, 3];

/** Looks at the generation before a thread sleeps: a wait of some 20 us is shorter than waking up. */
const SPINS = 2000;

/**
 * The threads of one run, which all execute the same steps. Work is divided into items, which the threads take one after another; an
 * item's result must not depend on who takes it, so results do not depend on the number of threads.
 */
export class Team {
  readonly size: number;
  /** 0 .. size - 1. */
  readonly index: number;
  readonly #words: Int32Array;

  /** @param words {@link TEAM_WORDS} words, 0 at the start, that all threads share */
  constructor(words: Int32Array, index: number, size: number) {
    this.#words = words;
    this.index = index;
    this.size = size;
  }

  /** Runs `step(item)` for 0 .. items - 1, each on one thread; returns when all are done. */
  each(items: number, step: (item: number) => void): void {
    if (this.size === 1) {
      for (let item = 0; item < items; item++) step(item);
      return;
    }
    try {
      for (;;) {
        const item = Atomics.add(this.#words, NEXT_ITEM, 1);
        if (item >= items) break;
        step(item);
      }
    } catch (error) {
      // The others must not wait for this thread without end.
      Atomics.store(this.#words, FAILED, 1);
      Atomics.add(this.#words, GENERATION, 1);
      Atomics.notify(this.#words, GENERATION);
      throw error;
    }
    this.#meet();
  }

  /** Runs `step` on one thread while the others wait. */
  once(step: () => void): void {
    this.each(1, step);
  }

  #meet(): void {
    const words = this.#words;
    const generation = Atomics.load(words, GENERATION);
    if (Atomics.add(words, ARRIVED, 1) === this.size - 1) {
      Atomics.store(words, ARRIVED, 0);
      Atomics.store(words, NEXT_ITEM, 0);
      Atomics.add(words, GENERATION, 1);
      Atomics.notify(words, GENERATION);
    } else {
      for (let spin = 0; spin < SPINS && Atomics.load(words, GENERATION) === generation; spin++);
      while (Atomics.load(words, GENERATION) === generation) Atomics.wait(words, GENERATION, generation);
    }
    if (Atomics.load(words, FAILED) !== 0)
      throw new WinnowError('WINNOW_SERVER', 'another training thread failed', { place: 'training' });
  }
}
