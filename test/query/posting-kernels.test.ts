import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { randomSource } from '../../bench/vectors.ts';
import { buildPostingLists, openPostingLists } from '../../indexer/posting-lists.ts';
import { availableKernels } from '../../kernels/index.ts';
import { postingSearch } from '../../kernels/posting-search.ts';
import { exactScan, WINDOW_DOCS } from '../../query/exact-scan.ts';
import { TopK } from '../../query/top-k.ts';
import { check } from '../helpers/property.ts';

const test = suite('posting kernels');
const NUM_LISTS = 9;
const backends = availableKernels().filter((name) => name !== 'reference');

/**
 * Lists of very different lengths: list l occurs in about 1 / 2^l of the documents, so the first ones are dense. Made from
 * a seed, so that a counterexample is a number and not a megabyte.
 */
function collection(numDocs: number, seed: number, distinctValues: number) {
  const random = randomSource(seed);
  const offsets = new Uint32Array(numDocs + 1);
  const lists: number[] = [];
  const values: number[] = [];
  for (let docId = 0; docId < numDocs; docId++) {
    for (let list = 0; list < NUM_LISTS; list++) {
      if (random() >= 2 ** -list) continue;
      lists.push(list);
      values.push(1 + Math.floor(random() * distinctValues));
    }
    offsets[docId + 1] = lists.length;
  }
  const rows = { offsets, lists: Uint32Array.from(lists), values: Uint8Array.from(values) };
  const impacts = openPostingLists(buildPostingLists(rows, NUM_LISTS).bytes, 'test');
  const ranks = Uint32Array.from({ length: numDocs }, (_, i) => i);
  for (let i = numDocs - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [ranks[i], ranks[j]] = [ranks[j]!, ranks[i]!];
  }
  const accept = Uint8Array.from({ length: Math.ceil(numDocs / 8) }, () => Math.floor(random() * 256));
  return { impacts, ranks, accept };
}

const sizes = fc.oneof(
  fc.integer({ min: 1, max: 200 }),
  fc.constantFrom(63, 64, 65, WINDOW_DOCS - 1, WINDOW_DOCS, WINDOW_DOCS + 1, 20_000),
);

function compare(
  numDocs: number,
  seed: number,
  distinctValues: number,
  query: readonly (readonly [number, number])[],
  filtered: boolean,
  k: number,
): void {
  const { impacts, ranks, accept } = collection(numDocs, seed, distinctValues);
  const accepted = filtered ? accept : undefined;
  const top = new TopK(Math.min(k, numDocs));
  const lists = query.map(([list, weight]) => ({ list, weight }));
  exactScan({ impacts, ranks }, lists, accepted, top, new Uint32Array(WINDOW_DOCS));
  const expected = top.sorted();
  const numbers = Uint32Array.from([...query.map(([list]) => list), ...query.map(([, weight]) => weight)]);
  const sure = filtered ? 0 : Math.max(...query.map(([list, weight]) => weight * impacts.kthValue(list, k)));
  for (const backend of backends) {
    const search = postingSearch({ ...impacts.block, ranks }, backend)!;
    for (const threshold of new Set([0, sure])) {
      const { count, docIds, scores } = search(numbers, accepted, k, threshold);
      assert.is(count, expected.count, `${backend}: number of hits`);
      assert.equal(
        [...docIds.subarray(0, count)],
        [...(expected.docIds as number[])],
        `${backend}: documents`,
      );
      assert.equal([...scores.subarray(0, count)], [...(expected.scores as number[])], `${backend}: scores`);
    }
  }
}

test(`${backends.join(' and ') || 'no kernel'} give the TypeScript scan's hits in every bit, filtered or not`, async () => {
  await check(
    fc.property(
      sizes,
      fc.nat(),
      fc.constantFrom(1, 3, 255), // few distinct values make many ties
      fc.uniqueArray(fc.tuple(fc.nat(NUM_LISTS - 1), fc.constantFrom(1, 700, 32_767)), {
        minLength: 1,
        maxLength: NUM_LISTS,
        selector: ([list]) => list,
      }),
      fc.boolean(),
      fc.constantFrom(1, 2, 10, 50, 101),
      compare,
    ),
    { numRuns: 80 },
  );
});

test('documents past the first chunk of 65,536 are found as well', () => {
  compare(
    140_001,
    7,
    255,
    [
      [0, 5],
      [3, 700],
      [8, 32_767],
    ],
    false,
    10,
  );
  compare(
    140_001,
    8,
    2,
    [
      [1, 5],
      [2, 700],
      [7, 32_767],
    ],
    true,
    100,
  );
});

test('arrays that do not fit their bytes are refused before a kernel runs', () => {
  const { impacts, ranks } = collection(300, 1, 255);
  const { block } = impacts;
  for (const broken of [
    { ...block, numDocs: 70_000, ranks },
    { ...block, ranks: ranks.subarray(0, 299) },
    { ...block, ranks, columnStride: 128 },
    { ...block, ranks, offsets: { ...block.offsets, values: block.bytes.length } },
    { ...block, ranks, offsets: { ...block.offsets, columns: block.bytes.length } },
  ]) {
    assert.throws(
      () => postingSearch(broken, 'wasm'),
      (e: { code: string }) => e.code === 'WINNOW_INDEX_CORRUPT',
    );
  }
});

test.run();
