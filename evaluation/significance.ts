import { mulberry32 } from '../random.ts';

/**
 * Paired tests between two systems on the same queries (Smucker, Allan & Carterette, CIKM 2007: the randomisation and the
 * t-test agree, the sign and Wilcoxon tests should not be used) and Holm's correction for several comparisons.
 */

export interface PairedTest {
  /** Mean of b - a over the shared queries. */
  readonly difference: number;
  readonly queries: number;
  /** Queries where b is above, below, and level with a (within 1e-12). */
  readonly wins: number;
  readonly losses: number;
  readonly ties: number;
  /** Two-sided p of the sign-flip randomisation test, in (0, 1]. */
  readonly pRandomisation: number;
  /** Two-sided p of Student's paired t-test, in [0, 1]; 1 where all differences are equal to zero. */
  readonly pStudent: number;
  /** 95 % confidence interval of the difference by Student's t. */
  readonly interval95: readonly [number, number];
}

/**
 * Compares two systems query by query; queries that only one has are left out.
 *
 * @param rounds random sign flips, 100..1,000,000; default 100,000 (p is exact to about 0.0007 near 0.05). With up to 16
 *   differing queries all sign flips are enumerated instead.
 * @param seed of the flips, so that a report can be made again bit for bit
 */
export function comparePaired(
  a: ReadonlyMap<string, number>,
  b: ReadonlyMap<string, number>,
  { rounds = 100_000, seed = 1 }: { rounds?: number; seed?: number } = {},
): PairedTest {
  const deltas: number[] = [];
  for (const [id, value] of a) {
    const other = b.get(id);
    if (other !== undefined) deltas.push(other - value);
  }
  const n = deltas.length;
  const mean = n === 0 ? 0 : deltas.reduce((sum, delta) => sum + delta, 0) / n;
  const wins = deltas.filter((delta) => delta > 1e-12).length;
  const losses = deltas.filter((delta) => delta < -1e-12).length;
  const { p, interval } = studentPaired(deltas, mean);
  return {
    difference: mean,
    queries: n,
    wins,
    losses,
    ties: n - wins - losses,
    pRandomisation: randomisation(deltas, rounds, seed),
    pStudent: p,
    interval95: interval,
  };
}

/** Share of sign flips whose |sum| reaches the observed one; the observed arrangement counts as one of them. */
function randomisation(deltas: readonly number[], rounds: number, seed: number): number {
  const moving = Float64Array.from(deltas.filter((delta) => Math.abs(delta) > 1e-12));
  const observed = Math.abs(moving.reduce((sum, delta) => sum + delta, 0));
  // Sums in another order differ in the last bits; without slack equal sums would be missed.
  const reached = observed - 1e-9 * Math.max(1, observed);
  if (moving.length === 0) return 1;
  if (moving.length <= 16) {
    let extreme = 0;
    const arrangements = 2 ** moving.length;
    for (let signs = 0; signs < arrangements; signs++) {
      let sum = 0;
      for (let i = 0; i < moving.length; i++) sum += (signs >> i) & 1 ? moving[i]! : -moving[i]!;
      if (Math.abs(sum) >= reached) extreme++;
    }
    return extreme / arrangements;
  }
  const random = mulberry32(seed);
  let extreme = 0;
  for (let round = 0; round < rounds; round++) {
    let sum = 0;
    let bits = 0;
    for (let i = 0; i < moving.length; i++) {
      if ((i & 31) === 0) bits = random();
      sum += bits & 1 ? moving[i]! : -moving[i]!;
      bits >>>= 1;
    }
    if (Math.abs(sum) >= reached) extreme++;
  }
  return (extreme + 1) / (rounds + 1);
}

function studentPaired(deltas: readonly number[], mean: number): { p: number; interval: [number, number] } {
  const n = deltas.length;
  if (n < 2) return { p: 1, interval: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY] };
  const variance = deltas.reduce((sum, delta) => sum + (delta - mean) ** 2, 0) / (n - 1);
  const error = Math.sqrt(variance / n);
  if (error === 0) return { p: mean === 0 ? 1 : 0, interval: [mean, mean] };
  const half = studentQuantile95(n - 1) * error;
  return { p: studentTwoSided(Math.abs(mean / error), n - 1), interval: [mean - half, mean + half] };
}

/** P(|T| >= t) for Student's distribution with `df` degrees of freedom = I_x(df/2, 1/2), x = df / (df + t^2). */
export function studentTwoSided(t: number, df: number): number {
  return incompleteBeta(df / (df + t * t), df / 2, 0.5);
}

/** The t with P(|T| >= t) = .05, by bisection. */
function studentQuantile95(df: number): number {
  let low = 0;
  let high = 1000;
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (studentTwoSided(middle, df) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}

/** Regularised incomplete beta function by Lentz's continued fraction (Numerical Recipes, section 6.4), ~1e-12. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  // The fraction converges fast only below the mean of the distribution; use the symmetry above it.
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(x, a, b)) / a
    : 1 - (front * betaFraction(1 - x, b, a)) / b;
}

function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const guard = (value: number) => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / guard(1 - ((a + b) * x) / (a + 1));
  let h = d;
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    h *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return h;
}

// Lanczos approximation, g = 7, n = 9: relative error below 1e-14 for positive arguments.
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const shifted = x - 1;
  const base = shifted + 7.5;
  let sum = LANCZOS[0]!;
  for (let i = 1; i < LANCZOS.length; i++) sum += LANCZOS[i]! / (shifted + i);
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(sum);
}

/**
 * Holm's step-down correction: the family-wise error stays below alpha whatever the dependence.
 *
 * @returns adjusted p-values in the order given; reject where they are below alpha
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((i, j) => pValues[i]! - pValues[j]!);
  const adjusted = new Array<number>(pValues.length);
  let highest = 0;
  order.forEach((index, step) => {
    highest = Math.max(highest, Math.min(1, (pValues.length - step) * pValues[index]!));
    adjusted[index] = highest;
  });
  return adjusted;
}
