import { shuffled } from '../../../random.ts';

/** Which examples each step takes: epochs of shuffled examples one after another, cut into equal batches. */
export class BatchOrder {
  readonly #examples: number;
  readonly #batchSize: number;
  readonly #seed: number;
  #epoch = -1;
  #order: readonly number[] = [];

  constructor(examples: number, batchSize: number, seed: number) {
    this.#examples = examples;
    this.#batchSize = Math.min(batchSize, examples);
    this.#seed = seed;
  }

  /** Numbers of the examples of a step. They depend on the seed and the step alone. */
  batch(step: number): number[] {
    return Array.from({ length: this.#batchSize }, (_, i) => {
      const place = step * this.#batchSize + i;
      return this.#orderOf(Math.floor(place / this.#examples))[place % this.#examples]!;
    });
  }

  #orderOf(epoch: number): readonly number[] {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = shuffled([...Array(this.#examples).keys()], this.#seed * 1_000_003 + epoch);
    }
    return this.#order;
  }
}
