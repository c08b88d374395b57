import type { SearchResponse, SearchTimings } from '../response.ts';

/** Measures the stages of one search, which follow one another. */
export class StageClock {
  /** On the clock of `performance.now()`. */
  readonly started = performance.now();
  private last = this.started;
  private readonly stages: { -readonly [Stage in keyof SearchTimings]: number } = {
    encodeUs: 0,
    searchUs: 0,
    hydrateUs: 0,
  };

  /** The time since the call before, or since the start, was spent on this stage. */
  lap(stage: keyof SearchTimings): void {
    const now = performance.now();
    this.stages[stage] = (now - this.last) * 1000;
    this.last = now;
  }

  /** From the start until the last {@link lap}. */
  times(): Pick<SearchResponse, 'tookUs' | 'timings'> {
    return { tookUs: (this.last - this.started) * 1000, timings: this.stages };
  }
}
