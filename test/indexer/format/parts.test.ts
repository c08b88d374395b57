import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ALL_KINDS, PART_NAMES, PartKind, segmentKey, segmentOfKey } from '../../../indexer/format/parts.ts';

const test = suite('parts');

test('keys and kinds on disk are what FORMAT.md says', () => {
  assert.equal(ALL_KINDS, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.is(segmentKey(5, PartKind.InText), 89);
  assert.is(segmentOfKey(89), 5);
  assert.is(segmentOfKey(segmentKey(7, 15)), 7);
});

test('names in statistics stay what reports select parts by', () => {
  assert.equal(
    Object.values(PART_NAMES).sort().join(' '),
    'dense documents fields forward impacts intext lexical maxima terms words',
  );
});

test.run();
