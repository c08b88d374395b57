/**
 * Mulberry32 (T. Ettinger), a small generator with 32 bits of state: the same sequence on every machine, good enough for sign
 * flips, shuffles and test data, not for secrets.
 *
 * @returns a function that gives the next integer in 0 .. 2^32 - 1
 */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** {@link mulberry32} as fractions. @returns a function that gives the next number in [0, 1) */
export function randomSource(seed: number): () => number {
  const next = mulberry32(seed);
  return () => next() / 2 ** 32;
}

/** Fisher and Yates' shuffle of a copy; the order depends on the seed alone. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = randomSource(seed);
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j]!, copy[i]!];
  }
  return copy;
}
