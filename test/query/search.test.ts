import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Metadata } from '../../corpus/types.ts';
import { IdfQueryEncoder } from '../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../encoder/transformer/tokenizer/wordpiece.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import type { Filter } from '../../query/request.ts';
import { Searcher } from '../../query/search/searcher.ts';
import { quantizeQuery } from '../../query/weights/quantized-query.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('search');

const TERMS = 30;
const tokenizer = new WordPieceTokenizer(Array.from({ length: TERMS }, (_, id) => `t${id}`));
const encoder = new IdfQueryEncoder(tokenizer, new Float32Array(TERMS).fill(1));

interface Doc {
  readonly id: string;
  readonly impacts: Map<number, number>;
  readonly metadata: Metadata;
}

const metadata: fc.Arbitrary<Metadata> = fc
  .record(
    {
      year: fc.integer({ min: 2000, max: 2005 }),
      lang: fc.oneof(
        fc.constantFrom('en', 'de', 'fr'),
        fc.array(fc.constantFrom('en', 'de', 'fr'), { maxLength: 3 }),
      ),
      open: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  .map((value) => value as Metadata);

const corpus = fc
  .uniqueArray(
    fc.string({ minLength: 1, maxLength: 4 }).filter((id) => !id.includes('\u0000')),
    { minLength: 1, maxLength: 60 },
  )
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.record({
          id: fc.constant(id),
          // Few distinct impacts make many ties.
          impacts: fc
            .array(fc.tuple(fc.nat(TERMS - 1), fc.constantFrom(1, 2, 200, 255)), { maxLength: 15 })
            .map((entries) => new Map(entries)),
          metadata,
        }),
      ),
    ),
  ) as fc.Arbitrary<Doc[]>;

const queryTerms = fc.uniqueArray(fc.tuple(fc.nat(TERMS - 1), fc.constantFrom(0.02, 1, 3.5, 15.6)), {
  maxLength: 8,
  selector: ([termId]) => termId,
});

function bruteForce(
  docs: readonly Doc[],
  query: ReturnType<typeof quantizeQuery>,
  k: number,
): [string, number][] {
  return docs
    .map(({ id, impacts }): [string, number] => [
      id,
      Array.from(query.termIds).reduce(
        (sum, termId, i) => sum + query.weights[i]! * (impacts.get(termId) ?? 0),
        0,
      ),
    ])
    .filter(([, score]) => score > 0)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, k);
}

/** Indexes the documents in batches of `batch`, deleting and re-adding some, so that several segments arise. */
function indexed(docs: readonly Doc[], batch: number): IndexStore {
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const toSource = ({ id, impacts, metadata }: Doc) => source(id, impacts, { metadata });
  for (let i = 0; i < docs.length; i += batch) store.upsert(docs.slice(i, i + batch).map(toSource));
  const again = docs.filter((_, i) => i % 3 === 0);
  store.delete(again.map(({ id }) => id));
  store.upsert(again.map(toSource));
  return store;
}

test('exact search equals brute force, document by document and score by score, ties included', async () => {
  await check(
    fc.asyncProperty(
      corpus,
      queryTerms,
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 1, max: 25 }),
      async (docs, terms, batch, k) => {
        const store = indexed(docs, batch);
        const searcher = new Searcher(store, encoder);
        const query = quantizeQuery(
          terms.map(([termId]) => termId),
          terms.map(([, weight]) => weight),
        );
        const toScore = (integer: number) => (integer * store.settings.impactScale) / query.scale;
        const expected = bruteForce(docs, query, k).map(([id, score]) => [id, toScore(score)]);
        const ranked = () => searcher.rankVector(query, k).map(({ id, score }) => [id, score]);
        assert.equal(ranked(), expected);
        store.forceMerge();
        assert.equal(ranked(), expected);
        await store.close();
      },
    ),
  );
});

const condition = fc.oneof(
  fc.record({ year: fc.integer({ min: 1999, max: 2006 }) }),
  fc.record({
    year: fc.record({ gte: fc.integer({ min: 1999, max: 2006 }), lt: fc.integer({ min: 1999, max: 2006 }) }),
  }),
  fc.record({ lang: fc.constantFrom('en', 'de', 'xx') }),
  fc.record({
    lang: fc.record({ in: fc.array(fc.constantFrom('en', 'de', 'xx'), { minLength: 1, maxLength: 2 }) }),
  }),
  fc.record({ lang: fc.record({ exists: fc.boolean() }) }),
  fc.record({ open: fc.boolean() }),
);
const filter = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small' },
    condition as fc.Arbitrary<Filter>,
    fc.record({ and: fc.array(tie('filter'), { minLength: 1, maxLength: 2 }) }) as fc.Arbitrary<Filter>,
    fc.record({ or: fc.array(tie('filter'), { minLength: 1, maxLength: 2 }) }) as fc.Arbitrary<Filter>,
    fc.record({ not: tie('filter') }) as fc.Arbitrary<Filter>,
  ),
})).filter;

/** The meaning of a filter, document by document. */
function matches(filter: Filter, metadata: Metadata): boolean {
  return Object.entries(filter).every(([key, value]) => {
    if (key === 'and') return (value as Filter[]).every((inner) => matches(inner, metadata));
    if (key === 'or') return (value as Filter[]).some((inner) => matches(inner, metadata));
    if (key === 'not') return !matches(value as Filter, metadata);
    const raw = metadata[key];
    const values = (raw === undefined ? [] : Array.isArray(raw) ? raw : [raw]) as (
      | string
      | number
      | boolean
    )[];
    if (typeof value !== 'object') return values.includes(value as string);
    const {
      in: list,
      gte,
      lt,
      exists,
    } = value as { in?: string[]; gte?: number; lt?: number; exists?: boolean };
    if (list) return values.some((one) => list.includes(one as string));
    if (exists !== undefined) return values.length > 0 === exists;
    return values.some((one) => (one as number) >= gte!) && values.some((one) => (one as number) < lt!);
  });
}

test('filters keep exactly the matching documents, whichever way they are scored', async () => {
  await check(
    fc.asyncProperty(corpus, queryTerms, filter, async (docs, terms, filter) => {
      const store = indexed(docs, 25);
      const searcher = new Searcher(store, encoder);
      const query = quantizeQuery(
        terms.map(([termId]) => termId),
        terms.map(([, weight]) => weight),
      );
      const expected = bruteForce(
        docs.filter(({ metadata }) => matches(filter, metadata)),
        query,
        10,
      ).map(([id]) => id);
      assert.equal(
        searcher.rankVector(query, 10, { filter }).map(({ id }) => id),
        expected,
      );
      await store.close();
    }),
  );
});

test('facets count each value over the hits, and sorting orders the hits by a field, missing values last', async () => {
  await check(
    fc.asyncProperty(
      corpus,
      queryTerms,
      fc.constantFrom('asc' as const, 'desc' as const),
      async (docs, terms, order) => {
        const store = indexed(docs, 25);
        const searcher = new Searcher(store, encoder);
        const text = terms.map(([termId]) => `t${termId}`).join(' ');
        const byId = new Map(docs.map((doc) => [doc.id, doc]));
        const valuesOf = (id: string, field: string): (string | number)[] => {
          const raw = byId.get(id)!.metadata[field];
          return (raw === undefined ? [] : Array.isArray(raw) ? raw : [raw]) as (string | number)[];
        };
        const plain = searcher.search(text, { k: 100 }).hits.map(({ id }) => id);
        const { facets, hits } = searcher.search(text, {
          k: 100,
          facets: ['lang', 'open'],
          sort: { field: 'year', order },
        });
        for (const field of ['lang', 'open']) {
          const expected = new Map<unknown, number>();
          for (const id of plain)
            for (const value of new Set(valuesOf(id, field)))
              expected.set(value, (expected.get(value) ?? 0) + 1);
          assert.equal(new Map(facets![field]!.map(({ value, count }) => [value, count])), expected);
        }
        const key = (id: string) =>
          (valuesOf(id, 'year')[0] as number | undefined) ?? Number.POSITIVE_INFINITY;
        const sign = order === 'asc' ? 1 : -1;
        const signed = (id: string) => (key(id) === Number.POSITIVE_INFINITY ? key(id) : sign * key(id));
        const stable = [...plain].sort((a, b) =>
          signed(a) < signed(b) ? -1 : signed(a) > signed(b) ? 1 : 0,
        );
        assert.equal(
          hits.map(({ id }) => id),
          stable,
        );
        // Only the best two are looked at; the better of them by field comes first.
        const two = searcher.search(text, {
          k: 100,
          rankDepth: 2,
          sort: { field: 'year', order },
          facets: ['lang'],
        });
        assert.equal(two.hits.map(({ id }) => id).sort(), plain.slice(0, 2).sort());
        await store.close();
      },
    ),
    { numRuns: 40 },
  );
});

test('a filter on an undeclared field names it', async () => {
  const store = indexed([{ id: 'a', impacts: new Map([[1, 5]]), metadata: {} }], 1);
  const searcher = new Searcher(store, encoder);
  assert.throws(
    () => searcher.search('t1', { filter: { colour: 'red' } }),
    (e: { code: string; place: string }) => e.code === 'WINNOW_FILTER_FIELD' && e.place === 'filter.colour',
  );
  assert.throws(
    () => searcher.search('t1', { filter: { year: { near: 3 } } as Filter }),
    (e: { code: string }) => e.code === 'WINNOW_BAD_ARGUMENT',
  );
  for (const [place, options] of [
    ['sort.field', { sort: { field: 'colour' } }],
    ['facets', { facets: ['colour'] }],
  ] as const) {
    assert.throws(
      () => searcher.search('t1', options),
      (e: { code: string; place: string; hint: string }) =>
        e.code === 'WINNOW_FILTER_FIELD' && e.place === place && e.hint.includes('year'),
    );
  }
  await store.close();
});

test('the contributions of an explanation sum to the score, and its rank is the rank of the search', async () => {
  await check(
    fc.asyncProperty(corpus, queryTerms, async (docs, terms) => {
      const store = indexed(docs, 20);
      const searcher = new Searcher(store, encoder);
      const text = terms.map(([termId]) => `t${termId}`).join(' ');
      const { hits } = searcher.search(text, { k: 100, explain: true });
      hits.forEach(({ id, score, explanation }, i) => {
        const sum = explanation!.reduce((total, { contribution }) => total + contribution, 0);
        assert.ok(Math.abs(sum - score) < 1e-6 * Math.max(1, score), `${sum} is not ${score}`);
        assert.is(searcher.explain(text, id).rank, i + 1);
      });
      await store.close();
    }),
    { numRuns: 20 },
  );
});

test('BM25 equals Lucene’s formula computed directly', async () => {
  const word = fc.constantFrom('apple', 'pear', 'plum', 'fig', 'date');
  await check(
    fc.asyncProperty(
      fc.array(fc.array(word, { maxLength: 30 }), { minLength: 1, maxLength: 30 }),
      fc.array(word, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 31 }),
      async (texts, words, batch) => {
        const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
        const sources = texts.map((words, i) => source(`d${i}`, new Map(), { words: words.map(stem) }));
        for (let i = 0; i < sources.length; i += batch) store.upsert(sources.slice(i, i + batch));
        const average = Math.max(1, texts.reduce((sum, { length }) => sum + length, 0) / texts.length);
        const score = (text: string[]) =>
          words.reduce((sum, word) => {
            const df = texts.filter((other) => other.includes(word)).length;
            const tf = text.filter((other) => other === word).length;
            const idf = Math.log(1 + (texts.length - df + 0.5) / (df + 0.5));
            return sum + (idf * tf) / (tf + 0.9 * (1 - 0.4 + (0.4 * text.length) / average));
          }, 0);
        const searcher = new Searcher(store, encoder);
        const hits = searcher.rank(words.join(' '), 'bm25', 10);
        const best = texts
          .map(score)
          .filter((s) => s > 0)
          .sort((a, b) => b - a)
          .slice(0, 10);
        assert.is(hits.length, best.length);
        // Parts of a score are computed in f32.
        hits.forEach((hit, i) => {
          assert.ok(Math.abs(hit.score - best[i]!) < 1e-6, `${hit.score} is not ${best[i]}`);
          const text = texts[Number(hit.id.slice(1))]!;
          assert.ok(Math.abs(hit.score - score(text)) < 1e-6);
          const explained = searcher.explainWords(words.join(' '), hit.id);
          const sum = explained.reduce((total, { contribution }) => total + contribution, 0);
          assert.ok(Math.abs(hit.score - sum) < 1e-9, `explained as ${sum}, scored ${hit.score}`);
          assert.equal(
            new Map(explained.map(({ word, frequency }) => [word, frequency])),
            new Map(words.map((word) => [stem(word), text.filter((other) => other === word).length])),
          );
        });
        await store.close();
      },
    ),
    { numRuns: 40 },
  );
});

const stem = (word: string) => (word === 'apple' ? 'appl' : word);

test.run();
