import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CsrMatrix } from '../../indexer/postings/csr-matrix.ts';
import { KTH_RANKS } from '../../indexer/postings/posting-list-layout.ts';
import { openPostingLists } from '../../indexer/postings/posting-list-reader.ts';
import { buildPostingLists } from '../../indexer/postings/posting-list-writer.ts';
import { loadKernels } from '../../kernels/index.ts';
import { Inversion, quantizeWeights, summarizeLists } from '../../kernels/search/inversion.ts';
import { randomSource } from '../../random.ts';
import { check } from '../helpers/property.ts';

const test = suite('building posting lists');
const { build } = loadKernels();
const withKernels = build ? test : test.skip;

/** Documents of about `perDoc` of the columns, the first of which are in most documents; some columns in none. */
function rowsOf(numDocs: number, perDoc: number, numColumns: number, seed: number): CsrMatrix {
  const random = randomSource(seed);
  const rowOffsets = new Uint32Array(numDocs + 1);
  const columnIds = new Uint16Array(numDocs * perDoc);
  const step = Math.floor(numColumns / perDoc);
  let next = 0;
  for (let docId = 0; docId < numDocs; docId++) {
    for (let i = 0; i < perDoc; i++) {
      if (random() < 0.2) continue;
      columnIds[next++] = i * step + Math.floor(step * random() ** (1 + (i % 4) * 3));
    }
    rowOffsets[docId + 1] = next;
  }
  const values = Uint8Array.from({ length: next }, () => 1 + Math.floor(random() * 255));
  return { rowOffsets, columnIds: columnIds.slice(0, next), values };
}

/** The lists of a column are in reverse order. */
function builtBy(backend: 'native' | 'reference', rows: CsrMatrix, numColumns: number): Uint8Array {
  const listIds = Uint32Array.from({ length: numColumns }, (_, column) => numColumns - 1 - column);
  const inversion = new Inversion(rows, numColumns, backend);
  return buildPostingLists(rows, numColumns, listIds, inversion).bytes;
}

function compare(numDocs: number, perDoc: number, numColumns: number, seed: number): void {
  const rows = rowsOf(numDocs, perDoc, numColumns, seed);
  const native = builtBy('native', rows, numColumns);
  const reference = builtBy('reference', rows, numColumns);
  assert.ok(Buffer.from(native.buffer).equals(Buffer.from(reference.buffer)), `seed ${seed}: same bytes`);
  const lists = openPostingLists(native, 'test');
  const { block, numLists } = lists;
  const frequencies = Uint32Array.from({ length: numLists }, (_, list) => lists.documentFrequency(list));
  const [a, b] = (['native', 'reference'] as const).map((backend) => {
    const kthValues = new Uint8Array(3 * numLists);
    const checksums = new Uint32Array(numLists);
    summarizeLists({ block, frequencies, ranks: Uint32Array.from(KTH_RANKS) }, kthValues, checksums, backend);
    return [...kthValues, ...checksums];
  });
  assert.equal(a, b);
  for (let list = 0; list < numLists; list++) lists.verify(list);
}

withKernels('native code gives the bytes of the TypeScript reference', async () => {
  await check(
    fc.property(
      fc.constantFrom(700, 3000, 66_000),
      fc.constantFrom(30, 64),
      fc.constantFrom(90, 300, 30_522, 1 << 16),
      fc.nat(),
      compare,
    ),
    { numRuns: 12 },
  );
});

withKernels('also for so many postings that they are scattered in several goes', () => {
  compare(68_000, 150, 2000, 5);
});

test('lists without room are refused before native code runs', () => {
  const rows = rowsOf(2000, 20, 200, 1);
  const inversion = new Inversion(rows, 200);
  const lists = {
    localIds: new Uint16Array(10),
    values: new Uint8Array(10),
    columns: new Uint8Array(64),
    columnStride: 2048,
  };
  const [tile] = inversion.tiles;
  if (build) {
    assert.throws(() => inversion.scatter(tile!, new Int32Array(200), lists), /no room/);
    assert.throws(() => inversion.scatter(tile!, new Int32Array(200).fill(-1), lists), /no room/);
  }
});

withKernels('weights become the same impacts', async () => {
  await check(
    fc.property(
      fc.array(
        fc.oneof(
          fc.float(),
          fc.float({ min: 0, max: 4, noNaN: true }),
          fc.nat(600).map((halves) => Math.fround(((halves / 2) * 3) / 255)),
        ),
        { maxLength: 300 },
      ),
      fc.nat(20),
      fc.constantFrom(3 / 255, 1, 0.001),
      (numbers, at, scale) => {
        const weights = Float32Array.from(numbers);
        const [a, b] = (['native', 'reference'] as const).map((backend) => {
          const impacts = new Uint8Array(at + weights.length);
          const zeros = quantizeWeights(weights, weights.length, 1 / scale, impacts, at, backend);
          return [zeros, ...impacts];
        });
        assert.equal(a, b);
      },
    ),
    { numRuns: 300 },
  );
});

withKernels('CRC-32 is that of zlib, from the start and continued', async () => {
  await check(
    fc.property(fc.nat(5000), fc.nat(63), fc.nat(), fc.nat(0xffffffff), (length, from, seed, before) => {
      const random = randomSource(seed);
      const bytes = Uint8Array.from({ length: from + length }, () => random() * 256).subarray(from);
      assert.is(build!.crc32(bytes, 0), crc32(bytes));
      assert.is(build!.crc32(bytes, before), crc32(bytes, before));
    }),
    { numRuns: 200 },
  );
});

test.run();
