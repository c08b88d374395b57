import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Splittable, splitQueries } from '../../../app/training/split.ts';
import { sameQuery } from '../../../corpus/judged-queries.ts';
import { shuffled } from '../../../random.ts';
import { check } from '../../helpers/property.ts';

const test = suite('held-out split');

const queries = fc.array(
  fc.record({
    query: fc.integer({ min: 0, max: 60 }).map((n) => (n % 3 === 0 ? `Query  ${n}` : `query ${n}`)),
    about: fc.array(
      fc.integer({ min: 0, max: 40 }).map((n) => `d${n}`),
      { maxLength: 3 },
    ),
  }),
  { maxLength: 60 },
);
const keys = ({ query, about }: Splittable): string[] => [sameQuery(query), ...about.map((id) => `#${id}`)];

test('no query and no document is on two sides, and no query is lost', () =>
  check(
    fc.property(
      queries,
      fc.nat(20),
      fc.nat(20),
      fc.nat(1000),
      (all: Splittable[], validation, testing, seed) => {
        const split = splitQueries(all, { validation, test: testing, seed });
        const sides = [split.train, split.validation, split.test];
        const of = sides.map((side) => new Set(side.flatMap(keys)));
        for (const [a, b] of [
          [0, 1],
          [0, 2],
          [1, 2],
        ] as const)
          for (const key of of[a]!) assert.not(of[b]!.has(key), `${key} is on two sides`);
        const kept = [...sides.flat(), ...split.dropped];
        assert.is(kept.length, all.length);
        assert.equal(new Set(kept), new Set(all));
        assert.ok(split.validation.length <= Math.max(validation, 0));
        assert.ok(split.test.length <= Math.max(testing, 0));
        assert.equal(splitQueries(all, { validation, test: testing, seed }), split);
      },
    ),
    { numRuns: 300 },
  ));

test('queries of their own documents are held out as wanted, and nothing is dropped', () => {
  const all = Array.from({ length: 100 }, (_, i) => ({ query: `q${i}`, about: [`d${i}`] }));
  const { train, validation, test, dropped } = splitQueries(all, { validation: 10, test: 20, seed: 3 });
  assert.equal([train.length, validation.length, test.length, dropped.length], [70, 10, 20, 0]);
});

test('where a document joins all queries, some are held out and the others are dropped or kept whole', () => {
  // A chain: every query shares a document with the next one.
  const all = Array.from({ length: 100 }, (_, i) => ({ query: `q${i}`, about: [`d${i}`, `d${i + 1}`] }));
  const { train, validation, test, dropped } = splitQueries(all, { validation: 10, test: 10, seed: 3 });
  assert.ok(test.length >= 5 && validation.length >= 5, `${test.length}, ${validation.length}`);
  assert.ok(train.length >= 50, `${train.length} left, ${dropped.length} dropped`);
  const star = all.map(({ query }) => ({ query, about: ['hub'] }));
  const whole = splitQueries(star, { validation: 10, test: 10, seed: 3 });
  assert.equal([whole.train.length, whole.test.length, whole.dropped.length], [100, 0, 0]);
});

test('shuffling keeps all items and depends on the seed', () => {
  const items = Array.from({ length: 50 }, (_, i) => i);
  assert.equal(
    [...shuffled(items, 1)].sort((a, b) => a - b),
    items,
  );
  assert.equal(shuffled(items, 1), shuffled(items, 1));
  assert.not.equal(shuffled(items, 1), shuffled(items, 2));
});

test.run();
