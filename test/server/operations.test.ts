import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, renameSync, statSync } from 'node:fs';
import https from 'node:https';
import type net from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Lane } from '../../app/lane.ts';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { WinnowError } from '../../errors.ts';
import { createKey, keyFileOf } from '../../server/keys/key-file.ts';
import { createServer, type ServerOptions } from '../../server/server.ts';
import { reloadTls } from '../../server/tls.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('operations');

interface Running {
  readonly app: FastifyInstance;
  readonly index: SearchIndex;
  readonly folder: string;
}
const running: Running[] = [];

async function start(
  options: ServerOptions = {},
): Promise<Running & { ask: (asked: InjectOptions) => ReturnType<typeof ask> }> {
  const folder = join(tempFolder(), 'index');
  const index = openIndex(folder, { create: true, lexicalOnly: true });
  const app = await createServer(index.backend, { log: 'silent', keys: keyFileOf(folder), ...options });
  const one = { app, index, folder };
  running.push(one);
  return { ...one, ask: (asked) => ask(app, asked) };
}

const ask = (app: FastifyInstance, asked: InjectOptions) =>
  app.inject({ ...asked, headers: { host: 'localhost', ...asked.headers } });

test.after.each(async () => {
  for (const { app, index } of running.splice(0)) {
    await app.close();
    await index.close();
  }
});

const NDJSON = { 'content-type': 'application/x-ndjson' };
const row = (id: string): InjectOptions => ({
  method: 'POST',
  url: '/documents',
  headers: NDJSON,
  payload: JSON.stringify({ id, text: `Text of ${id}.` }),
});
const SEARCH: InjectOptions = { method: 'POST', url: '/search', payload: { query: 'text', mode: 'bm25' } };

test('answers, errors and logs have the id of the request: a well-formed one of the client, else a new one', async () => {
  const { ask } = await start();
  const named = await ask({ url: '/health', headers: { 'x-request-id': 'trace-1.A_b' } });
  assert.is(named.headers['x-request-id'], 'trace-1.A_b');
  const ids = new Set<unknown>();
  for (const given of ['', 'two words', 'x'.repeat(129), 'a"b', 'line\u0080']) {
    const { headers } = await ask({ url: '/health', headers: { 'x-request-id': given } });
    assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/);
    ids.add(headers['x-request-id']);
  }
  assert.is(ids.size, 5);
  const failed = await ask({ url: '/nothing', headers: { 'x-request-id': 'mine' } });
  assert.is(failed.json().requestId, 'mine');
});

test('every answer has a strict policy for pages, and no HSTS without TLS', async () => {
  const { ask } = await start();
  for (const url of ['/health', '/nothing', '/openapi.json']) {
    const { headers } = await ask({ url });
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'self'/, url);
    assert.match(policy, /frame-ancestors 'none'/, url);
    assert.not.match(policy, /unsafe|https?:|\*/, url);
    assert.is(headers['x-content-type-options'], 'nosniff');
    assert.is(headers['strict-transport-security'], undefined);
  }
});

test('a key that sends too much is told when to come back, others and probes are not held up', async () => {
  const { ask, folder } = await start({ rateLimit: 3 });
  const [one, two] = [1, 2].map(() => createKey(folder, { scopes: ['read'] }).token);
  const search = (token: string) => ask({ ...SEARCH, headers: { authorization: `Bearer ${token}` } });
  for (let i = 0; i < 3; i++) assert.is((await search(one!)).statusCode, 200);
  const refused = await search(one!);
  assert.equal([refused.statusCode, refused.json().code], [429, 'WINNOW_RATE_LIMIT']);
  const wait = Number(refused.headers['retry-after']);
  assert.ok(wait > 0 && wait <= 60, `${wait}`);
  assert.is((await search(two!)).statusCode, 200);
  for (let i = 0; i < 5; i++) assert.is((await ask({ url: '/healthz' })).statusCode, 200);
});

test('while the event loop is late, requests are answered 503, and probes are answered', async () => {
  const { ask, app } = await start({ maxEventLoopDelayMs: 1 });
  // What the plugin measures once a second: the loop is blocked until it has seen it.
  while (!app.isUnderPressure()) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const shed = await ask(SEARCH);
  assert.equal([shed.statusCode, shed.json().code, shed.headers['retry-after']], [503, 'WINNOW_BUSY', '1']);
  assert.is((await ask({ url: '/healthz' })).statusCode, 200);
  assert.is((await ask({ url: '/metrics' })).statusCode, 200);
});

test('pages of an allowed origin get their preflight answered without a key, others do not', async () => {
  const { ask, folder } = await start({ allowOrigins: ['https://app.example'] });
  createKey(folder, { scopes: ['read'] });
  const preflight = (origin: string) =>
    ask({
      method: 'OPTIONS',
      url: '/search',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
  const { statusCode, headers } = await preflight('https://app.example');
  assert.is(statusCode, 204);
  assert.is(headers['access-control-allow-origin'], 'https://app.example');
  assert.match(String(headers['access-control-allow-methods']), /PUT, PATCH, DELETE/);
  assert.is((await preflight('https://other.example')).statusCode, 403);
  const actual = await ask({ ...SEARCH, headers: { origin: 'https://app.example' } });
  assert.is(actual.statusCode, 401);
});

test('a body that nests too deep is refused before it is built', async () => {
  const { ask } = await start();
  const nested = (levels: number) =>
    `{"query":"[[[{{{","filter":${'{"not":'.repeat(levels)}{}${'}'.repeat(levels)}}`;
  const send = (payload: string) =>
    ask({ method: 'POST', url: '/search', headers: { 'content-type': 'application/json' }, payload });
  assert.match((await send(nested(20))).json().message, /^(?!.*nests deeper)/);
  for (const levels of [200, 100_000]) {
    const { statusCode, body } = await send(nested(levels));
    assert.is(statusCode, 400);
    assert.match(body, /nests deeper than 100 levels/);
  }
});

test('answers name no paths of the server', async () => {
  const { app, ask, folder } = await start();
  app.get('/broken', () => {
    throw new WinnowError('WINNOW_STORAGE', `EACCES: permission denied, open '${folder}/index.mdb'`, {
      place: folder,
      hint: `look at ${folder}, and at ${homedir()}/x and ${process.cwd()}`,
    });
  });
  const broken = (await ask({ url: '/broken' })).json();
  assert.equal(broken.place, undefined);
  assert.is(broken.message, "EACCES: permission denied, open '(a path of the server)'");
  assert.not.ok(broken.hint.includes(folder) || broken.hint.includes(process.cwd()), broken.hint);
  renameSync(folder, `${folder}-moved`);
  const { statusCode, body } = await ask({ url: '/health' });
  assert.is(statusCode, 503);
  assert.match(body, /WINNOW_UNHEALTHY/);
  assert.not.ok(body.includes(folder), body);
  assert.not.match(body, /\.ts|node_modules|at .*\(/);
});

test('/readyz is 503 when an index is gone, /healthz is not, and both answer under any host name', async () => {
  const { ask, folder } = await start();
  const probe = (url: string) => ask({ url, headers: { host: '10.1.2.3:7700' } });
  assert.equal([(await probe('/healthz')).statusCode, (await probe('/readyz')).statusCode], [200, 200]);
  assert.is((await probe('/health')).statusCode, 403);
  renameSync(folder, `${folder}-moved`);
  assert.equal([(await probe('/healthz')).statusCode, (await probe('/readyz')).statusCode], [200, 503]);
  assert.equal((await probe('/healthz')).json(), { status: 'ok' });
});

test('metrics count requests, stages, writes, queues and indexes', async () => {
  const { ask, app } = await start();
  await ask(row('a'));
  await ask(row('b'));
  await ask({ method: 'DELETE', url: '/documents/b' });
  await ask(SEARCH);
  await ask({ url: '/never/such/a/path' });
  const { body, headers } = await ask({ url: '/metrics' });
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
  const value = (name: string): number => {
    const line = body.split('\n').find((one) => one.startsWith(`${name} `));
    assert.ok(line, `${name} in\n${body}`);
    return Number(line!.slice(name.length + 1));
  };
  assert.is(value('winnow_http_requests_total{method="POST",route="/documents",status="200"}'), 2);
  assert.is(value('winnow_http_requests_total{method="GET",route="none",status="404"}'), 1);
  assert.is(value('winnow_http_request_seconds_count{route="/search"}'), 1);
  for (const stage of ['parse', 'encode', 'search', 'hydrate'])
    assert.is(value(`winnow_search_stage_seconds_count{stage="${stage}"}`), 1);
  assert.is(value('winnow_search_stage_seconds_count{stage="rerank"}'), 0);
  assert.is(value('winnow_documents_total{outcome="added"}'), 2);
  assert.is(value('winnow_documents_total{outcome="deleted"}'), 1);
  assert.is(value('winnow_index_documents{collection="default"}'), 1);
  assert.ok(value('winnow_index_bytes{collection="default"}') > 4096);
  assert.is(value('winnow_merge_failed{collection="default"}'), 0);
  assert.is(value('winnow_queue_length{queue="heavy searches"}'), 0);
  assert.ok(value('process_resident_memory_bytes') > 1e6);
  assert.ok(value('nodejs_eventloop_lag_seconds{quantile="0.99"}') >= 0);
  const lane = new Lane('test', 1);
  app.lanes.push(lane);
  const running = lane.run(async () => (await ask({ url: '/metrics' })).body);
  assert.match(await running, /winnow_queue_length\{queue="test"\} 1/);
});

test('one audit line per write: who, what, how many, and the request; none for searches', async () => {
  const file = join(tempFolder(), 'audit.log');
  const { ask, folder } = await start({ audit: file });
  const { token, key } = createKey(folder, { scopes: ['admin'] });
  const headers = { authorization: `Bearer ${token}`, 'x-request-id': 'r-1' };
  await ask({ ...row('a'), headers: { ...NDJSON, ...headers } });
  await ask({ ...SEARCH, headers });
  await ask({ method: 'DELETE', url: '/documents/none', headers });
  await ask({ method: 'DELETE', url: '/documents/a' });
  const lines = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const shown = lines.map(({ key, action, added, document, status, requestId }) => ({
    key,
    action,
    added,
    document,
    status,
    requestId,
  }));
  assert.equal(shown.slice(0, 2), [
    { key: key.id, action: 'POST /documents', added: 1, document: undefined, status: 200, requestId: 'r-1' },
    {
      key: key.id,
      action: 'DELETE /documents/:id',
      added: undefined,
      document: 'none',
      status: 404,
      requestId: 'r-1',
    },
  ]);
  assert.equal([shown.length, shown[2]!.key, shown[2]!.status], [3, null, 401]);
  assert.is(statSync(file).mode & 0o777, 0o600);
  assert.not.ok(readFileSync(file, 'utf8').includes(token.slice(12)));
});

/** A certificate of its own for a name. */
function certificate(folder: string, name: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  execFileSync('openssl', [...request, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  return { cert, key };
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

(hasOpenssl() ? test : test.skip)('TLS: new connections use what the files hold after a reload', async () => {
  const folder = tempFolder();
  const first = certificate(folder, 'first');
  const second = certificate(folder, 'second');
  const { app } = await start({ tls: first });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as net.AddressInfo;
  const subject = async () => {
    const request = https.get({
      port,
      host: '127.0.0.1',
      path: '/health',
      rejectUnauthorized: false,
      agent: false,
    });
    const [response] = await once(request, 'response');
    response.resume();
    assert.is(response.statusCode, 200);
    assert.match(response.headers['strict-transport-security'], /max-age/);
    return response.socket.getPeerCertificate().subject.CN;
  };
  assert.is(await subject(), 'first');
  copyFileSync(second.key, first.key);
  assert.throws(
    () => reloadTls(app, first),
    (error: { code: string }) => error.code === 'WINNOW_BAD_ARGUMENT',
  );
  assert.is(await subject(), 'first');
  copyFileSync(second.cert, first.cert);
  reloadTls(app, first);
  assert.is(await subject(), 'second');
});

test.run();
