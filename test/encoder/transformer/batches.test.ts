import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { splitIntoBatches } from '../../../encoder/transformer/batches.ts';
import { runs } from '../../kernels/helpers.ts';

const test = suite('batches');

test('batches hold every sequence once and keep their bounds', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 100 }),
      fc.integer({ min: 1, max: 9 }),
      (lengths, threads) => {
        const batches = splitIntoBatches(lengths, { tokens: 50, sequences: 7 }, threads);
        assert.equal(
          batches.flat().sort((a, b) => a - b),
          lengths.map((_, index) => index),
        );
        for (const batch of batches) {
          assert.ok(batch.length > 0 && batch.length <= 7);
          assert.ok(batch.reduce((sum, index) => sum + lengths[index]!, 0) <= 50);
        }
      },
    ),
    runs(50),
  );
});

test('few batches are equal, and as many for each thread: they differ by at most one sequence', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 64, max: 128 }), { minLength: 32, maxLength: 100 }),
      fc.integer({ min: 1, max: 8 }),
      (lengths, threads) => {
        const batches = splitIntoBatches(lengths, { tokens: 1024, sequences: 32 }, threads);
        fc.pre(batches.length <= 8 * threads);
        assert.is(batches.length % threads, 0);
        const tokens = batches.map((batch) => batch.reduce((sum, index) => sum + lengths[index]!, 0));
        assert.ok(Math.max(...tokens) - Math.min(...tokens) <= 128);
      },
    ),
    runs(50),
  );
});

test('a short text is not split, and few texts are spread over the threads', () => {
  const limits = { tokens: 1024, sequences: 32 };
  assert.equal(splitIntoBatches([9, 12], limits, 8), [[1, 0]]);
  assert.is(splitIntoBatches(new Array(16).fill(128), limits, 8).length, 8);
  assert.equal(splitIntoBatches([], limits, 2), []);
});

test.run();
