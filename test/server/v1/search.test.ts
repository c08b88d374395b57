import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startV1, type V1Server } from './start.ts';

const test = suite('v1 search');
let server: V1Server;
const call: V1Server['call'] = (...given) => server.call(...given);

const ROWS = [
  {
    id: 'sky',
    title: 'Sky',
    text: 'The sky is blue because air scatters short wavelengths of sunlight.',
    year: 1871,
    kind: 'nature',
  },
  { id: 'car', title: 'Car', text: 'An automobile is driven by an engine.', year: 1886, kind: 'machine' },
  {
    id: 'sea',
    title: 'Sea',
    text: 'The sea looks blue, too, and reflects the sky.',
    year: 1900,
    kind: 'nature',
  },
];

test.before(async () => {
  server = await startV1();
  const fields = [
    { name: 'year', type: 'number' },
    { name: 'kind', type: 'string' },
  ];
  assert.is((await call('POST', '/collections', { name: 'learned', fields })).status, 201);
  assert.is((await call('POST', '/collections', { name: 'words', model: null, fields })).status, 201);
  for (const name of ['learned', 'words'])
    assert.is((await call('POST', `/collections/${name}/documents`, ROWS)).body.summary.added, 3);
});
test.after(() => server.close());

const search = async (name: string, request: object) =>
  (await call('POST', `/collections/${name}/search`, request)).body;
const ids = ({ hits }: { hits: { id: string }[] }) => hits.map(({ id }) => id);

test('every mode and stage answers, with where the time went', async () => {
  for (const mode of ['sparse', 'bm25', 'hybrid']) {
    const answer = await search('learned', { query: 'why is the sky blue', mode });
    assert.is(answer.mode, mode);
    assert.is(ids(answer)[0], 'sky');
    assert.ok(answer.timings.searchUs > 0 && answer.timings.hydrateUs > 0);
  }
  const { stages } = (await call('GET', '/collections/learned/stats')).body;
  for (const rerank of stages) {
    const answer = await search('learned', { query: 'why is the sky blue', rerank, explain: true });
    assert.ok(answer.hits[0].stages[rerank] !== undefined, rerank);
    assert.ok(answer.timings.rerankUs > 0);
  }
});

test('the default mode is that of the collection', async () => {
  assert.is((await search('learned', { query: 'blue sky' })).mode, 'sparse');
  const words = await search('words', { query: 'blue sky' });
  assert.equal([words.mode, ids(words)], ['bm25', ['sky', 'sea']]);
  await call('PATCH', '/collections/learned', { defaultMode: 'hybrid', description: 'both' });
  assert.is((await search('learned', { query: 'blue sky' })).mode, 'hybrid');
  const { settings } = (await call('GET', '/collections/learned')).body;
  assert.equal(settings, { defaultMode: 'hybrid', description: 'both' });
  await call('PATCH', '/collections/learned', { defaultMode: 'sparse' });
});

test('filters, facets, sort, paging, fields and highlights', async () => {
  const answer = await search('words', {
    query: 'blue',
    filter: { kind: 'nature' },
    facets: ['kind'],
    sort: { field: 'year', order: 'desc' },
  });
  assert.equal(ids(answer), ['sea', 'sky']);
  assert.equal(answer.facets.kind, [{ value: 'nature', count: 2 }]);
  const paged = await search('words', { query: 'blue', k: 1, offset: 1 });
  assert.is(paged.hits.length, 1);
  const bare = await search('words', { query: 'blue', fields: ['year', 'text'], highlight: false });
  const [hit] = bare.hits;
  const row = ROWS.find(({ id }) => id === hit.id)!;
  assert.equal([hit.metadata, hit.text, hit.snippet.parts], [{ year: row.year }, row.text, []]);
  assert.equal((await search('words', { query: 'blue', fields: [] })).hits[0].metadata, {});
});

test('the terms of a query can be sent as a vector, and give its hits and scores', async () => {
  const { items } = (
    await call('POST', '/collections/learned/encode', { texts: ['why is the sky blue'], kind: 'query' })
  ).body;
  const plain = await search('learned', { query: 'why is the sky blue', rerank: false });
  const given = await search('learned', { vector: items[0].terms, rerank: false });
  assert.equal(ids(given), ids(plain));
  given.hits.forEach(({ score }: { score: number }, i: number) => {
    assert.ok(Math.abs(score - plain.hits[i].score) < 1e-4 * plain.hits[i].score);
  });
  assert.ok(given.hits[0].snippet.parts.some(({ marked }: { marked: boolean }) => marked));
  for (const [body, place] of [
    [{ vector: { nosuchtoken: 1 } }, 'vector.nosuchtoken'],
    [{ vector: { sky: -1 } }, 'vector.sky'],
    [{ vector: { sky: 1 }, mode: 'hybrid' }, 'query'],
    [{}, 'query'],
  ] as const) {
    const bad = await call('POST', '/collections/learned/search', body);
    assert.is(bad.status, 400, JSON.stringify(body));
    assert.is(bad.body.place, place);
  }
});

test('texts are encoded as documents by the model', async () => {
  const texts = ['The sky is blue.', 'An engine.'];
  const { body } = await call('POST', '/collections/learned/encode', { texts });
  assert.is(body.items.length, 2);
  const weights = Object.values(body.items[0].terms) as number[];
  assert.ok(body.items[0].terms.sky > 0);
  assert.equal(
    weights,
    [...weights].sort((a, b) => b - a),
  );
  const words = await call('POST', '/collections/words/encode', { texts });
  assert.equal([words.status, words.body.code], [501, 'WINNOW_UNSUPPORTED']);
});

test('several searches are answered together, errors in their places', async () => {
  const { status, body } = await call('POST', '/multi-search', {
    searches: [
      { collection: 'words', query: 'engine' },
      { collection: 'none', query: 'engine' },
      { collection: 'words', query: 'engine', filter: { colour: 'red' } },
      { collection: 'learned', query: 'engine', k: 1 },
    ],
  });
  assert.is(status, 200);
  assert.equal(
    body.results.map(
      ({ hits, error }: { hits?: unknown[]; error?: { code: string } }) => error?.code ?? hits!.length,
    ),
    [1, 'WINNOW_NOT_FOUND', 'WINNOW_FILTER_FIELD', 1],
  );
});

test('a score of BM25 is explained by words also where there is a model', async () => {
  const { hits } = (await call('POST', '/collections/learned/search', { query: 'blue sky', mode: 'bm25' }))
    .body;
  const { id, score } = hits[0];
  const asked = { query: 'blue sky', id, mode: 'bm25', budgetMs: 1000 };
  const { body } = await call('POST', '/collections/learned/explain', asked);
  const sum = body.words.reduce(
    (total: number, word: { contribution: number }) => total + word.contribution,
    0,
  );
  assert.ok(Math.abs(sum - score) < 1e-9, `${sum}, and the hit has ${score}`);
  assert.is(body.rank, 1);
  assert.equal(body.tokens, []);
});

test('a score is explained', async () => {
  const { body } = await call('POST', '/collections/learned/explain', { query: 'blue sky', id: 'sea' });
  assert.is(body.id, 'sea');
  assert.ok(body.rank >= 1 && body.tokens.length > 0);
  const words = await call('POST', '/collections/words/explain', { query: 'blue sky', id: 'sea' });
  assert.ok(words.body.words.length > 0);
});

test('a parameter that does not exist is refused with the one that is meant', async () => {
  for (const [body, suggestion] of [
    [{ query: 'x', limit: 3 }, 'k'],
    [{ query: 'x', ofset: 3 }, 'offset'],
    [{ q: 'x' }, 'query'],
    [{ query: 'x', Filters: {} }, 'filter'],
    [{ query: 'x', budget_ms: 5 }, 'budgetMs'],
    [{ query: 'x', mode: 'bm-25' }, 'bm25'],
    [{ query: 'x', sort: { field: 'year', ordr: 'asc' } }, 'order'],
    [{ query: 'x', zzzzzzzz: 1 }, undefined],
  ] as const) {
    const { status, body: error } = await call('POST', '/collections/words/search', body);
    assert.is(status, 400);
    assert.is(error.code, 'WINNOW_BAD_ARGUMENT');
    assert.is(error.suggestion, suggestion, JSON.stringify([body, error]));
  }
});

test.run();
