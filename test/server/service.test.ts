import { once } from 'node:events';
import { readdirSync, renameSync, statSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { LIMITS, searchSteps } from '../../server/limits.ts';
import { createServer, type ServerOptions } from '../../server/server.ts';
import { type Asked, ask } from '../helpers/served.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('service');

interface Running {
  readonly engine: SearchIndex;
  readonly app: FastifyInstance;
  readonly port: number;
  readonly folder: string;
}
const running: Running[] = [];

/** A server over an index of words alone. */
async function start(options: ServerOptions = {}): Promise<Running> {
  const folder = join(tempFolder(), 'index');
  const engine = openIndex(folder, {
    create: true,
    lexicalOnly: true,
    filterFields: [{ name: 'year', type: 'number' }],
  });
  const app = await createServer(engine.backend, { log: 'silent', ...options });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const one = { engine, app, folder, port: (app.server.address() as net.AddressInfo).port };
  running.push(one);
  return one;
}

test.after.each(async () => {
  for (const { app, engine } of running.splice(0)) {
    await app.close();
    await engine.close();
  }
});

const NDJSON = { 'content-type': 'application/x-ndjson' };
const JSON_TYPE = { 'content-type': 'application/json' };
const upload = (rows: readonly unknown[]): Asked => ({
  method: 'POST',
  path: '/documents',
  headers: NDJSON,
  body: rows.map((row) => JSON.stringify(row)).join('\n'),
});
const search = (body: object): Asked => ({
  method: 'POST',
  path: '/search',
  headers: JSON_TYPE,
  body: JSON.stringify(body),
});
const read = (id: string): Asked => ({ method: 'GET', path: `/documents/${encodeURIComponent(id)}` });

/** Status and body of an answer. */
async function get(port: number, asked: Asked) {
  const { status, text, headers } = await ask(port, asked);
  return { status, headers, body: JSON.parse(text) as Record<string, unknown> };
}

/** An upload that has sent some rows and goes on sending nothing. */
function halfUpload(port: number, text: string): { request: http.ClientRequest; answer: Promise<string> } {
  const request = http.request({
    port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/documents',
    headers: NDJSON,
  });
  const answer = new Promise<string>((resolve) => {
    request.on('error', (error) => resolve(String(error)));
    request.on('response', async (response) => {
      let said = `${response.statusCode} `;
      for await (const chunk of response) said += chunk;
      resolve(said);
    });
  });
  request.write(text);
  return { request, answer };
}

test('a slow upload holds nobody up, ends by itself, and is told what it has done', async () => {
  const { port, engine } = await start({ bodyIdleMs: 400 });
  const row = (i: number) => `${JSON.stringify({ id: `slow-${i}`, text: `Slow parcel ${i}.` })}\n`;
  const rows = Array.from({ length: LIMITS.batchDocuments + 10 }, (_, i) => row(i)).join('');
  const slow = halfUpload(port, rows);
  await sleep(100);
  const started = performance.now();
  assert.is((await get(port, upload([{ id: 'quick', text: 'A quick one.' }]))).body.added, 1);
  assert.is((await get(port, { method: 'DELETE', path: '/documents/quick' })).status, 200);
  assert.ok(performance.now() - started < 300);
  const said = await slow.answer;
  assert.match(said, /^408 .*WINNOW_TIMEOUT.*256 documents of the rows before it are indexed/);
  assert.is(engine.stats().documents, LIMITS.batchDocuments);
});

test('a client that hangs up is not worked for, and its place is free again', async () => {
  const { port, engine } = await start();
  const line = `${JSON.stringify({ id: 'gone', text: 'Never acknowledged.' })}\n`;
  const clients = Array.from({ length: LIMITS.uploads }, () => halfUpload(port, line));
  await sleep(200);
  const refused = await get(port, upload([{ id: 'late', text: 'Too many.' }]));
  assert.equal(
    [refused.status, refused.body.code, refused.headers['retry-after']],
    [503, 'WINNOW_BUSY', '1'],
  );
  for (const { request } of clients) request.destroy();
  await sleep(200);
  assert.is((await get(port, upload([{ id: 'late', text: 'Room again.' }]))).body.added, 1);
  assert.is(engine.get('gone'), undefined);
});

test('closing answers uploads under way with 503 and ends', async () => {
  const { port, app } = await start();
  const half = halfUpload(port, '{"id":"a","text":"Half."}\n');
  const idle = net.connect({ port, host: '127.0.0.1' });
  idle.on('error', () => {});
  await once(idle, 'connect');
  await sleep(100);
  const started = performance.now();
  await app.close();
  assert.ok(performance.now() - started < LIMITS.closeMs + 1000);
  assert.match(await half.answer, /^503 .*WINNOW_BUSY/);
});

test('requests for other hosts, or from pages of other origins, are refused on every route', async () => {
  const { port } = await start({ allowHosts: ['Search.Example'], allowOrigins: ['https://app.example'] });
  const status = async (headers: Record<string, string>, method = 'GET', path = '/health') =>
    (await ask(port, { method, path, headers })).status;
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:7700',
    'a@localhost',
  ])
    assert.is(await status({ host }), 403, host);
  for (const host of [
    'localhost',
    'LOCALHOST:1',
    '127.0.0.1',
    '[::1]:7700',
    'localhost.',
    'search.example:80',
  ])
    assert.is(await status({ host }), 200, host);
  for (const origin of ['https://evil.example', 'null', `https://127.0.0.1:${port}`, 'http://127.0.0.1:1'])
    assert.is(await status({ origin }), 403, origin);
  assert.is(await status({ origin: `http://127.0.0.1:${port}` }), 200);
  const allowed = await ask(port, {
    method: 'GET',
    path: '/health',
    headers: { origin: 'https://app.example' },
  });
  assert.is(allowed.headers['access-control-allow-origin'], 'https://app.example');
  const preflight = { origin: 'https://app.example', 'access-control-request-method': 'DELETE' };
  assert.is(await status(preflight, 'OPTIONS', '/documents/a'), 204);
  for (const [method, path] of [
    ['POST', '/search'],
    ['POST', '/explain'],
    ['POST', '/documents'],
    ['DELETE', '/documents/a'],
    ['POST', '/snapshots'],
    ['GET', '/snapshots'],
    ['GET', '/openapi.json'],
    ['GET', '/nowhere'],
  ] as const) {
    const { status: code, body } = await get(port, { method, path, headers: { host: 'evil.example' } });
    assert.equal([code, body.code], [403, 'WINNOW_FORBIDDEN'], path);
  }
});

test('snapshots need a preflight, are for their owner alone, and the oldest of them go', async () => {
  const snapshots = join(tempFolder(), 'snapshots');
  const { port, folder } = await start({ snapshots, maxSnapshots: 2 });
  const post = (headers: Record<string, string>) => ({
    method: 'POST',
    path: '/snapshots',
    headers,
    body: '{}',
  });
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
    assert.is((await get(port, post({ 'content-type': type }))).status, 415);
  const names: unknown[] = [];
  for (let i = 0; i < 3; i++) names.push((await get(port, post(JSON_TYPE))).body.name);
  assert.equal(readdirSync(snapshots).sort(), names.slice(1));
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
  if (process.platform !== 'win32') {
    assert.equal(
      [mode(folder), mode(snapshots), mode(join(snapshots, `${names[2]}`))],
      ['700', '700', '700'],
    );
    const files = [...readdirSync(folder).map((name) => join(folder, name))];
    files.push(
      ...readdirSync(join(snapshots, `${names[2]}`)).map((name) => join(snapshots, `${names[2]}`, name)),
    );
    for (const file of files) assert.is(mode(file), '600', file);
  }
});

test('every id that can be written can be read and deleted', async () => {
  const { port } = await start();
  const ids = [
    'a'.repeat(512),
    'ü'.repeat(256),
    '漢'.repeat(170),
    'a/b?c#d%2F%',
    '..',
    ' ',
    '\u0001\n',
    '😀'.repeat(128),
  ];
  const added = await get(port, upload(ids.map((id) => ({ id, text: 'An id of its own.' }))));
  assert.is(added.body.added, ids.length);
  for (const id of ids) {
    assert.is((await get(port, read(id))).body.id, id);
    assert.is((await get(port, { ...read(id), method: 'DELETE' })).status, 200);
  }
});

test('names with line ends come back', async () => {
  const { port } = await start();
  const metadata = { 'a\nb': 1, '\u2028': { '\r': 2 } };
  await ask(port, upload([{ id: 'lines', text: 'Names over lines.', metadata }]));
  assert.equal((await get(port, read('lines'))).body.metadata, metadata);
});

test('every refusal has its status and one shape', async () => {
  const { port } = await start({ bodyLimit: 1000 });
  const post = (path: string, headers: Record<string, string>, body = '{}') => ({
    method: 'POST',
    path,
    headers,
    body,
  });
  for (const [asked, status, code] of [
    [{ method: 'GET', path: '/documents/%' }, 400, 'WINNOW_BAD_ARGUMENT'],
    [{ method: 'GET', path: `/documents/${'a'.repeat(3000)}` }, 414, 'WINNOW_TOO_LARGE'],
    [{ method: 'GET', path: `/${'a'.repeat(20_000)}` }, 431, 'WINNOW_TOO_LARGE'],
    [{ method: 'GET', path: '/nowhere' }, 404, 'WINNOW_NOT_FOUND'],
    [{ method: 'GET', path: '/s*arch' }, 404, 'WINNOW_NOT_FOUND'],
    [{ method: 'GET', path: '/(' }, 404, 'WINNOW_NOT_FOUND'],
    [{ method: 'GET', path: '/search' }, 405, 'WINNOW_METHOD'],
    [post('/documents/a', JSON_TYPE), 405, 'WINNOW_METHOD'],
    [post('/search', JSON_TYPE, `{"query":"${'a'.repeat(2000)}"}`), 413, 'WINNOW_TOO_LARGE'],
    [post('/search', { 'content-type': 'text/plain' }), 415, 'WINNOW_MEDIA_TYPE'],
    [post('/documents', JSON_TYPE), 415, 'WINNOW_MEDIA_TYPE'],
    [post('/documents', { ...NDJSON, 'content-encoding': 'br' }), 415, 'WINNOW_MEDIA_TYPE'],
    [post('/search', JSON_TYPE, '{broken'), 400, 'WINNOW_BAD_ARGUMENT'],
  ] as const) {
    const answer = await get(port, asked);
    assert.equal([answer.status, answer.body.code], [status, code], asked.path.slice(0, 30));
    assert.type(answer.body.message, 'string');
  }
  assert.is((await get(port, { method: 'GET', path: '/search' })).headers.allow, 'POST');
  const bare = await get(port, { method: 'POST', path: '/documents', body: '{"id":"a","text":"b"}' });
  assert.equal([bare.status, bare.body.message], [415, 'the request has no content type']);
  const socket = net.connect({ port, host: '127.0.0.1' });
  socket.end('no HTTP at all\r\n\r\n');
  let said = '';
  for await (const chunk of socket) said += chunk;
  assert.match(said, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.is(JSON.parse(said.split('\r\n\r\n')[1]!).code, 'WINNOW_BAD_ARGUMENT');
});

test('a body that does not arrive is a 408', async () => {
  const { port } = await start({ bodyIdleMs: 200 });
  const headers = { ...JSON_TYPE, 'content-length': '100' };
  const request = http.request({ port, host: '127.0.0.1', method: 'POST', path: '/search', headers });
  request.on('error', () => {});
  request.write('{"query"');
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  assert.is(response.statusCode, 408);
  request.destroy();
});

test('gzip is unpacked; one that is cut short, or a bomb, costs nothing', async () => {
  const { port, engine } = await start();
  const packed = gzipSync(JSON.stringify({ id: 'packed', text: 'Came in gzip.' }));
  const send = (body: Buffer) => ({
    method: 'POST',
    path: '/documents',
    headers: { ...NDJSON, 'content-encoding': 'gzip' },
    body,
  });
  assert.is((await get(port, send(packed))).body.added, 1);
  assert.is(engine.get('packed')?.text, 'Came in gzip.');
  for (const body of [packed.subarray(0, -9), Buffer.from('no gzip')]) {
    const answer = await get(port, send(body));
    assert.equal([answer.status, answer.body.code], [400, 'WINNOW_BAD_ROW']);
  }
  const bomb = await get(port, send(gzipSync(Buffer.alloc(LIMITS.unpackedBytes + 1_000_000, 'x'))));
  assert.equal([bomb.status, bomb.body.code], [413, 'WINNOW_TOO_LARGE']);
});

test('of rows with one id the last that the index takes wins, and both lines are told', async () => {
  const { port, engine } = await start();
  const rows = [
    { id: 'a', text: 'First.' },
    { id: 'b', text: 'Good.' },
    { id: 'a', text: 'Last.' },
    { id: 'b', text: 'Refused.', year: 'soon' },
    { id: 'c', text: 'Half a pair: \ud800.' },
  ];
  const { body } = await get(port, upload(rows));
  assert.equal(body.duplicates, {
    rows: 2,
    first: [
      { id: 'a', earlier: 1, later: 3 },
      { id: 'b', earlier: 2, later: 4 },
    ],
  });
  assert.equal([body.added, body.refused], [3, 1]);
  assert.equal(
    (body.errors as { line: number }[]).map(({ line }) => line),
    [4],
  );
  assert.is(engine.get('a')?.text, 'Last.');
  assert.is(engine.get('b')?.text, 'Good.');
  // The last row is what is stored already: the row before it must not replace it.
  const again = await get(
    port,
    upload([
      { id: 'a', text: 'Other.' },
      { id: 'a', text: 'Last.' },
    ]),
  );
  assert.equal([again.body.replaced, again.body.unchanged], [0, 1]);
  assert.is(engine.get('a')?.text, 'Last.');
});

test('a search is refused by the product of what it asks for', async () => {
  const { port } = await start();
  const words = 'harbour '.repeat(1200);
  const explained = await get(port, search({ query: words, k: 1000, explain: true }));
  assert.equal(
    [explained.status, explained.body.code, explained.body.place],
    [400, 'WINNOW_TOO_COSTLY', 'explain'],
  );
  assert.match(
    explained.body.message as string,
    /1200 query tokens x 1000 hits with explain: 1200000, and at most 50000/,
  );
  assert.is((await get(port, search({ query: words, k: 10, explain: true }))).status, 200);
  assert.is((await get(port, search({ query: words, k: 1000 }))).body.place, 'k');
  const filter = { or: Array.from({ length: 50_000 }, (_, i) => ({ year: i })) };
  const filtered = await get(port, search({ query: 'a', filter }));
  assert.equal([filtered.status, filtered.body.code], [400, 'WINNOW_TOO_COSTLY']);
  // Few conditions cost much over many documents.
  const twenty = { or: Array.from({ length: 20 }, (_, i) => ({ year: i })) };
  assert.ok(searchSteps({ filter: twenty }, { queryTokens: 1, documents: 1_000_000 }) > LIMITS.lightSteps);
  assert.throws(
    () => searchSteps({ filter: twenty }, { queryTokens: 1, documents: 10_000_000 }),
    /20 conditions x 10000000 documents/,
  );
});

test('heavy searches wait their turn, light ones come between them, and too many are a 503', async () => {
  const { port, engine } = await start();
  const text = 'Harbour light of the winter market. '.repeat(8);
  await engine.add(
    Array.from({ length: 1000 }, (_, i) => ({
      id: `${i}`,
      text: `${text} ${i}`,
    })),
  );
  const body = JSON.stringify({
    query: 'harbour light winter market '.repeat(12),
    mode: 'bm25',
    k: 1000,
    explain: true,
  });
  const asked = LIMITS.heavySearchesWaiting + 10;
  const head = `POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  // Over one connection, so that all are there before the first is answered.
  const socket = net.connect({ port, host: '127.0.0.1' });
  for (let i = 1; i < asked; i++) socket.write(`${head}\r\n${body}`);
  socket.write(`${head}connection: close\r\n\r\n${body}`);
  let said = '';
  let saidBeforeLight = '';
  const light = (async () => {
    await sleep(20);
    const { status } = await ask(port, search({ query: 'winter', mode: 'bm25', k: 1 }));
    saidBeforeLight = said;
    return status;
  })();
  for await (const chunk of socket) said += chunk;
  const statuses = (text: string) =>
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  assert.is(await light, 200);
  assert.equal(
    statuses(said),
    Array.from({ length: asked }, (_, i) => (i <= LIMITS.heavySearchesWaiting ? 200 : 503)),
  );
  assert.ok(statuses(saidBeforeLight).length < asked, 'the light one waited for all heavy ones');
});

test('no search has more time than the server gives it', async () => {
  const { engine, port } = await start();
  const budgets: unknown[] = [];
  const { backend } = engine;
  const search = backend.search.bind(backend);
  backend.search = ((request, signal) => {
    budgets.push(request.budgetMs);
    return search(request, signal);
  }) as typeof backend.search;
  for (const budgetMs of [undefined, 5, 1e6]) {
    const { status } = await ask(port, {
      method: 'POST',
      path: '/search',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: 'sky', budgetMs }),
    });
    assert.is(status, 200);
  }
  assert.equal(budgets, [LIMITS.budgetMs, 5, LIMITS.budgetMs]);
});

test('a server whose folder is gone says so and acknowledges no write', async () => {
  const { port, folder } = await start();
  assert.is((await get(port, { method: 'GET', path: '/health' })).status, 200);
  renameSync(folder, `${folder}-away`);
  const health = await get(port, { method: 'GET', path: '/health' });
  assert.equal([health.status, health.body.code], [503, 'WINNOW_UNHEALTHY']);
  assert.is((await get(port, upload([{ id: 'lost', text: 'Into the void.' }]))).status, 507);
});

test.run();
