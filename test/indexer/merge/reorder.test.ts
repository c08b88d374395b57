import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IdfQueryEncoder } from '../../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { logGapCost, reorderDocuments } from '../../../indexer/merge/reorder.ts';
import { Searcher } from '../../../query/search/searcher.ts';
import { randomSource } from '../../../random.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { check } from '../../helpers/property.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('document order');

type Vector = readonly (readonly [term: number, impact: number])[];

function rowsOf(vectors: readonly Vector[]) {
  const rowOffsets = new Uint32Array(vectors.length + 1);
  vectors.forEach(({ length }, i) => {
    rowOffsets[i + 1] = rowOffsets[i]! + length;
  });
  const flat = vectors.flat();
  return {
    rowOffsets,
    columnIds: Uint16Array.from(flat, ([term]) => term),
    values: Uint8Array.from(flat, ([, impact]) => impact),
  };
}

const vector = fc.uniqueArray(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 255 })), {
  maxLength: 40,
  selector: ([term]) => term,
});

test('the order names every document once and is the same every time', async () => {
  await check(
    fc.property(fc.array(vector, { maxLength: 300 }), (vectors) => {
      const rows = rowsOf(vectors);
      const order = reorderDocuments(rows);
      assert.equal(
        [...order].sort((a, b) => a - b),
        vectors.map((_, i) => i),
      );
      assert.equal(reorderDocuments(rows), order);
    }),
  );
});

test('documents of one topic that stood apart come to stand together', () => {
  const random = randomSource(7);
  const topics = Array.from({ length: 4096 }, () => Math.floor(random() * 8));
  const vectors = topics.map((topic) =>
    Array.from({ length: 20 }, () => [topic * 100 + Math.floor(random() * 90), 100] as const),
  );
  const rows = rowsOf(vectors.map((terms) => [...new Map(terms)]));
  const order = reorderDocuments(rows);
  assert.ok(logGapCost(rows, order) < 0.75 * logGapCost(rows));
  const changes = order.reduce(
    (n, docId, i) => n + (i > 0 && topics[docId] !== topics[order[i - 1]!] ? 1 : 0),
    0,
  );
  assert.ok(changes < 200, `topics change ${changes} times; 7 is the least, 3,584 is chance`);
});

test('searches find the same hits with the same scores whatever the order', async () => {
  const TERMS = 40;
  const encoder = new IdfQueryEncoder(
    new WordPieceTokenizer(Array.from({ length: TERMS + 1 }, (_, id) => `t${id}`)),
    new Float32Array(TERMS + 1).fill(1),
  );
  await check(
    fc.asyncProperty(
      fc.array(vector, { minLength: 70, maxLength: 200 }),
      fc.array(fc.nat(300), { maxLength: 20 }),
      async (vectors, deleted) => {
        const answers = [];
        for (const reorderFrom of [2, Number.POSITIVE_INFINITY]) {
          const store = IndexStore.openOrCreate(tempFolder(), SETTINGS, { reorderFrom });
          const documents = vectors.map((terms, i) =>
            source(`d${i}`, new Map(terms), {
              words: terms.map(([term]) => `w${term}`),
              metadata: { year: 2000 + (i % 4), lang: [`l${i % 3}`, 'all'] },
            }),
          );
          store.upsert(documents.slice(0, 60));
          store.upsert(documents.slice(60));
          store.delete(deleted.map((i) => `d${i}`));
          store.forceMerge();
          store.verify();
          const searcher = new Searcher(store, encoder);
          const plain = (query: string, mode: 'sparse' | 'bm25') =>
            searcher.rank(query, mode, 20, { filter: { lang: 'l1' } }).map(({ id, score }) => [id, score]);
          answers.push([
            ...['t1 t2 t3', 't7 t29', 't40'].map((query) =>
              searcher.rank(query, 'sparse', 500).map(({ id, score }) => [id, score]),
            ),
            plain('t5 t6', 'sparse'),
            plain('w5 w6', 'bm25'),
            searcher.search('t5 t6', { mode: 'hybrid', k: 50 }).hits,
          ]);
          await store.close();
        }
        assert.equal(answers[0], answers[1]);
      },
    ),
    { numRuns: 15 },
  );
});

test.run();
