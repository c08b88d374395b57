import { cpSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { restoreSnapshot } from '../../indexer/admin/restore.ts';
import { createServer } from '../../server/server.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('HTTP API');
let engine: SearchIndex;
let app: FastifyInstance;
let base: string;
let snapshots: string;

test.before(async () => {
  engine = openIndex(tempFolder(), {
    create: true,
    threads: 0,
    filterFields: [{ name: 'year', type: 'number' }],
  });
  snapshots = join(tempFolder(), 'snapshots');
  app = await createServer(engine.backend, { snapshots });
  base = await app.listen({ port: 0, host: '127.0.0.1' });
});

test.after(async () => {
  await app.close();
  await engine.close();
});

const ndjson = (rows: readonly unknown[]): string =>
  rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n');

async function call(method: string, path: string, body?: unknown, type = 'application/json') {
  const response = await fetch(base + path, {
    method,
    ...(body === undefined
      ? {}
      : { body: typeof body === 'string' ? body : JSON.stringify(body), headers: { 'content-type': type } }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const post = (rows: readonly unknown[]) => call('POST', '/documents', ndjson(rows), 'application/x-ndjson');

test('documents come in as NDJSON, are found, fetched and deleted', async () => {
  const rows = [
    {
      id: 'sky',
      title: 'Sky',
      text: 'The sky is blue because air scatters short wavelengths of sunlight.',
      year: 1871,
    },
    { id: 'car', title: 'Car', text: 'An automobile is driven by an engine.', year: 1886 },
  ];
  const clean = { mended: 0, duplicates: { rows: 0, first: [] }, refused: 0, errors: [] };
  assert.equal((await post(rows)).body, { added: 2, replaced: 0, unchanged: 0, ...clean });
  assert.equal((await post(rows)).body, { added: 0, replaced: 0, unchanged: 2, ...clean });
  const found = await call('POST', '/search', { query: 'why is the sky blue', explain: true });
  assert.is(found.status, 200);
  const [hit] = found.body.hits as { id: string; explanation: { token: string; origin: string }[] }[];
  assert.is(hit!.id, 'sky');
  assert.is(hit!.explanation.find(({ token }) => token === 'blue')!.origin, 'text');
  const explained = await call('POST', '/explain', { query: 'driving cars', id: 'car' });
  assert.is(explained.body.rank, 1);
  assert.is((await call('POST', '/explain', { query: 'driving cars', id: 'none' })).status, 404);
  const published = { query: 'driving cars', idf: 'table' };
  const [byTable] = (await call('POST', '/search', published)).body.hits as { score: number }[];
  assert.is((await call('POST', '/explain', { ...published, id: 'car' })).body.score, byTable!.score);
  assert.is.not(byTable!.score, explained.body.score);
  const counted = await call('POST', '/search', {
    query: 'sky automobile',
    facets: ['year'],
    sort: { field: 'year', order: 'desc' },
  });
  assert.equal(
    (counted.body.hits as { id: string }[]).map(({ id }) => id),
    ['car', 'sky'],
  );
  assert.equal(counted.body.facets, {
    year: [
      { value: 1871, count: 1 },
      { value: 1886, count: 1 },
    ],
  });
  const undeclared = await call('POST', '/search', { query: 'sky', facets: ['colour'] });
  assert.is(undeclared.status, 400);
  assert.is(undeclared.body.code, 'WINNOW_FILTER_FIELD');
  const filtered = await call('POST', '/search', { query: 'sky engine', filter: { year: { gt: 1880 } } });
  assert.equal(
    (filtered.body.hits as { id: string }[]).map(({ id }) => id),
    ['car'],
  );
  assert.is((await call('GET', '/documents/car')).body.title, 'Car');
  assert.is((await call('GET', '/health')).body.documents, 2);
  assert.equal((await call('DELETE', '/documents/car')).body, { deleted: 1 });
  assert.is((await call('GET', '/documents/car')).status, 404);
  assert.is((await call('DELETE', '/documents/car')).body.code, 'WINNOW_NOT_FOUND');
});

test('a long document becomes passages that are found, fetched and deleted together', async () => {
  const text = Array.from(
    { length: 90 },
    (_, i) => `Sentence ${i} tells of lighthouses and of the sea.`,
  ).join(' ');
  assert.is((await post([{ id: 'long', title: 'Coast', text }])).body.added, 1);
  const whole = await call('GET', '/documents/long');
  assert.is(whole.status, 200);
  const passages = whole.body.passages as number[];
  assert.ok(passages.length > 1);
  assert.equal(passages, [...passages.keys()]);
  const found = await call('POST', '/search', { query: 'lighthouses', groupByParent: true });
  const hits = found.body.hits as { id: string; passage?: number }[];
  assert.equal(
    hits.map(({ id }) => id).filter((id) => id === 'long'),
    ['long'],
  );
  assert.type(hits[0]!.passage, 'number');
  const second = await call('GET', '/documents/long?passage=1');
  assert.equal([second.body.id, second.body.passage], ['long', 1]);
  const explained = await call('POST', '/explain', { query: 'lighthouses', id: 'long', passage: 1 });
  assert.equal([explained.body.id, explained.body.passage], ['long', 1]);
  assert.equal((await call('DELETE', '/documents/long?passage=1')).body, { deleted: 1 });
  assert.is((await call('GET', '/documents/long?passage=1')).status, 404);
  assert.is((await call('GET', '/documents/long?passage=-1')).status, 400);
  // The source lost a passage, so the same row is not "unchanged".
  assert.is((await post([{ id: 'long', title: 'Coast', text }])).body.replaced, 1);
  assert.is((await call('GET', '/documents/long?passage=1')).status, 200);
  assert.equal((await call('DELETE', '/documents/long')).body, { deleted: 1 });
  assert.is((await call('GET', '/documents/long?passage=0')).status, 404);
});

test('metadata of any JSON comes back equal and can be deleted; what JSON cannot say costs only its row', async () => {
  const metadata = '{"__proto__":{"a":[1,"x",null]},"constructor":1,"":{"deep":{"er":[true]}},"none":null}';
  const answer = await post([
    `{"id":"odd","text":"An odd page about orchards.","metadata":${metadata}}`,
    '{"id":"half","text":"A page about harbours.","\\ud800":"\\udc00 x"}',
    '{"id":"huge","text":"A page about numbers.","n":1e999}',
    `{"id":"deep","text":"A page about depth.","n":${'['.repeat(2000)}${']'.repeat(2000)}}`,
  ]);
  assert.is(answer.body.added, 2);
  assert.equal(
    (answer.body.errors as { line: number; code: string }[]).map(({ line, code }) => [line, code]),
    [
      [3, 'WINNOW_BAD_ROW'],
      [4, 'WINNOW_BAD_ROW'],
    ],
  );
  const odd = await fetch(`${base}/documents/odd`);
  const body = JSON.parse(await odd.text());
  assert.is(JSON.stringify(body.metadata), metadata);
  const { hits } = (await call('POST', '/search', { query: 'orchards', k: 1 })).body as {
    hits: { metadata: object }[];
  };
  assert.is(JSON.stringify(hits[0]!.metadata), metadata);
  assert.equal((await call('GET', '/documents/half')).body.metadata, { '\ufffd': '\ufffd x' });
  for (const id of ['odd', 'half'])
    assert.equal((await call('DELETE', `/documents/${id}`)).body, { deleted: 1 });
});

test('bad rows are named by line and cost only themselves', async () => {
  const answer = await post([
    { id: 'ok', text: 'A good row.' },
    '{broken',
    { id: 'empty', text: ' ' },
    { text: 'no id' },
  ]);
  assert.is(answer.status, 200);
  assert.is(answer.body.added, 1);
  assert.equal(
    (answer.body.errors as { line: number; code: string }[]).map(({ line, code }) => [line, code]),
    [
      [2, 'WINNOW_BAD_ROW'],
      [3, 'WINNOW_EMPTY_TEXT'],
      [4, 'WINNOW_BAD_ROW'],
    ],
  );
  const mistyped = await post([
    { id: 'typed', text: 'A year that is none.', year: 'soon' },
    { id: 'fine', text: 'A year that is one.', year: 2020 },
  ]);
  assert.is(mistyped.body.added, 1);
  assert.equal(
    (mistyped.body.errors as { line: number; code: string }[]).map(({ line, code }) => [line, code]),
    [[1, 'WINNOW_BAD_ROW']],
  );
  assert.is((await call('GET', '/documents/typed')).status, 404);
  const allBad = await post(['{broken']);
  assert.is(allBad.status, 400);
  assert.is(allBad.body.place, 'request body:1');
});

test('a request that does not fit its schema is a 400 that names the field', async () => {
  for (const [body, place] of [
    [{ query: '' }, 'query'],
    [{ query: 'a', k: 0 }, 'k'],
    [{ query: 'a', k: 1.5 }, 'k'],
    [{ query: 'a', mode: 'dense' }, 'mode'],
    [{ query: 'a', mode: 'hybrid', sparseWeight: 2 }, 'sparseWeight'],
  ] as const) {
    const answer = await call('POST', '/search', body);
    assert.is(answer.status, 400);
    assert.is(answer.body.code, 'WINNOW_BAD_ARGUMENT');
    assert.is(answer.body.place, place);
  }
  assert.is((await call('POST', '/search', { query: 'a', colour: 1 })).status, 400);
  assert.is((await call('POST', '/search', '{broken')).status, 400);
  assert.is(
    (await call('POST', '/search', { query: 'a', filter: { colour: 'red' } })).body.code,
    'WINNOW_FILTER_FIELD',
  );
  assert.is((await call('POST', '/documents', '{}', 'text/plain')).status, 415);
  assert.is((await call('GET', '/nowhere')).body.code, 'WINNOW_NOT_FOUND');
});

test('additions that come at once are all indexed, and searches go on between them', async () => {
  const answers = await Promise.all([
    ...Array.from({ length: 6 }, (_, i) =>
      post([{ id: `at-once-${i}`, text: `Parcel ${i} arrives at the harbour.` }]),
    ),
    ...Array.from({ length: 6 }, () => call('POST', '/search', { query: 'harbour parcel' })),
  ]);
  assert.ok(answers.every(({ status }) => status === 200));
  for (let i = 0; i < 6; i++) assert.is((await call('GET', `/documents/at-once-${i}`)).status, 200);
});

test('the OpenAPI description lists the routes', async () => {
  const { body } = await call('GET', '/openapi.json');
  const paths = Object.keys(body.paths as object);
  assert.ok(paths.includes('/v1/collections/{c}/search'));
  assert.equal(
    paths.filter((path) => !path.startsWith('/v1/')),
    ['/search', '/explain', '/documents', '/documents/{id}', '/snapshots', '/health', '/healthz', '/readyz'],
  );
});

test('snapshots go into the folder that the server was started with, and into no other', async () => {
  await post([{ id: 'kept', text: 'A page that a snapshot keeps.' }]);
  assert.is((await call('POST', '/snapshots', { path: '/tmp/elsewhere' })).status, 400);
  const taken = await call('POST', '/snapshots', {});
  assert.is(taken.status, 200);
  const name = String(taken.body.name);
  assert.equal(readdirSync(snapshots), [name]);
  const listed = (await call('GET', '/snapshots')).body.snapshots as { name: string; documents: number }[];
  assert.equal(
    listed.map((snapshot) => snapshot.name),
    [name],
  );
  // One that is broken, or of another format, does not hide the others.
  mkdirSync(join(snapshots, 'broken'));
  writeFileSync(join(snapshots, 'broken', 'snapshot.json'), 'no JSON');
  cpSync(join(snapshots, name), join(snapshots, 'older'), { recursive: true });
  const info = JSON.parse(readFileSync(join(snapshots, name, 'snapshot.json'), 'utf8'));
  writeFileSync(join(snapshots, 'older', 'snapshot.json'), JSON.stringify({ ...info, formatVersion: 3 }));
  cpSync(join(snapshots, name), join(snapshots, 'short'), { recursive: true });
  truncateSync(join(snapshots, 'short', 'index.mdb'), 4096);
  const all = await call('GET', '/snapshots');
  assert.is(all.status, 200);
  assert.equal(all.body.snapshots, listed);
  const unusable = all.body.unusable as { name: string; code: string; hint: string }[];
  assert.equal(
    unusable.map((one) => [one.name, one.code]),
    [
      ['broken', 'WINNOW_SNAPSHOT_INVALID'],
      ['older', 'WINNOW_INDEX_VERSION'],
      ['short', 'WINNOW_SNAPSHOT_INVALID'],
    ],
  );
  assert.match(unusable[1]!.hint, 'winnow restore');

  const restored = tempFolder();
  await restoreSnapshot(join(snapshots, name), restored);
  const copy = openIndex(restored, { readOnly: true });
  assert.is(copy.get('kept')?.text, 'A page that a snapshot keeps.');
  assert.is(copy.stats().documents, listed[0]!.documents);
  await copy.close();

  const bare = await createServer(engine.backend);
  const refused = await bare.inject({ method: 'POST', url: '/snapshots', payload: {} });
  assert.is(refused.statusCode, 404);
  assert.is(refused.json().code, 'WINNOW_NOT_FOUND');
  await bare.close();
});

test.run();
