import fc from 'fast-check';
import { Value } from 'typebox/value';
import { suite, type Test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SourceDocument } from '../../indexer/types.ts';
import type { SearchBackend } from '../../query/backend.ts';
import { MODES, type SearchRequest } from '../../query/request.ts';
import { EXPLANATION, SEARCH_RESPONSE } from '../../query/response.ts';
import { check } from '../helpers/property.ts';
import { codeOf } from '../helpers/thrown.ts';

/** Fields that every opened backend must have declared. */
export const CONTRACT_FIELDS = [
  { name: 'year', type: 'number' },
  { name: 'lang', type: 'string' },
] as const;

/** Opens a new and empty backend with {@link CONTRACT_FIELDS}. */
export type OpenBackend = () => Promise<SearchBackend>;

const CORPUS: readonly SourceDocument[] = [
  source('sky', 'The sky is blue because air scatters short wavelengths of sunlight.', {
    year: 1871,
    lang: 'en',
  }),
  source('sea', 'The sea looks blue, because water absorbs red light.', { year: 1922, lang: 'en' }),
  source('car', 'An automobile is driven by an engine that burns fuel.', { year: 1886, lang: 'de' }),
  source('bread', 'Bread is baked from flour, water and yeast.', { lang: 'fr' }),
  {
    id: 'guide',
    contentHash: 'guide',
    documents: [
      { title: 'Guide', text: 'Volcanoes erupt when magma rises.', metadata: { year: 2000 } },
      { title: 'Guide', text: 'The blue harbour lies below the volcano.', metadata: { year: 2000 } },
    ],
  },
];

const REQUESTS: readonly SearchRequest[] = MODES.flatMap((mode) =>
  ['why is the sky blue', 'volcano', 'water', 'engine of a car'].map((query) => ({ query, mode })),
);

function source(id: string, text: string, metadata: Record<string, string | number> = {}): SourceDocument {
  return { id, contentHash: `${id} of ${text.length}`, documents: [{ title: id, text, metadata }] };
}

/** What callers of a {@link SearchBackend} rely on. Each backend runs it in a test file of its own. */
export function contractSuite(name: string, open: OpenBackend): Test<{ backend: SearchBackend }> {
  const test = suite<{ backend: SearchBackend }>(`contract of ${name}`);

  test.before.each(async (context) => {
    context.backend = await open();
    await context.backend.write({ upserts: CORPUS });
  });
  test.after.each(({ backend }) => backend.close());

  test('what is written reads back equal', async ({ backend }) => {
    for (const { id, documents } of CORPUS) {
      const [first, ...others] = documents;
      const { title, text, metadata } = first!;
      if (others.length === 0) assert.equal(await backend.get(id), { id, title, text, metadata });
    }
    assert.equal((await backend.get({ id: 'guide', passage: 1 }))?.text, CORPUS[4]!.documents[1]!.text);
    assert.is(await backend.get('nobody'), undefined);
    const json = fc.dictionary(
      fc.string({ minLength: 1 }),
      fc.oneof(fc.string(), fc.boolean(), fc.integer()),
      { noNullPrototype: true },
    );
    await check(
      fc.asyncProperty(fc.string(), fc.string({ minLength: 1 }), json, async (title, text, extra) => {
        const document = { title, text, metadata: { extra } };
        await backend.write({ upserts: [{ id: 'any', contentHash: 'any', documents: [document] }] });
        assert.equal(await backend.get('any'), { id: 'any', ...document });
      }),
      { numRuns: 25 },
    );
  });

  test('writes report what they did, and the last source of an id wins', async ({ backend }) => {
    const report = await backend.write({
      upserts: [source('new', 'first'), source('sky', 'A new sky.'), source('new', 'second')],
      deletes: ['car', 'nobody'],
    });
    const counts = { added: 1, replaced: 1, duplicates: 1, mended: 0, unknownScript: 0, deleted: 1 };
    assert.equal(report, counts);
    assert.is((await backend.get('new'))?.text, 'second');
    assert.is(await backend.get('car'), undefined);
    assert.is((await backend.health()).documents, CORPUS.length + 1);
  });

  test('a batch with a source that cannot be stored is rejected whole, or without it', async ({
    backend,
  }) => {
    const bad = { id: 'bad', contentHash: 'h', documents: [{ text: 5 }] } as unknown as SourceDocument;
    const upserts = [source('good', 'A good one.'), bad];
    assert.is(await codeOf(() => backend.write({ upserts })), 'WINNOW_BAD_ROW document "bad", text');
    assert.is(await backend.get('good'), undefined);
    const rejected: unknown[] = [];
    const { added } = await backend.write({
      upserts,
      onRejected: (one, { code }, position) => rejected.push([one, code, position]),
    });
    assert.equal([added, rejected], [1, [[bad, 'WINNOW_BAD_ROW', 1]]]);
    assert.is((await backend.get('good'))?.text, 'A good one.');
  });

  test('content hashes and ids are those of the stored sources', async ({ backend }) => {
    const expected = new Map(CORPUS.map(({ id, contentHash }) => [id, contentHash]));
    assert.equal(
      new Map([...(await backend.contentHashes([...expected.keys(), 'nobody']))].sort()),
      new Map([...expected].sort()),
    );
    assert.is((await backend.contentHashes([])).size, 0);
    const ids: string[] = [];
    for await (const id of backend.sourceIds()) ids.push(id);
    assert.equal(ids.sort(), [...expected.keys()].sort());
  });

  test('a source that lost a passage has no content hash, so that the next run brings it back', async ({
    backend,
  }) => {
    assert.is((await backend.write({ deletes: [{ id: 'guide', passage: 0 }] })).deleted, 1);
    assert.is(await backend.get({ id: 'guide', passage: 0 }), undefined);
    assert.is((await backend.contentHashes(['guide'])).has('guide'), false);
    await backend.write({ upserts: [CORPUS[4]!] });
    assert.is((await backend.get({ id: 'guide', passage: 0 }))?.text, CORPUS[4]!.documents[0]!.text);
  });

  test('answers have the published shape, in descending order of score', async ({ backend }) => {
    for (const request of REQUESTS) {
      const response = await backend.search({ ...request, explain: true, facets: ['year', 'lang'] });
      assert.ok(Value.Check(SEARCH_RESPONSE, response), JSON.stringify(response));
      assert.ok(response.hits.length > 0, request.query);
      response.hits.forEach(({ score }, i) => {
        assert.ok(score >= 0 && (i === 0 || score <= response.hits[i - 1]!.score));
      });
      assert.is(response.complete, true);
    }
    assert.is((await backend.search({ query: 'why is the sky blue' })).hits[0]!.id, 'sky');
    assert.is((await backend.search({ query: 'who drives a car' })).hits[0]!.id, 'car');
  });

  test('pages put together are the whole ranking', async ({ backend }) => {
    for (const request of REQUESTS)
      for (const options of [{}, { groupByParent: true }, { sort: { field: 'year' } }]) {
        const whole = (await backend.search({ ...request, ...options, k: 100 })).hits;
        const pages = [];
        for (let offset = 0; offset < whole.length + 2; offset += 2)
          pages.push(...(await backend.search({ ...request, ...options, k: 2, offset })).hits);
        assert.equal(
          pages.map(({ id, passage, score }) => [id, passage, score]),
          whole.map(({ id, passage, score }) => [id, passage, score]),
        );
      }
  });

  test('filters, phrases and exclusions leave out what they should, and nothing else', async ({
    backend,
  }) => {
    const found = async (request: SearchRequest): Promise<string[]> =>
      (await backend.search({ k: 100, ...request })).hits.map(({ id }) => id).sort();
    for (const mode of MODES) {
      const all = await found({ query: 'blue water', mode });
      const kept = async (filter: NonNullable<SearchRequest['filter']>) =>
        found({ query: 'blue water', mode, filter });
      const years = new Map(CORPUS.map(({ id, documents }) => [id, documents[0]!.metadata?.year as number]));
      assert.equal(
        await kept({ year: { gte: 1900 } }),
        all.filter((id) => years.get(id)! >= 1900),
      );
      assert.equal(
        await kept({ lang: ['en', 'fr'] }),
        all.filter((id) => ['sky', 'sea', 'bread'].includes(id)),
      );
      assert.equal(
        await kept({ not: { year: { exists: true } } }),
        all.filter((id) => id === 'bread'),
      );
      assert.equal(await found({ query: 'blue "blue because"', mode }), ['sea', 'sky']);
      assert.equal(await found({ query: 'blue -water -harbour', mode }), ['sky']);
    }
  });

  test('sort, facets and groups count and order by what is stored', async ({ backend }) => {
    const query = 'blue volcano';
    const mode = 'bm25';
    const { hits, facets } = await backend.search({
      query,
      mode,
      sort: { field: 'year', order: 'desc' },
      facets: ['year', 'lang'],
    });
    assert.equal(
      hits.map(({ metadata }) => metadata.year),
      [2000, 2000, 1922, 1871],
    );
    assert.equal(facets, {
      year: [
        { value: 2000, count: 2 },
        { value: 1871, count: 1 },
        { value: 1922, count: 1 },
      ],
      lang: [{ value: 'en', count: 2 }],
    });
    const grouped = await backend.search({ query, mode, groupByParent: true });
    assert.is(grouped.hits.filter(({ id }) => id === 'guide').length, 1);
  });

  test('an explanation adds up to the score of the hit and names its rank', async ({ backend }) => {
    for (const query of ['why is the sky blue', 'volcano']) {
      const { hits } = await backend.search({ query, k: 100 });
      for (const [i, { id, passage, score }] of hits.entries()) {
        const document = passage === undefined ? id : { id, passage };
        const explained = await backend.explain({ query, document });
        assert.ok(Value.Check(EXPLANATION, explained), JSON.stringify(explained));
        assert.equal([explained.id, explained.passage, explained.score], [id, passage, score]);
        assert.is(explained.rank, i + 1);
        const sum = explained.tokens.reduce((total, { contribution }) => total + contribution, 0);
        assert.ok(Math.abs(sum - score) < 1e-3 * score, `${sum} is not ${score}`);
      }
    }
    assert.is(
      (await codeOf(() => backend.explain({ query: 'sky', document: 'nobody' }))).split(' ')[0],
      'WINNOW_NOT_FOUND',
    );
  });

  test('requests that make no sense are refused by name', async ({ backend }) => {
    const cases: readonly (readonly [object, string])[] = [
      [{ query: '' }, 'WINNOW_BAD_ARGUMENT query'],
      [{ query: 'a', k: 0 }, 'WINNOW_BAD_ARGUMENT k'],
      [{ query: 'a', k: 1001 }, 'WINNOW_BAD_ARGUMENT k'],
      [{ query: 'a', mode: 'dense' }, 'WINNOW_BAD_ARGUMENT mode'],
      [{ query: 'a', pasages: 1 }, 'WINNOW_BAD_ARGUMENT pasages'],
      [{ query: 'a', filter: { colour: 'red' } }, 'WINNOW_FILTER_FIELD filter.colour'],
      [{ query: 'a', sort: { field: 'colour' } }, 'WINNOW_FILTER_FIELD sort.field'],
      [{ query: 'a', facets: ['colour'] }, 'WINNOW_FILTER_FIELD facets'],
    ];
    for (const [request, expected] of cases)
      assert.is(await codeOf(() => backend.search(request as SearchRequest)), expected);
    assert.is(
      await codeOf(() => backend.write({ deletes: [5 as never] })),
      'WINNOW_BAD_ARGUMENT documents[0]',
    );
  });

  test('health, stats and sizes describe the index', async ({ backend }) => {
    const documents = CORPUS.reduce((sum, { documents }) => sum + documents.length, 0);
    const health = await backend.health();
    assert.is(health.documents, documents);
    assert.is(health.maintenanceError, undefined);
    const { sources, model } = await backend.stats();
    assert.equal([sources, model], [CORPUS.length, health.model]);
    await backend.write({ deletes: ['sky'] });
    assert.ok((await backend.health()).generation > health.generation);
    assert.is((await backend.searchSize('blue sky')).queryTokens, 2);
    assert.is(backend.window.countTokens('blue sky'), 2);
    assert.ok(backend.window.maxTokens >= 16);
    assert.is(backend.capabilities.snapshots, backend.takeSnapshot !== undefined);
  });

  test('an aborted search throws its reason', async ({ backend }) => {
    const reason = new Error('nobody waits');
    try {
      await backend.search({ query: 'sky' }, AbortSignal.abort(reason));
      assert.unreachable();
    } catch (error) {
      assert.is(error, reason);
    }
  });

  test('nothing works after close, which may be called twice', async ({ backend }) => {
    await Promise.all([backend.close(), backend.close()]);
    for (const action of [
      () => backend.search({ query: 'sky' }),
      () => backend.get('sky'),
      () => backend.write({ upserts: [source('late', 'late')] }),
      () => backend.write({ deletes: ['sky'] }),
    ])
      assert.is((await codeOf(action)).split(' ')[0], 'WINNOW_INDEX_CLOSED');
  });

  return test;
}
