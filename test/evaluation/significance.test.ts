import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { comparePaired, holm, studentTwoSided } from '../../evaluation/significance.ts';

const close = (actual: number, expected: number, within: number) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, expected ${expected}`);
const values = (numbers: readonly number[]) => new Map(numbers.map((value, i) => [`q${i}`, value]));

test("Student's tail equals SciPy's", () => {
  const known: [number, number, number][] = [
    [0.5, 1, 0.7048327646991335],
    [2, 4, 0.11611652351681556],
    [2.5, 30, 0.01811564906806669],
    [6, 200, 9.115120348810346e-9],
    [1.96, 100_000, 0.04999856319430168],
    [0, 7, 1],
  ];
  for (const [t, df, p] of known) close(studentTwoSided(t, df), p, p * 1e-9);
});

test('a paired comparison equals scipy.stats.ttest_rel and permutation_test', () => {
  // biome-ignore format: two rows of recorded values
  const a = [0.238, 0.544, 0.37, 0.604, 0.626, 0.066, 0.013, 0.837, 0.259, 0.234, 0.996, 0.47, 0.836, 0.476, 0.639, 0.151, 0.635, 0.868, 0.523, 0.741, 0.671, 0.064, 0.758, 0.591, 0.301];
  // biome-ignore format: as above
  const b = [0.583, 0.652, 0.185, 0.695, 0.848, -0.048, 0.195, 0.815, 0.36, 0.13, 1, 0.399, 0.952, 0.573, 0.769, 0.582, 0.491, 1, 0.517, 0.96, 0.616, 0.206, 0.637, 0.54, 0.538];
  const found = comparePaired(values(a), values(b));
  close(found.pStudent, 0.04201244657047072, 1e-10);
  close(found.interval95[0], 0.002639651234093765, 1e-9);
  close(found.interval95[1], 0.13208034876590624, 1e-9);
  close(found.pRandomisation, 0.04145, 0.003);
  assert.is(found.wins + found.losses, 25);
  assert.is(
    comparePaired(values(a), values(b)).pRandomisation,
    found.pRandomisation,
    'the seed fixes the value',
  );
});

test('few differing queries are enumerated: p is a count over all sign flips', () => {
  const found = comparePaired(values([0, 0, 0, 0.5]), values([0.1, 0.2, 0.3, 0.5]));
  assert.is(found.pRandomisation, 2 / 8);
  assert.is(found.ties, 1);
  assert.is(comparePaired(values([1, 2]), values([1, 2])).pRandomisation, 1);
  assert.is(comparePaired(new Map(), new Map()).queries, 0);
});

test('swapping the systems mirrors the result', () => {
  const score = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.array(fc.tuple(score, score), { minLength: 2, maxLength: 10 }), (pairs) => {
      const [a, b] = [values(pairs.map(([x]) => x)), values(pairs.map(([, y]) => y))];
      const [forth, back] = [comparePaired(a, b), comparePaired(b, a)];
      close(forth.difference, -back.difference, 1e-12);
      close(forth.pStudent, back.pStudent, 1e-9);
      close(forth.pRandomisation, back.pRandomisation, 1e-12);
      assert.is(forth.wins, back.losses);
    }),
    { numRuns: 100, verbose: 1 },
  );
});

test("Holm's correction multiplies by what is left and never falls", () => {
  assert.equal(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
  assert.equal(holm([0.9, 0.6]), [1, 1]);
  assert.equal(holm([]), []);
});

test.run();
