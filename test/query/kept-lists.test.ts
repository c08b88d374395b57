import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitmapFor, setBit } from '../../indexer/format/bitmap.ts';
import { openPostingLists } from '../../indexer/postings/posting-list-reader.ts';
import { buildPostingLists } from '../../indexer/postings/posting-list-writer.ts';
import { loadKernels } from '../../kernels/index.ts';
import { WINDOW_DOCS } from '../../kernels/search/layout.ts';
import { bm25Scan } from '../../query/retrieve/bm25.ts';
import { exactScan } from '../../query/retrieve/exact-scan.ts';
import { KeptImpacts, KeptWords } from '../../query/retrieve/kept-lists.ts';
import { type TopDocIds, TopK } from '../../query/retrieve/top-k.ts';
import { randomSource } from '../../random.ts';
import { check } from '../helpers/property.ts';

const test = suite('kept lists');
const NUM_LISTS = 12;

/** List l occurs in about 1 / 2^l of the documents; documents of a share are accepted. */
function collection(numDocs: number, seed: number, share: number) {
  const random = randomSource(seed);
  const rowOffsets = new Uint32Array(numDocs + 1);
  const lists: number[] = [];
  const values: number[] = [];
  const accept = bitmapFor(numDocs);
  for (let docId = 0; docId < numDocs; docId++) {
    for (let list = 0; list < NUM_LISTS; list++) {
      if (random() >= 2 ** -list) continue;
      lists.push(list);
      values.push(1 + Math.floor(random() * 40));
    }
    rowOffsets[docId + 1] = lists.length;
    if (random() < share) setBit(accept, docId);
  }
  const rows = { rowOffsets, columnIds: Uint32Array.from(lists), values: Uint8Array.from(values) };
  const impacts = openPostingLists(buildPostingLists(rows, NUM_LISTS).bytes, 'test');
  return { numDocs, impacts, idRanks: Uint32Array.from({ length: numDocs }, (_, i) => numDocs - i), accept };
}

const query = fc.uniqueArray(fc.tuple(fc.nat(NUM_LISTS - 1), fc.constantFrom(1, 700, 32_767)), {
  minLength: 1,
  maxLength: NUM_LISTS,
  selector: ([list]) => list,
});

function sameHits(found: TopDocIds | undefined, top: TopK): void {
  const { count, docIds, scores } = found!;
  const expected = top.sorted();
  assert.is(count, expected.count);
  assert.equal(Array.from(docIds), expected.docIds);
  assert.equal(Array.from(scores), expected.scores);
}

/** With the last one, kept documents fill more than one chunk of 65,536. */
const sizes = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constantFrom(5000, 70_000));
const shares = fc.constantFrom(1, 0.3, 0.01);
/** Bytes: no list fits, some do, all do. */
const rooms = fc.constantFrom(0, 20_000, 1 << 24);

const isNative = loadKernels().search?.kind === 'native';

(isNative ? test : test.skip)(
  'give the hits of the scan in every bit, query after query, whatever room there is',
  async () => {
    await check(
      fc.property(
        sizes,
        fc.nat(),
        shares,
        rooms,
        fc.array(fc.tuple(query, fc.constantFrom(1, 10, 90)), { minLength: 1, maxLength: 5 }),
        (numDocs, seed, share, mostBytes, queries) => {
          const { accept, ...segment } = collection(numDocs, seed, share);
          const kept = new KeptImpacts(segment, accept, mostBytes);
          for (const [terms, k] of queries) {
            const lists = terms.map(([list, weight]) => ({ list, weight }));
            const top = new TopK(Math.min(k, numDocs));
            exactScan(segment, lists, accept, top, new Uint32Array(WINDOW_DOCS));
            sameHits(kept.topDocs(segment.impacts, lists, k, 0), top);
          }
        },
      ),
      { numRuns: 60 },
    );
  },
);

(isNative ? test : test.skip)(
  'give the BM25 hits of the scan in every bit, also when norms change',
  async () => {
    await check(
      fc.property(
        sizes,
        fc.nat(),
        shares,
        rooms,
        // A word may be in a query twice. The number of different norms decides about ties.
        fc.array(
          fc.tuple(
            fc.array(fc.tuple(fc.nat(NUM_LISTS - 1), fc.double({ min: 0.01, max: 9, noNaN: true })), {
              minLength: 1,
              maxLength: 8,
            }),
            fc.constantFrom(1, 10, 90),
            fc.constantFrom(1, 3),
          ),
          { minLength: 1, maxLength: 5 },
        ),
        (numDocs, seed, share, mostBytes, queries) => {
          const { accept, impacts, idRanks } = collection(numDocs, seed, share);
          const kept = new KeptWords({ numDocs, idRanks }, accept, mostBytes);
          const random = randomSource(seed);
          const normsBy = new Map(
            [1, 3].map((different) => [
              different,
              Float32Array.from({ length: numDocs }, () => 0.5 + Math.floor(random() * different) / 7),
            ]),
          );
          for (const [terms, k, different] of queries) {
            const lists = terms.map(([list, idf]) => ({ list, idf }));
            const norms = normsBy.get(different)!;
            const top = new TopK(Math.min(k, numDocs));
            bm25Scan({ wordPostings: impacts, idRanks }, lists, norms, accept, top);
            sameHits(kept.topDocs(impacts, lists, norms, k, 0), top);
            const worst = top.size === k ? top.threshold : 0;
            sameHits(kept.topDocs(impacts, lists, norms, k, worst), top);
          }
        },
      ),
      { numRuns: 60 },
    );
  },
);

test.run();
