import { percentile } from '../evaluation/latency.ts';

/** Durations of calls in microseconds, and calls per second of one caller. */
export interface Latencies {
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p95Us: number;
  readonly p99Us: number;
  readonly qps: number;
}

/** One warm-up pass over n calls, then `passes` timed passes. @returns microseconds of every timed call, ascending */
export function time(n: number, call: (i: number) => unknown, passes: number): Float64Array {
  for (let i = 0; i < n; i++) call(i);
  const micros = new Float64Array(n * passes);
  for (let pass = 0; pass < passes; pass++) {
    for (let i = 0; i < n; i++) {
      const started = performance.now();
      call(i);
      micros[pass * n + i] = (performance.now() - started) * 1000;
    }
  }
  return micros.sort();
}

/** @param micros ascending; percentiles are nearest-rank, see {@link percentile} */
export function latencies(micros: Float64Array): Latencies {
  const mean = micros.reduce((sum, us) => sum + us, 0) / micros.length;
  return {
    meanUs: mean,
    p50Us: percentile(micros, 50),
    p95Us: percentile(micros, 95),
    p99Us: percentile(micros, 99),
    qps: 1e6 / mean,
  };
}
