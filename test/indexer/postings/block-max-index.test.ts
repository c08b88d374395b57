import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checksum } from '../../../indexer/format/checksum.ts';
import { openBlockMaxIndex } from '../../../indexer/postings/block-max-index.ts';
import { buildBlockMaxIndex } from '../../../indexer/postings/block-max-writer.ts';
import { openPostingLists } from '../../../indexer/postings/posting-list-reader.ts';
import { buildPostingLists } from '../../../indexer/postings/posting-list-writer.ts';
import { randomSource } from '../../../random.ts';
import { check } from '../../helpers/property.ts';

const test = suite('block maxima');
const NUM_LISTS = 6;

function lists(numDocs: number, seed: number) {
  const random = randomSource(seed);
  const offsets = new Uint32Array(numDocs + 1);
  const rows: number[] = [];
  for (let docId = 0; docId < numDocs; docId++) {
    for (let list = 0; list < NUM_LISTS; list++) if (random() < 3 ** -list) rows.push(list);
    offsets[docId + 1] = rows.length;
  }
  const values = Uint8Array.from(rows, () => 1 + Math.floor(random() * 255));
  return openPostingLists(
    buildPostingLists({ rowOffsets: offsets, columnIds: Uint32Array.from(rows), values }, NUM_LISTS).bytes,
    'test',
  );
}

const postings = lists(9000, 3);
const { bytes, directoryBytes } = buildBlockMaxIndex(postings);

test('every flipped bit that a search could read is noticed, by the directory checksum or by that of a list', async () => {
  // Bytes between the arrays are read by nobody.
  const used = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) used[at] = bytes[at]! > 0 ? 1 : 0;
  const places = [...used.keys()].filter((at) => used[at]);
  const directory = checksum(bytes.subarray(0, directoryBytes));
  await check(
    fc.property(fc.constantFrom(...places), fc.nat(7), (at, bit) => {
      const damaged = bytes.slice();
      damaged[at]! ^= 1 << bit;
      if (at < directoryBytes) {
        assert.is.not(checksum(damaged.subarray(0, directoryBytes)), directory);
        return;
      }
      const opened = openBlockMaxIndex(damaged, postings, 'test');
      const noticed = Array.from({ length: NUM_LISTS }, (_, list) => {
        try {
          opened.verify(list);
          return false;
        } catch (error) {
          assert.is((error as { code: string }).code, 'WINNOW_INDEX_CORRUPT');
          return true;
        }
      });
      assert.ok(noticed.some(Boolean));
    }),
    { numRuns: 300 },
  );
});

test('bytes that are cut short or belong to other lists are refused', () => {
  for (const broken of [bytes.subarray(0, 60), bytes.subarray(0, -64)])
    assert.throws(
      () => openBlockMaxIndex(broken, postings, 'test'),
      (e: { code: string }) => e.code === 'WINNOW_INDEX_CORRUPT',
    );
  assert.throws(
    () => openBlockMaxIndex(bytes, lists(9001, 3), 'test'),
    (e: { code: string }) => e.code === 'WINNOW_INDEX_CORRUPT',
  );
});

test.run();
