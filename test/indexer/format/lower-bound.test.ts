import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lowerBound } from '../../../indexer/format/lower-bound.ts';
import { check } from '../../helpers/property.ts';

const test = suite('lower bound');

test('is the first index that is not before the value, as a linear search finds it', async () => {
  await check(
    fc.property(fc.array(fc.nat(30)), fc.nat(31), (values, wanted) => {
      const sorted = values.sort((a, b) => a - b);
      const expected = sorted.findIndex((value) => value >= wanted);
      const found = lowerBound(sorted.length, (index) => sorted[index]! < wanted);
      assert.is(found, expected < 0 ? sorted.length : expected);
    }),
  );
});

test.run();
