import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  forcedMergesOnly,
  logMergePolicy,
  MERGE_FACTOR,
  type MergeCandidate,
  type MergeRun,
} from '../../../indexer/merge/merge-policy.ts';
import { check } from '../../helpers/property.ts';

const test = suite('merge policy');

const GIB = 2 ** 30;

const candidates = (sizes: readonly Partial<MergeCandidate>[]): MergeCandidate[] =>
  sizes.map((size, number) => ({ number, numDocs: 100, numDeleted: 0, numBytes: 1000, ...size }));

const numbers = (runs: readonly MergeRun[]): number[][] => runs.map((run) => run.map(({ number }) => number));

const candidate: fc.Arbitrary<Partial<MergeCandidate>> = fc
  .record({
    numDocs: fc.integer({ min: 1, max: 3_000_000 }),
    deleted: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ numDocs, deleted }) => ({
    numDocs,
    numDeleted: Math.min(numDocs - 1, Math.floor(numDocs * deleted)),
    numBytes: numDocs * 700,
  }));

test('eight segments of one size are merged, seven are not', () => {
  const seven = candidates(Array(MERGE_FACTOR - 1).fill({}));
  assert.equal(numbers(logMergePolicy.findMerges(seven)), []);
  const eight = candidates(Array(MERGE_FACTOR).fill({}));
  assert.equal(numbers(logMergePolicy.findMerges(eight)), [[0, 1, 2, 3, 4, 5, 6, 7]]);
});

test('segments of another size tier do not count', () => {
  const sizes = [...Array(7).fill({}), { numDocs: 5000 }, ...Array(7).fill({ numDocs: 5000 })];
  assert.equal(numbers(logMergePolicy.findMerges(candidates(sizes))), [[7, 8, 9, 10, 11, 12, 13, 14]]);
});

test('a segment of which more than 40 % is deleted is rewritten on its own, a small one is not', () => {
  assert.equal(numbers(logMergePolicy.findMerges(candidates([{ numDeleted: 41 }]))), [[0]]);
  assert.equal(numbers(logMergePolicy.findMerges(candidates([{ numDeleted: 40 }]))), []);
  assert.equal(numbers(logMergePolicy.findMerges(candidates([{ numDocs: 64, numDeleted: 63 }]))), []);
});

test('segments that are too large together wait for a smaller one', () => {
  const large = { numDocs: 400_000, numBytes: 0.3 * GIB };
  const sizes = [...Array(8).fill(large), { ...large, numBytes: 0.1 * GIB }];
  assert.equal(numbers(logMergePolicy.findMerges(candidates(sizes))), []);
  const small = { numDocs: 300_000, numBytes: 0.1 * GIB };
  const enough = candidates([large, ...Array(8).fill(small)]);
  assert.equal(numbers(logMergePolicy.findMerges(enough)), [[0, 1, 2, 3, 4, 5, 6, 7]]);
});

test('forced merges leave one segment, or as few as two GiB per segment allow, and no deleted document', () => {
  assert.equal(numbers(logMergePolicy.findForcedMerges(candidates([{}, {}, {}]))), [[0, 1, 2]]);
  assert.equal(numbers(logMergePolicy.findForcedMerges(candidates([{}]))), []);
  assert.equal(numbers(logMergePolicy.findForcedMerges(candidates([{ numDeleted: 1 }]))), [[0]]);
  const large = { numDocs: 1000, numBytes: 1.5 * GIB };
  assert.equal(numbers(logMergePolicy.findForcedMerges(candidates([large, {}, large]))), [[0, 1]]);
});

test('no merge is larger than a segment may be, and no segment is in two merges', async () => {
  await check(
    fc.property(fc.array(candidate, { maxLength: 60 }), (sizes) => {
      const segments = candidates(sizes);
      for (const runs of [logMergePolicy.findMerges(segments), logMergePolicy.findForcedMerges(segments)]) {
        const all = numbers(runs).flat();
        assert.is(new Set(all).size, all.length);
        for (const run of runs.filter(({ length }) => length > 1)) {
          assert.equal(
            run.map(({ number }) => number),
            run.map(({ number }) => number).sort((a, b) => a - b),
            'oldest first',
          );
          const documents = run.reduce((sum, { numDocs, numDeleted }) => sum + numDocs - numDeleted, 0);
          assert.ok(documents <= 2 ** 22 && documents * 700 <= 2 ** 31 + run.length);
        }
      }
    }),
  );
});

test('a policy that merges only when forced', () => {
  const eight = candidates(Array(MERGE_FACTOR).fill({ numDeleted: 50 }));
  assert.equal(forcedMergesOnly.findMerges(eight), []);
  assert.is(forcedMergesOnly.findForcedMerges(eight).length, 1);
});

test.run();
