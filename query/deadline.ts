/**
 * The end of a search's time budget. Work that cannot be interrupted compares its estimated cost with the remaining time before it
 * starts. Everything else, search kernels included, checks between small steps.
 */
export class Deadline {
  /** On the clock of `performance.now()`; Infinity without a budget. */
  private readonly at: number;

  /** @param budgetMs milliseconds from now; undefined: no end */
  constructor(budgetMs: number | undefined) {
    this.at = budgetMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + budgetMs;
  }

  get isPast(): boolean {
    return this.remainingUs <= 0;
  }

  /** Microseconds that are left; Infinity without a budget. */
  get remainingUs(): number {
    return this.at === Number.POSITIVE_INFINITY ? this.at : (this.at - performance.now()) * 1000;
  }

  /** What a search kernel is given. It runs once even where nothing is left, to report that it was not through. */
  get kernelBudgetUs(): number | undefined {
    return this.at === Number.POSITIVE_INFINITY ? undefined : Math.max(1, this.remainingUs);
  }

  /** Whether work of an estimated cost in microseconds ends before the budget does. */
  affords(costUs: number): boolean {
    return costUs <= this.remainingUs;
  }
}

/** For work without a budget. */
export const NO_DEADLINE = new Deadline(undefined);
