import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { BLOCK_MAX_MIN_DOCS } from '../../indexer/postings/block-max-writer.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { quantizeQuery } from '../../query/weights/quantized-query.ts';
import { randomSource } from '../../random.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('pruned search');

const TERMS = 40;
const encoder = new IdfQueryEncoder(
  new WordPieceTokenizer(Array.from({ length: TERMS }, (_, id) => `t${id}`)),
  new Float32Array(TERMS).fill(1),
);

/** None, half of the documents, an eighth, a few: each is used again and again, so that searches take each of their ways. */
const FILTERS = [undefined, { year: { gte: 2004 } }, { year: 2003 }, { year: 1999 }];

/** Two segments large enough to keep block maxima and a small one, with deletions; ids in no order. */
function largeIndex(seed: number): IndexStore {
  const random = randomSource(seed);
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const batch = (size: number) =>
    Array.from({ length: size }, () => {
      const topic = Math.floor(random() * 8);
      const impacts = new Map<number, number>();
      for (let i = 0; i < 5; i++)
        impacts.set((topic * 5 + Math.floor(random() ** 2 * 20)) % TERMS, 1 + Math.floor(random() * 200));
      return source(`d${Math.floor(random() * 1e9)}`, impacts, {
        metadata: { year: random() < 0.001 ? 1999 : 2000 + topic },
      });
    });
  for (const size of [BLOCK_MAX_MIN_DOCS, BLOCK_MAX_MIN_DOCS + 700, 300]) store.upsert(batch(size));
  store.delete([...store.sourceIds()].filter((_, i) => i % 97 === 0));
  return store;
}

test('finds what exhaustive search finds over several segments, deleted and filtered documents left out', async () => {
  const seed = 20_261_124;
  const store = largeIndex(seed);
  const searcher = new Searcher(store, encoder);
  const random = randomSource(seed + 1);
  for (let round = 0; round < 80; round++) {
    const terms = [...new Set(Array.from({ length: 1 + (round % 6) }, () => Math.floor(random() * TERMS)))];
    const query = quantizeQuery(
      terms,
      terms.map(() => 0.1 + random() * 9),
    );
    const k = [1, 10, 100][round % 3]!;
    const filter = FILTERS[round % FILTERS.length];
    const options = filter ? { filter } : {};
    const found = (scan: 'exact' | 'pruned') =>
      searcher.rankVector(query, k, { ...options, scan }).map(({ id, score }) => [id, score]);
    assert.equal(found('pruned'), found('exact'), `seed ${seed}, round ${round}`);
  }
  await store.close();
});

test('a budget that is too short gives an answer that says it is incomplete', async () => {
  const store = largeIndex(7);
  const searcher = new Searcher(store, encoder);
  const query = 't1 t2 t3 t4';
  assert.is(searcher.search(query, { scan: 'pruned' }).complete, true);
  assert.is(searcher.search(query, { scan: 'pruned', budgetMs: 1e-6 }).complete, false);
  assert.is(searcher.search(query, { mode: 'bm25' }).complete, true, 'of another search, nothing is told');
  assert.is(searcher.search(query, { scan: 'pruned', budgetMs: 10_000 }).complete, true);
  await store.close();
});

test.run();
