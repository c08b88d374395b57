import * as assert from 'uvu/assert';

/** Time of this process, so that others on the machine do not count; the best of three runs, in milliseconds. */
async function cpuMillis(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

/**
 * Fails when `work` takes more than linear time for texts of n, 2n and 4n. Quadratic time would be sixteen times as long at 4n;
 * the constant covers garbage collection and compilation.
 */
export async function assertLinear(
  shapes: Readonly<Record<string, (n: number) => string>>,
  n: number,
  work: (text: string) => Promise<unknown>,
): Promise<void> {
  for (const [name, shape] of Object.entries(shapes)) {
    await work(shape(n)); // compiled by now
    const times: number[] = [];
    for (const factor of [1, 2, 4]) {
      const text = shape(factor * n);
      times.push(await cpuMillis(() => work(text)));
    }
    const [once, , fourTimes] = times as [number, number, number];
    assert.ok(fourTimes < 8 * once + 200, `${name}: ${times.map((time) => time.toFixed(0)).join(', ')} ms`);
  }
}
