/** Percentiles of a search's duration in microseconds. */
export interface LatencySummary {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly mean: number;
  /** Number of timed searches. */
  readonly samples: number;
}

/** Nearest-rank percentile of sorted values: the smallest value that at least `p` percent do not exceed. */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  if (sorted.length === 0) return Number.NaN;
  const rank = Math.ceil((p / 100) * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!;
}

/** @param micros durations in microseconds, in any order; undefined for none */
export function summarizeLatency(micros: ArrayLike<number>): LatencySummary | undefined {
  if (micros.length === 0) return undefined;
  const sorted = Float64Array.from(micros).sort();
  const round = (value: number) => Math.round(value * 10) / 10;
  return {
    p50: round(percentile(sorted, 50)),
    p95: round(percentile(sorted, 95)),
    p99: round(percentile(sorted, 99)),
    mean: round(sorted.reduce((sum, value) => sum + value, 0) / sorted.length),
    samples: sorted.length,
  };
}
