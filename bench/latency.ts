/** Microseconds of calls, and calls a second of one caller. */
export interface Latencies {
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p95Us: number;
  readonly p99Us: number;
  readonly qps: number;
}

/** One warm-up pass over n calls, then timed ones. @returns microseconds of every timed call, rising */
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

/** @param micros rising */
export function latencies(micros: Float64Array): Latencies {
  const mean = micros.reduce((sum, us) => sum + us, 0) / micros.length;
  const at = (share: number): number =>
    micros[Math.min(micros.length - 1, Math.floor(share * micros.length))]!;
  return { meanUs: mean, p50Us: at(0.5), p95Us: at(0.95), p99Us: at(0.99), qps: 1e6 / mean };
}
