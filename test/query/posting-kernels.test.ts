import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitmapFor, setBit } from '../../indexer/format/bitmap.ts';
import { openBlockMaxIndex } from '../../indexer/postings/block-max-index.ts';
import { buildBlockMaxIndex } from '../../indexer/postings/block-max-writer.ts';
import { openPostingLists } from '../../indexer/postings/posting-list-reader.ts';
import { buildPostingLists } from '../../indexer/postings/posting-list-writer.ts';
import { availableKernels } from '../../kernels/index.ts';
import { LEXICAL_WINDOW_DOCS, WINDOW_DOCS } from '../../kernels/search/layout.ts';
import { lexicalSearch, postingSearch } from '../../kernels/search/posting-search.ts';
import type { Deadline } from '../../query/deadline.ts';
import { bm25Scan } from '../../query/retrieve/bm25.ts';
import { exactScan } from '../../query/retrieve/exact-scan.ts';
import { TopK } from '../../query/retrieve/top-k.ts';
import { randomSource } from '../../random.ts';
import { check } from '../helpers/property.ts';

const test = suite('posting kernels');
const NUM_LISTS = 9;
const backends = availableKernels().filter((name) => name !== 'reference');

/**
 * Lists of very different lengths: list l occurs in about 1 / 2^l of the documents, so the first ones are dense. Made from
 * a seed, so that a counterexample is a number and not a megabyte.
 */
function collection(numDocs: number, seed: number, distinctValues: number, accepted = 0.5) {
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
  const rows = { rowOffsets: offsets, columnIds: Uint32Array.from(lists), values: Uint8Array.from(values) };
  const impacts = openPostingLists(buildPostingLists(rows, NUM_LISTS).bytes, 'test');
  const ranks = Uint32Array.from({ length: numDocs }, (_, i) => i);
  for (let i = numDocs - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [ranks[i], ranks[j]] = [ranks[j]!, ranks[i]!];
  }
  const accept = bitmapFor(numDocs);
  for (let docId = 0; docId < numDocs; docId++) if (random() < accepted) setBit(accept, docId);
  return { impacts, ranks, accept };
}

function comparePruned(
  numDocs: number,
  seed: number,
  distinctValues: number,
  query: readonly (readonly [number, number])[],
  share: number,
  k: number,
  alpha: number,
): void {
  const { impacts, ranks, accept } = collection(numDocs, seed, distinctValues, share);
  const maxima = openBlockMaxIndex(buildBlockMaxIndex(impacts).bytes, impacts, 'test');
  for (let list = 0; list < NUM_LISTS; list++) maxima.verify(list);
  const accepted = share < 1 ? accept : undefined;
  const numbers = Uint32Array.from([...query.map(([list]) => list), ...query.map(([, weight]) => weight)]);
  const lists = query.map(([list, weight]) => ({ list, weight }));
  const every = new TopK(numDocs);
  exactScan({ impacts, idRanks: ranks }, lists, accepted, every, new Uint32Array(WINDOW_DOCS));
  const all = every.sorted();
  const wanted = Math.min(k, all.count);
  const scoreOf = new Map((all.docIds as number[]).map((docId, i) => [docId, all.scores[i]!]));
  const answers = backends.map((backend) => {
    const search = postingSearch({ ...impacts.block, ranks, maxima: maxima.block }, backend)!;
    const { count, docIds, scores, complete } = search(numbers, accepted, k, 0, { alpha });
    assert.is(complete, true);
    assert.is(count, wanted);
    docIds.forEach((docId, i) => {
      assert.is(scores[i], scoreOf.get(docId), `${backend}: the score of a hit is its exact score`);
    });
    const worst = scores[count - 1] ?? 0;
    const found = new Set(docIds);
    const missed = (all.docIds as number[]).find((docId) => !found.has(docId));
    if (missed !== undefined && alpha < 1) assert.ok(scoreOf.get(missed)! * alpha <= worst);
    if (alpha === 1) assert.equal([...docIds], (all.docIds as number[]).slice(0, k), `${backend}: documents`);
    return [...docIds];
  });
  for (const other of answers.slice(1)) assert.equal(other, answers[0], 'all backends prune alike');
}

const sizes = fc.oneof(
  fc.integer({ min: 1, max: 200 }),
  fc.constantFrom(63, 64, 65, 511, 512, 513, 1500, WINDOW_DOCS - 1, WINDOW_DOCS, WINDOW_DOCS + 1, 20_000),
);

function compare(
  numDocs: number,
  seed: number,
  distinctValues: number,
  query: readonly (readonly [number, number])[],
  share: number,
  k: number,
): void {
  const { impacts, ranks, accept } = collection(numDocs, seed, distinctValues, share);
  const accepted = share < 1 ? accept : undefined;
  const top = new TopK(Math.min(k, numDocs));
  const lists = query.map(([list, weight]) => ({ list, weight }));
  exactScan({ impacts, idRanks: ranks }, lists, accepted, top, new Uint32Array(WINDOW_DOCS));
  const expected = top.sorted();
  const numbers = Uint32Array.from([...query.map(([list]) => list), ...query.map(([, weight]) => weight)]);
  const sure = accepted ? 0 : Math.max(...query.map(([list, weight]) => weight * impacts.kthValue(list, k)));
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
      fc.constantFrom(1, 0.9, 0.5), // documents that the filter keeps
      fc.constantFrom(1, 2, 10, 50, 101, 256, 257),
      compare,
    ),
    { numRuns: 80 },
  );
});

test('pruned search at alpha 1 gives the same hits, and below it misses nothing better than the worst hit / alpha', async () => {
  await check(
    fc.property(
      fc.constantFrom(1, 64, 1023, 1025, 9000, 30_000),
      fc.nat(),
      fc.constantFrom(1, 3, 255),
      fc.uniqueArray(fc.tuple(fc.nat(NUM_LISTS - 1), fc.constantFrom(1, 700, 32_767)), {
        minLength: 1,
        maxLength: NUM_LISTS,
        selector: ([list]) => list,
      }),
      fc.constantFrom(1, 0.5, 0.04, 0.001), // documents that the filter keeps: none to many of a block
      fc.constantFrom(1, 2, 10, 101),
      fc.constantFrom(1, 0.9, 0.5),
      comparePruned,
    ),
    { numRuns: 60 },
  );
});

const lexical = collection(64, 1, 5);
const hasLexicalKernel = lexicalSearch({ ...lexical.impacts.block, ranks: lexical.ranks }) !== undefined;

(hasLexicalKernel ? test : test.skip)(
  'native BM25 gives the TypeScript scan’s hits in every bit',
  async () => {
    await check(
      fc.property(
        // The larger ones have several windows, of which the later ones are pruned.
        fc.oneof(sizes, fc.constant(70_000)),
        fc.nat(),
        fc.array(fc.nat(NUM_LISTS - 1), { minLength: 1, maxLength: 12 }),
        fc.constantFrom(1, 0.9, 0.5, 0.02, 0.0005), // accepted documents
        fc.constantFrom(1, 10, 101, 256, 257),
        (numDocs, seed, numbers, share, k) => {
          const { impacts, ranks, accept } = collection(numDocs, seed, 5, share);
          const search = lexicalSearch({ ...impacts.block, ranks })!;
          const random = randomSource(seed);
          // Few distinct lengths make many ties.
          const norms = Float32Array.from({ length: numDocs }, () => 0.54 + Math.floor(random() * 4) / 7);
          const lists = numbers.map((list) => ({ list, idf: 0.1 + random() * 9 }));
          const accepted = share < 1 ? accept : undefined;
          const top = new TopK(Math.min(k, numDocs));
          bm25Scan({ wordPostings: impacts, idRanks: ranks }, lists, norms, accepted, top);
          const expected = top.sorted();
          const idf = Float64Array.from(lists, ({ idf }) => idf);
          const worst = expected.count === k ? expected.scores[k - 1]! : 0;
          for (const threshold of [0, worst]) {
            const { count, docIds, scores } = search(
              Uint32Array.from(numbers),
              idf,
              norms,
              accepted,
              k,
              threshold,
            );
            assert.is(count, expected.count);
            assert.equal([...docIds], [...(expected.docIds as number[])]);
            assert.equal([...scores], [...(expected.scores as number[])]);
          }
        },
      ),
      { numRuns: 60 },
    );
  },
);

test('pruned search looks at few blocks, and says so when its time is up', () => {
  const numDocs = 140_001;
  // One list whose large impacts lie in a few neighbouring documents: the other blocks cannot hold a hit.
  const rows = {
    rowOffsets: Uint32Array.from({ length: numDocs + 1 }, (_, i) => Math.floor(i / 12)),
    columnIds: new Uint32Array(Math.floor(numDocs / 12)),
    values: Uint8Array.from({ length: Math.floor(numDocs / 12) }, (_, i) =>
      i >= 9000 && i < 9010 ? 200 : 1 + (i % 5),
    ),
  };
  const impacts = openPostingLists(buildPostingLists(rows, 1).bytes, 'test');
  const maxima = openBlockMaxIndex(buildBlockMaxIndex(impacts).bytes, impacts, 'test');
  const ranks = Uint32Array.from({ length: numDocs }, (_, i) => i);
  for (const backend of backends) {
    const search = postingSearch({ ...impacts.block, ranks, maxima: maxima.block }, backend)!;
    const found = search(Uint32Array.of(0, 7), undefined, 10, 0, { alpha: 1 });
    assert.equal([...found.scores], Array(10).fill(1400));
    assert.ok(found.blocksScored! <= 16, `${found.blocksScored} blocks scored`);
    assert.is(found.complete, true);
    const late = search(Uint32Array.of(0, 7), undefined, 10, 0, { alpha: 1, budgetUs: 1e-6 });
    assert.is(late.complete, false);
    assert.is(late.count, 0);
  }
});

test('a scan whose time is up returns the hits of the first window and says so', () => {
  const numDocs = 70_000;
  const { impacts, ranks } = collection(numDocs, 3, 255);
  const lists = [
    { list: 0, weight: 700 },
    { list: 3, weight: 90 },
  ];
  const first = new TopK(10);
  exactScan({ impacts, idRanks: ranks }, lists, undefined, first, new Uint32Array(WINDOW_DOCS), {
    isPast: true,
  } as Deadline);
  const query = Uint32Array.of(0, 3, 700, 90);
  for (const backend of backends) {
    const search = postingSearch({ ...impacts.block, ranks }, backend)!;
    const late = search(query, undefined, 10, 0, { budgetUs: 1e-6 });
    assert.is(late.complete, false);
    assert.equal([...late.docIds], first.sorted().docIds);
    const inTime = search(query, undefined, 10, 0, { budgetUs: 1e9 });
    assert.is(inTime.complete, true);
    assert.equal([...inTime.docIds], [...search(query, undefined, 10, 0).docIds]);
  }
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
    1,
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
    0.5,
    100,
  );
});

(hasLexicalKernel ? test : test.skip)(
  'a BM25 scan whose time is up returns the hits of its first window and says so',
  () => {
    const numDocs = 20_000;
    const { impacts, ranks } = collection(numDocs, 5, 5);
    const norms = new Float32Array(numDocs).fill(0.9);
    const search = lexicalSearch({ ...impacts.block, ranks })!;
    const call = (budgetUs?: number) =>
      search(Uint32Array.of(2, 4), Float64Array.of(2, 3), norms, undefined, 10, 0, budgetUs);
    const late = call(1e-6);
    assert.is(late.complete, false);
    assert.is(late.count, 10);
    assert.ok([...late.docIds].every((docId) => docId < LEXICAL_WINDOW_DOCS));
    const all = [...call().docIds];
    const inTime = call(1e9);
    assert.is(inTime.complete, true);
    assert.equal([...inTime.docIds], all);
  },
);

test('arrays that do not fit their bytes are refused before a kernel runs', () => {
  const { impacts, ranks } = collection(300, 1, 255);
  const { block } = impacts;
  const { block: maxima } = openBlockMaxIndex(buildBlockMaxIndex(impacts).bytes, impacts, 'test');
  for (const broken of [
    { ...block, numDocs: 70_000, ranks },
    { ...block, ranks: ranks.subarray(0, 299) },
    { ...block, ranks, columnStride: 128 },
    { ...block, ranks, offsets: { ...block.offsets, values: block.bytes.length } },
    { ...block, ranks, offsets: { ...block.offsets, columns: block.bytes.length } },
    { ...block, ranks, maxima: { ...maxima, superblockStride: 0 } },
    { ...block, ranks, maxima: { ...maxima, bytes: maxima.bytes.subarray(0, -64) } },
    { ...block, ranks, maxima: { ...maxima, offsets: { ...maxima.offsets, entries: maxima.bytes.length } } },
  ]) {
    assert.throws(
      () => postingSearch(broken, 'wasm'),
      (e: { code: string }) => e.code === 'WINNOW_INDEX_CORRUPT',
    );
  }
});

test.run();
