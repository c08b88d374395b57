import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { type QueryIdf, queryWeights, tokenStatistics } from '../../query/weights/query-weights.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('query weights');

const TERMS = 12;
const tokenizer = new WordPieceTokenizer(Array.from({ length: TERMS }, (_, id) => `t${id}`));
const table = Float32Array.from({ length: TERMS }, (_, id) => 0.5 + id);
const encoder = new IdfQueryEncoder(tokenizer, table);

const terms = fc.uniqueArray(fc.nat(TERMS - 1), { maxLength: TERMS });
/** Documents as the terms that they have weight for and the terms in their text. */
const documents = fc.array(fc.record({ weighted: terms, subwordIds: terms }), {
  minLength: 1,
  maxLength: 20,
});
const query = fc.array(fc.nat(TERMS - 1), { maxLength: 8 });

type Doc = { weighted: readonly number[]; subwordIds?: readonly number[] };

function indexed(docs: readonly Doc[], batch: number): IndexStore {
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const sources = docs.map(({ weighted, subwordIds }, i) =>
    source(`d${i}`, new Map(weighted.map((term) => [term, 9])), subwordIds ? { subwordIds } : {}),
  );
  for (let i = 0; i < sources.length; i += batch) store.upsert(sources.slice(i, i + batch));
  return store;
}

test('blend the table with the documents that have a token both in text and vector', async () => {
  await check(
    fc.asyncProperty(documents, query, fc.integer({ min: 1, max: 7 }), async (docs, ids, batch) => {
      const store = indexed(docs, batch);
      const frequency = (id: number) =>
        docs.filter(({ weighted, subwordIds }) => weighted.includes(id) && subwordIds.includes(id)).length;
      const known = docs.some(({ weighted, subwordIds }) => weighted.some((id) => subwordIds.includes(id)));
      const distinct = [...new Set(ids)].sort((a, b) => a - b);
      const expected = distinct.map((id) => {
        const count = ids.filter((other) => other === id).length;
        const df = frequency(id);
        const here = Math.log(1 + (docs.length - df + 0.5) / (df + 0.5));
        const blended = table[id]! * Math.min(table[id]!, here) * count;
        return Math.fround(known ? Math.sqrt(blended) : table[id]!);
      });
      const text = ids.map((id) => `t${id}`).join(' ');
      for (const merge of [() => {}, () => store.forceMerge()]) {
        merge();
        const { termIds, weights } = queryWeights(encoder, tokenStatistics(store.view()), text, 'blended');
        assert.equal([...termIds], distinct);
        assert.is(weights.length, expected.length);
        weights.forEach((weight, i) => {
          assert.ok(Math.abs(weight - expected[i]!) <= 1e-6 * expected[i]!, `${weight} for ${expected[i]}`);
        });
      }
      await store.close();
    }),
  );
});

test('are the table alone where that is asked for, or where no text is known', async () => {
  const store = indexed([{ weighted: [1, 2, 3] }, { weighted: [2] }], 1);
  const weightsOf = (idf: QueryIdf) => [
    ...queryWeights(encoder, tokenStatistics(store.view()), 't2 t3 t2', idf).weights,
  ];
  assert.equal(weightsOf('blended'), [2.5, 3.5]);
  store.upsert([source('text', new Map([[2, 9]]), { subwordIds: [2] })]);
  assert.equal(weightsOf('table'), [2.5, 3.5]);
  assert.not.equal(weightsOf('blended'), [2.5, 3.5]);
  await store.close();
});

test('a word that falls into several tokens does not count several times', async () => {
  const split = new IdfQueryEncoder(
    new WordPieceTokenizer(['gout', 'go', '##ut', '##a']),
    new Float32Array(4).fill(4),
  );
  const store = indexed([{ weighted: [0, 1, 2], subwordIds: [0, 1, 2] }], 1);
  const weightOf = (query: string) => {
    const { termIds, weights } = queryWeights(split, tokenStatistics(store.view()), query, 'blended');
    return new Map(Array.from(termIds, (id, i) => [id, weights[i]!]));
  };
  const whole = weightOf('gout').get(0)!;
  const near = (weight: number | undefined, expected: number) =>
    assert.ok(Math.abs(weight! - expected) < 1e-6, `${weight} for ${expected}`);
  near(weightOf('gouta').get(0), whole / 2 ** 0.25);
  near(weightOf('goa').get(1), whole / 2 ** 0.25);
  near(weightOf('gout gouta').get(0), whole * Math.SQRT2); // once as a word of its own
  await store.close();
});

test('a word that most documents share yields to one that tells them apart', async () => {
  // By the table t11 weighs twice t5; all documents but one have it.
  const common = { weighted: [11], subwordIds: [11] };
  const store = indexed([...Array<Doc>(30).fill(common), { weighted: [5], subwordIds: [5] }], 8);
  const searcher = new Searcher(store, encoder);
  const first = (idf: QueryIdf) => searcher.search('t5 t11', { idf }).hits[0]!.id;
  assert.is(first('blended'), 'd30');
  assert.not(first('table') === 'd30');
  await store.close();
});

test('explanations have the weights that the search had', async () => {
  const store = indexed(
    [
      { weighted: [3, 7], subwordIds: [3] },
      { weighted: [7], subwordIds: [7] },
    ],
    1,
  );
  const searcher = new Searcher(store, encoder);
  for (const idf of ['blended', 'table'] as const) {
    const { score } = searcher.search('t3 t7 t7', { idf }).hits[0]!;
    assert.is(searcher.explain('t3 t7 t7', 'd0', { idf }).score, score);
  }
  await store.close();
});

test.run();
