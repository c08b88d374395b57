import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('hybrid search');

const WORDS = ['apple', 'bridge', 'cloud', 'dragon', 'eagle', 'forest'];
const encoder = new IdfQueryEncoder(new WordPieceTokenizer(WORDS), new Float32Array(WORDS.length).fill(2));

const numbers = fc.array(fc.nat(WORDS.length - 1), { maxLength: 6 });
const documents = fc.array(
  fc.record({
    words: numbers,
    impacts: fc.array(fc.tuple(fc.nat(WORDS.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 5 }),
  }),
  { minLength: 1, maxLength: 30 },
);

function indexed(
  docs: readonly { words: readonly number[]; impacts: readonly (readonly [number, number])[] }[],
) {
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  store.upsert(
    docs.map(({ words, impacts }, i) =>
      source(`d${i}`, new Map(impacts), { words: words.map((n) => WORDS[n]!) }),
    ),
  );
  return store;
}

test('joins the rankings of learned weights and of words as its formula says', async () => {
  await check(
    fc.asyncProperty(
      documents,
      fc.uniqueArray(fc.nat(WORDS.length - 1), { minLength: 1, maxLength: 4 }),
      fc.constantFrom('weighted' as const, 'rrf' as const),
      fc.constantFrom(0, 0.25, 0.8, 1),
      async (docs, terms, fusion, sparseWeight) => {
        const store = indexed(docs);
        const searcher = new Searcher(store, encoder);
        const query = terms.map((n) => WORDS[n]!).join(' ');
        const expected = new Map<string, number>();
        for (const [mode, weight] of [
          ['sparse', sparseWeight],
          ['bm25', 1 - sparseWeight],
        ] as const) {
          const ranking = searcher.rank(query, mode, 100);
          const scores = ranking.map(({ score }) => score);
          const [low, high] = [Math.min(...scores), Math.max(...scores)];
          ranking.forEach(({ id, score }, i) => {
            const normalised = high === low ? 1 : (score - low) / (high - low);
            const part = fusion === 'rrf' ? 1 / (61 + i) : normalised;
            expected.set(id, (expected.get(id) ?? 0) + weight * part);
          });
        }
        const found = searcher.rank(query, 'hybrid', 100, { fusion, sparseWeight });
        assert.is(found.length, expected.size);
        found.forEach(({ id, score }, i) => {
          assert.ok(Math.abs(score - expected.get(id)!) < 1e-9, `${id}: ${score} for ${expected.get(id)}`);
          assert.ok(i === 0 || score <= found[i - 1]!.score);
        });
        await store.close();
      },
    ),
  );
});

test('gives the learned weights four fifths unless told otherwise', async () => {
  const store = indexed([
    { words: [0], impacts: [[0, 200]] },
    {
      words: [0, 0, 1],
      impacts: [
        [0, 100],
        [1, 30],
      ],
    },
    { words: [1], impacts: [[1, 90]] },
  ]);
  const searcher = new Searcher(store, encoder);
  const ranked = (options: object) =>
    searcher.rank('apple bridge', 'hybrid', 10, options).map(({ id, score }) => [id, score]);
  assert.equal(ranked({}), ranked({ fusion: 'weighted', sparseWeight: 0.8 }));
  assert.not.equal(ranked({}), ranked({ fusion: 'rrf' }));
  await store.close();
});

test.run();
