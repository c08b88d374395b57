import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packSections, unpackSections } from '../../../indexer/format/sections.ts';
import { compareUtf8, encodeStrings, StringTable } from '../../../indexer/format/string-table.ts';
import { forEachInList, openPostingLists } from '../../../indexer/postings/posting-list-reader.ts';
import { buildPostingLists } from '../../../indexer/postings/posting-list-writer.ts';
import { check } from '../../helpers/property.ts';

const test = suite('index format');

test('the worked example of FORMAT.md has the bytes that it shows', () => {
  const rows = {
    rowOffsets: Uint32Array.of(0, 1, 1, 2),
    columnIds: Uint32Array.of(0, 0),
    values: Uint8Array.of(5, 9),
  };
  const { bytes, directoryBytes } = buildPostingLists(rows, 1);
  const words = new Uint32Array(bytes.buffer);
  assert.is(bytes.length, 0x1c0);
  assert.is(directoryBytes, 0x180);
  assert.equal([...words.subarray(0, 5)], [1, 1, 3, 0, 1]);
  assert.is(words[0x80 / 4], 2);
  assert.is(words[0x100 / 4], 0);
  assert.equal([...bytes.subarray(0x180, 0x184)], [5, 0, 9, 0]);
});

const row = fc.uniqueArray(fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 255 })), {
  maxLength: 12,
  selector: ([list]) => list,
});

test('posting lists give back the rows they were built from, dense or not', async () => {
  await check(
    fc.property(fc.array(row, { minLength: 1, maxLength: 80 }), (rows) => {
      const sorted = rows.map((row) => [...row].sort(([a], [b]) => a - b));
      const offsets = new Uint32Array(rows.length + 1);
      sorted.forEach((row, i) => {
        offsets[i + 1] = offsets[i]! + row.length;
      });
      const flat = sorted.flat();
      const input = {
        rowOffsets: offsets,
        columnIds: Uint32Array.from(flat, ([list]) => list),
        values: Uint8Array.from(flat, ([, value]) => value),
      };
      const lists = openPostingLists(buildPostingLists(input, 21).bytes, 'test');
      const back: number[][][] = rows.map(() => []);
      for (let list = 0; list < 21; list++) {
        let count = 0;
        forEachInList(lists, list, (docId, value) => {
          count++;
          back[docId]!.push([list, value]);
        });
        assert.is(count, lists.documentFrequency(list));
      }
      assert.equal(back, sorted);
    }),
  );
});

test('the k-th largest value of a list is stored for k = 10, 100 and 1000', () => {
  const counts = [9, 10, 250];
  const lists = Uint32Array.from(counts.flatMap((count, list) => new Array<number>(count).fill(list)));
  const values = Uint8Array.from(counts.flatMap((count) => Array.from({ length: count }, (_, i) => i + 1)));
  const offsets = Uint32Array.from({ length: lists.length + 1 }, (_, i) => i);
  const opened = openPostingLists(
    buildPostingLists({ rowOffsets: offsets, columnIds: lists, values }, 3).bytes,
    'test',
  );
  const expected = [
    [0, 0, 0],
    [1, 0, 0],
    [241, 151, 0],
  ];
  expected.forEach((row, list) => {
    assert.equal(
      [3, 50, 1000].map((k) => opened.kthValue(list, k)),
      row,
    );
    assert.is(opened.kthValue(list, 1001), 0);
  });
});

test('documents beyond 65,536 fall into further chunks', () => {
  const numDocs = 140_000;
  const offsets = Uint32Array.from({ length: numDocs + 1 }, (_, i) => Math.ceil(i / 100));
  const total = offsets[numDocs]!;
  const input = {
    rowOffsets: offsets,
    columnIds: new Uint32Array(total),
    values: new Uint8Array(total).fill(3),
  };
  const lists = openPostingLists(buildPostingLists(input, 1).bytes, 'test');
  assert.is(lists.numChunks, 3);
  const docIds: number[] = [];
  forEachInList(lists, 0, (docId) => docIds.push(docId));
  assert.equal(
    docIds,
    Array.from({ length: total }, (_, i) => i * 100),
  );
});

test('sections and string tables give back what they were given', async () => {
  await check(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 }),
      fc.array(fc.string({ unit: 'binary', maxLength: 9 })),
      (sections, strings) => {
        assert.equal(
          unpackSections(packSections(sections), 'test').map((section) => [...section]),
          sections.map((section) => [...section]),
        );
        const sorted = [...new Set(strings.map((text) => text.replace(/[\ud800-\udfff]/g, '')))].sort(
          compareUtf8,
        );
        const [offsets, bytes] = encodeStrings(sorted);
        const table = new StringTable(offsets, bytes, 'test');
        assert.equal(table.toArray(), sorted);
        sorted.forEach((text, i) => {
          assert.is(table.find(text), i);
        });
        assert.is(table.find('no such string'), -1);
      },
    ),
  );
});

test.run();
