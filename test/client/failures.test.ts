import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ClientOptions, WinnowClient, WinnowClientError } from '../../client/index.ts';
import { createKey } from '../../server/keys/key-file.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { startV1 } from '../server/v1/start.ts';

/** What the client makes of refusals, silence and broken connections. */
const test = suite('client: failures');

const SUMMARY = { added: 1, replaced: 0, unchanged: 0, superseded: 0, failed: 0, mended: 0 };

/** A server whose answers the test decides on, one after another; the last one repeats. */
async function answering(
  answers: readonly ((response: ServerResponse, request: IncomingMessage) => void)[],
  options: ClientOptions = {},
) {
  let calls = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => answers[Math.min(calls++, answers.length - 1)]!(response, request));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    client: new WinnowClient(`http://127.0.0.1:${port}`, options),
    calls: () => calls,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const json =
  (status: number, body: object, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
const BUSY = json(503, { code: 'WINNOW_BUSY', message: 'busy' }, { 'retry-after': '0' });
const DOWN = json(503, { code: 'WINNOW_UNHEALTHY', message: 'gone' });
const silence = (): void => {};
const hangUp = (response: ServerResponse): void => void response.destroy();

async function errorOf(promise: Promise<unknown>): Promise<WinnowClientError> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  assert.instance(error, WinnowClientError);
  return error;
}

test('an error has all that the server says', async () => {
  const server = await startV1();
  const client = new WinnowClient(`http://127.0.0.1:${server.port}`, {
    headers: { 'x-request-id': 'mine-1' },
  });
  await client.createCollection({ name: 'words', model: null });
  const request = { query: 'x', ofset: 3 } as { query: string };
  const error = await errorOf(client.collection('words').search(request));
  assert.equal(
    [error.code, error.status, error.place, error.suggestion, error.requestId],
    ['WINNOW_BAD_ARGUMENT', 400, 'ofset', 'offset', 'mine-1'],
  );
  assert.match(String(error), /^WINNOW_BAD_ARGUMENT ofset: .*did you mean "offset"/);
  await server.close();
});

test('a key is sent, and its lack is an error', async () => {
  const folder = tempFolder();
  const { token } = createKey(folder, { scopes: ['read'] });
  const server = await startV1({ keys: `${folder}/keys.json` });
  const url = `http://127.0.0.1:${server.port}`;
  assert.equal(await new WinnowClient(url, { key: token }).listCollections(), []);
  const { code, status } = await errorOf(new WinnowClient(url).listCollections());
  assert.equal([code, status], ['WINNOW_UNAUTHORIZED', 401]);
  await server.close();
});

test('only what does no harm is sent again', async () => {
  const write = (client: WinnowClient) => client.collection('c').add({ id: 'a', text: 'b' });
  const read = (client: WinnowClient) => client.collection('c').search({ query: 'a' });
  const done = json(200, { results: [], hits: [], summary: SUMMARY });
  for (const [first, call, calls, code] of [
    [BUSY, write, 2, undefined],
    [BUSY, read, 2, undefined],
    [DOWN, write, 1, 'WINNOW_UNHEALTHY'],
    [DOWN, read, 2, undefined],
    [hangUp, write, 1, 'WINNOW_CLIENT_UNREACHABLE'],
    [hangUp, read, 2, undefined],
    [json(400, { code: 'WINNOW_BAD_ROW', message: 'no' }), read, 1, 'WINNOW_BAD_ROW'],
    [json(503, {}, { 'retry-after': '3600' }), read, 1, 'WINNOW_CLIENT_ANSWER'],
  ] as const) {
    const server = await answering([first, done]);
    const error = await call(server.client).then(
      () => undefined,
      (reason) => reason,
    );
    assert.equal([server.calls(), error?.code], [calls, code]);
    server.close();
  }
});

test('it gives up after the retries', async () => {
  const server = await answering([BUSY], { retries: 3 });
  const { code, status } = await errorOf(server.client.listCollections());
  assert.equal([code, status, server.calls()], ['WINNOW_BUSY', 503, 4]);
  server.close();
});

test('silence ends with a timeout, before the answer and within it', async () => {
  const stuck = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.write('{"id":"a"}\n');
  };
  const server = await answering([silence, stuck], { timeoutMs: 50 });
  assert.is((await errorOf(server.client.listCollections())).code, 'WINNOW_CLIENT_TIMEOUT');
  const seen: string[] = [];
  const exporting = (async () => {
    for await (const { id } of server.client.collection('c').export()) {
      seen.push(id);
      // Time that the caller takes is not the server's.
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  assert.is((await errorOf(exporting)).code, 'WINNOW_CLIENT_TIMEOUT');
  assert.equal(seen, ['a']);
  assert.is(server.calls(), 2);
  server.close();
});

test('a signal ends calls, waits and streams with its reason', async () => {
  const running = json(200, { id: '1', status: 'running' });
  const silent = await answering([silence]);
  const server = await answering([running]);
  const reason = new Error('enough');
  const first = new AbortController();
  const listing = silent.client.listCollections({ signal: first.signal });
  first.abort(reason);
  assert.is(await listing.catch((error) => error), reason);
  const second = new AbortController();
  const waiting = server.client.tasks.wait('1', {
    intervalMs: 1_000_000,
    signal: second.signal,
    onProgress: () => setImmediate(() => second.abort(reason)),
  });
  assert.is(await waiting.catch((error) => error), reason);
  const upload = server.client.collection('c').upload([{ id: 'a', text: 'b' }], { signal: second.signal });
  assert.is(await upload.finish().catch((error) => error), reason);
  silent.close();
  server.close();
});

test('an upload that breaks off says why, and what was stored', async () => {
  const line = { line: 1, id: 'a', status: 'added' };
  const summary = SUMMARY;
  const error = { code: 'WINNOW_STORAGE', message: 'the disk is full' };
  const ndjson = (lines: readonly object[]) => (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.end(lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
  };
  for (const [lines, code] of [
    [[line, { summary, error }], 'WINNOW_STORAGE'],
    [[line], 'WINNOW_CLIENT_ANSWER'],
  ] as const) {
    const server = await answering([ndjson(lines)]);
    const upload = server.client.collection('c').upload([
      { id: 'a', text: 'b' },
      { id: 'c', text: 'd' },
    ]);
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const result of upload) seen.push(result);
    })();
    assert.is((await errorOf(reading)).code, code);
    assert.equal(seen, [line]);
    server.close();
  }
});

test('what is no answer of Winnow is an error', async () => {
  const html = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<h1>Welcome</h1>');
  };
  const server = await answering([html]);
  assert.is((await errorOf(server.client.listCollections())).code, 'WINNOW_CLIENT_ANSWER');
  server.close();
  const nobody = new WinnowClient('http://127.0.0.1:9', { retries: 0 });
  assert.is((await errorOf(nobody.listCollections())).code, 'WINNOW_CLIENT_UNREACHABLE');
  assert.throws(() => new WinnowClient('localhost'), /Invalid URL/);
});

test.run();
