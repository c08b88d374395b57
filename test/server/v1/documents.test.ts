import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lines, startV1, type V1Server } from './start.ts';

const test = suite('v1 documents');
let server: V1Server;
const call: V1Server['call'] = (...given) => server.call(...given);
const DOCS = '/collections/words/documents';

test.before.each(async () => {
  server = await startV1({ bodyIdleMs: 3000 });
  const fields = [{ name: 'year', type: 'number' }];
  await call('POST', '/collections', { name: 'words', model: null, fields });
});
test.after.each(() => server.close());

test('NDJSON is answered line by line, and a bad line does not refuse the others', async () => {
  const rows = [
    { id: 'a', text: 'The first parcel.', year: 2001 },
    'no json',
    { id: 'b', text: 'The second parcel.', metadata: { year: 2002 } },
    { id: 'c', text: 'Bad year.', year: 'soon' },
    { id: 'a', text: 'The first parcel, again.' },
    { id: 'd' },
  ];
  const { status, body } = await call('POST', DOCS, lines(rows));
  assert.is(status, 200);
  const byLine = (body as { line?: number; id?: string; status?: string; error?: { code: string } }[])
    .filter(({ line }) => line !== undefined)
    .sort((x, y) => x.line! - y.line!);
  assert.equal(
    byLine.map(({ line, id, status, error }) => [line, id, status, error?.code]),
    [
      [1, 'a', 'superseded', undefined],
      [2, undefined, 'failed', 'WINNOW_BAD_ROW'],
      [3, 'b', 'added', undefined],
      [4, 'c', 'failed', 'WINNOW_BAD_ROW'],
      [5, 'a', 'added', undefined],
      [6, 'd', 'failed', 'WINNOW_BAD_ROW'],
    ],
  );
  const summary = { added: 2, replaced: 0, unchanged: 0, superseded: 1, failed: 3, mended: 0 };
  assert.equal(body.at(-1), { summary });
  const errors = await call('POST', `${DOCS}?results=errors`, lines(rows));
  assert.equal(errors.body.length, 4);
  assert.equal((await call('POST', `${DOCS}?results=none`, lines(rows))).body.length, 1);
});

test('documents are added, unchanged, replaced; insert refuses what is there', async () => {
  const one = { id: 'a', text: 'A parcel.' };
  const status = async (query: string, row: object) => {
    const { body } = await call('POST', `${DOCS}${query}`, [row]);
    return [body.results[0].status, body.results[0].error?.code];
  };
  assert.equal(await status('?mode=insert', one), ['added', undefined]);
  assert.equal(await status('', one), ['unchanged', undefined]);
  assert.equal(await status('', { ...one, text: 'Another.' }), ['replaced', undefined]);
  assert.equal(await status('?mode=insert', one), ['failed', 'WINNOW_ALREADY_EXISTS']);
  assert.is((await call('GET', `${DOCS}/a`)).body.text, 'Another.');
  const single = await call('POST', DOCS, { id: 'b' });
  assert.equal([single.status, single.body.code], [400, 'WINNOW_BAD_ROW']);
  assert.equal((await call('POST', DOCS, { id: 'b', text: 'B.' })).body.summary.added, 1);
});

test('metadata is changed without touching the text, in filters too', async () => {
  await call('POST', DOCS, [{ id: 'a', text: 'A parcel.', year: 2001, kind: 'letter' }]);
  const changed = await call('PATCH', `${DOCS}/a`, {
    metadata: { year: 2010, kind: null, seen: [1, { x: true }] },
  });
  assert.is(changed.status, 200);
  assert.equal(changed.body, {
    id: 'a',
    title: '',
    text: 'A parcel.',
    metadata: { year: 2010, seen: [1, { x: true }] },
  });
  const found = async (year: number) =>
    (await call('POST', '/collections/words/search', { query: 'parcel', filter: { year } })).body.hits.length;
  assert.equal([await found(2001), await found(2010)], [0, 1]);
  const bad = await call('PATCH', `${DOCS}/a`, { metadata: { year: 'soon' } });
  assert.equal([bad.status, bad.body.code], [400, 'WINNOW_BAD_ROW']);
  assert.is((await call('PATCH', `${DOCS}/none`, { metadata: {} })).status, 404);
  assert.is(
    (await call('POST', DOCS, [{ id: 'a', text: 'A parcel.', year: 2001 }])).body.results[0].status,
    'replaced',
  );
});

test('documents are deleted by id and by filter, and exported as they can be added again', async () => {
  const rows = Array.from({ length: 300 }, (_, i) => ({
    id: `d${i}`,
    text: `Parcel ${i}.`,
    year: 2000 + (i % 3),
  }));
  await call('POST', DOCS, lines(rows));
  assert.is((await call('POST', `${DOCS}/delete`, { ids: ['d0', 'd1', 'none'] })).body.deleted, 2);
  assert.is((await call('POST', `${DOCS}/delete`, { filter: { year: { gte: 2002 } } })).body.deleted, 100);
  // Some clients name the type of every request, also of those without a body.
  const options = { method: 'DELETE', headers: { 'content-type': 'application/json' } };
  const deleted = await fetch(`http://127.0.0.1:${server.port}/v1${DOCS}/d3`, options);
  assert.equal(await deleted.json(), { deleted: 1 });
  assert.is((await call('DELETE', `${DOCS}/d3`)).status, 404);
  assert.is((await call('POST', `${DOCS}/delete`, {})).status, 400);
  const bad = await call('POST', `${DOCS}/delete`, { filter: { colour: 'red' } });
  assert.equal([bad.status, bad.body.code], [400, 'WINNOW_FILTER_FIELD']);
  const exported = await call('GET', `${DOCS}?format=ndjson`);
  assert.is(exported.body.length, 197);
  await call('POST', '/collections', { name: 'copy', model: null });
  const copied = await call('POST', '/collections/copy/documents', lines(exported.body));
  assert.is(copied.body.at(-1).summary.added, 197);
});

test('long texts are cut into passages, which keep changed metadata', async () => {
  const text = Array.from({ length: 900 }, (_, i) => `Sentence ${i} about harbours and parcels.`).join(' ');
  await call('POST', DOCS, [{ id: 'long', title: 'Long', text, year: 1 }]);
  const whole = (await call('GET', `${DOCS}/long`)).body;
  assert.ok(whole.passages.length > 3);
  await call('PATCH', `${DOCS}/long`, { metadata: { year: 2 } });
  const patched = (await call('GET', `${DOCS}/long`)).body;
  assert.equal(patched, { ...whole, metadata: { year: 2 } });
  assert.equal((await call('GET', `${DOCS}/long?passage=1`)).body.metadata, { year: 2 });
  assert.equal((await call('GET', '/collections/words')).body.documents, whole.passages.length);
});

/** A request whose body goes on for as long as the test likes. */
function upload(): { request: http.ClientRequest; response: Promise<http.IncomingMessage> } {
  const request = http.request({
    port: server.port,
    host: '127.0.0.1',
    method: 'POST',
    path: `/v1${DOCS}`,
    headers: { 'content-type': 'application/x-ndjson' },
  });
  request.on('error', () => {});
  const response = once(request, 'response').then(([one]) => one as http.IncomingMessage);
  response.catch(() => {});
  return { request, response };
}

const row = (i: number): string => `${JSON.stringify({ id: `u${i}`, text: `Parcel ${i}.` })}\n`;

test('results come while the body is still being sent', async () => {
  const { request, response } = upload();
  for (let i = 0; i < 200; i++) request.write(row(i));
  const answer = await response;
  const [first] = await once(answer, 'data');
  assert.match(String(first), /^\{"line":1,"id":"u0","status":"added"\}/);
  request.end(row(200));
  let rest = String(first);
  for await (const chunk of answer) rest += chunk;
  assert.match(rest, /"summary":\{"added":201,/);
});

test('a client that hangs up is not worked for, and one that stops sending learns what is stored', async () => {
  const gone = upload();
  gone.request.write(row(0));
  await sleep(50);
  gone.request.destroy();
  const slow = upload();
  for (let i = 1; i < 200; i++) slow.request.write(row(i));
  let text = '';
  for await (const chunk of await slow.response) text += chunk;
  const last = JSON.parse(text.trim().split('\n').at(-1)!);
  assert.equal([last.summary.added, last.error.code], [128, 'WINNOW_TIMEOUT']);
  assert.is((await call('GET', `${DOCS}/u0`)).status, 404);
  assert.is((await call('GET', `${DOCS}/u1`)).status, 200);
});

test('a body that is no documents is an error before any answer', async () => {
  const bad = await fetch(`http://127.0.0.1:${server.port}/v1${DOCS}`, {
    method: 'POST',
    body: 'x',
    headers: { 'content-type': 'text/plain' },
  });
  assert.is(bad.status, 415);
  assert.is((await call('POST', '/collections/none/documents', '{}')).status, 404);
  assert.equal((await call('POST', DOCS, '')).body, [
    { summary: { added: 0, replaced: 0, unchanged: 0, superseded: 0, failed: 0, mended: 0 } },
  ]);
});

test.run();
