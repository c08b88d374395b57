import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ensemble, QUESTION_SHARES, SPAN_SHARES } from '../../../app/training/ensemble.ts';
import { check } from '../../helpers/property.ts';

const test = suite('ensemble of judges');
const JUDGES = ['bm25', 'vector', 'cross'] as const;
const score = fc.option(fc.integer({ min: -50, max: 50 }), { nil: undefined });
const documents = fc.array(fc.record({ bm25: score, vector: score, cross: score }), {
  minLength: 1,
  maxLength: 12,
});

test('shares add up to 1', () => {
  for (const shares of [SPAN_SHARES, QUESTION_SHARES])
    assert.ok(Math.abs(JUDGES.reduce((sum, judge) => sum + shares[judge], 0) - 1) < 1e-12);
});

test('scores are the mean of min-max normalised judges, whatever their scales', () =>
  check(
    fc.property(documents, fc.integer({ min: 1, max: 9 }), (docs, scale) => {
      const given = docs as Parameters<typeof ensemble>[0];
      const scores = ensemble(given, SPAN_SHARES);
      for (const [i, one] of scores.entries()) {
        assert.ok(one >= 0 && one <= 1 + 1e-12);
        // By the definition, document by document.
        let sum = 0;
        let used = 0;
        for (const judge of JUDGES) {
          const known = given.flatMap((d) => (d[judge] === undefined ? [] : [d[judge]!]));
          const range = known.length === 0 ? 0 : Math.max(...known) - Math.min(...known);
          if (range === 0) continue;
          used += SPAN_SHARES[judge];
          const value = given[i]![judge];
          if (value !== undefined) sum += (SPAN_SHARES[judge] * (value - Math.min(...known))) / range;
        }
        assert.ok(Math.abs(one - (used === 0 ? 0 : sum / used)) < 1e-9);
      }
      const moved = given.map(({ cross, ...rest }) => ({
        ...rest,
        ...(cross === undefined ? {} : { cross: cross * scale + 3 }),
      }));
      for (const [i, one] of ensemble(moved, SPAN_SHARES).entries())
        assert.ok(Math.abs(one - scores[i]!) < 1e-6);
    }),
  ));

test('a judge that says nothing leaves its share to the others', () => {
  assert.equal(
    ensemble([{ bm25: 2 }, { bm25: 4 }, { bm25: 3 }], SPAN_SHARES).map((score) => +score.toFixed(9)),
    [0, 1, 0.5],
  );
  assert.equal(ensemble([{ cross: 1 }, { cross: 1 }], SPAN_SHARES), [0, 0]);
  assert.equal(ensemble([], SPAN_SHARES), []);
});

test.run();
