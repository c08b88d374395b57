import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import { createServer } from '../../../server/server.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { startV1, type V1Server } from './start.ts';

const test = suite('v1 collections and tasks');
let server: V1Server;
const call: V1Server['call'] = (...given) => server.call(...given);

test.before.each(async () => {
  server = await startV1();
});
test.after.each(() => server.close());

test('a collection is created, described, found by alias, swapped and deleted', async () => {
  const fields = [{ name: 'year', type: 'number' }];
  const made = await call('POST', '/collections', { name: 'books', fields, description: 'Mine' });
  assert.is(made.status, 201);
  const { createdAt, bytes, ...rest } = made.body;
  assert.ok(bytes > 0 && !Number.isNaN(Date.parse(createdAt)));
  assert.equal(rest, {
    name: 'books',
    documents: 0,
    sources: 0,
    model: 'winnow-mini',
    vectors: rest.vectors,
    fields,
    settings: { description: 'Mine' },
    aliases: [],
  });
  assert.is((await call('POST', '/collections', { name: 'books' })).status, 409);
  for (const name of ['', 'A', '../x', 'a b', '-a', 'a'.repeat(64)])
    assert.is((await call('POST', '/collections', { name })).status, 400, name);
  assert.equal((await call('PUT', '/aliases/current', { collection: 'books' })).body, {
    alias: 'current',
    collection: 'books',
  });
  await call('POST', '/collections', { name: 'books2', model: null });
  await call('POST', '/collections/books2/documents', [{ id: 'new', text: 'A new parcel.' }]);
  assert.is((await call('POST', '/collections/books/swap', { with: 'books2' })).body.documents, 1);
  assert.is((await call('GET', '/collections/current')).body.documents, 1);
  assert.equal((await call('GET', '/aliases')).body, {
    aliases: [{ alias: 'current', collection: 'books' }],
  });
  assert.equal(
    (await call('GET', '/collections')).body.collections.map(({ name }: { name: string }) => name),
    ['books', 'books2'],
  );
  assert.is((await call('DELETE', '/collections/current')).status, 404);
  assert.is((await call('DELETE', '/collections/books')).status, 204);
  assert.is((await call('GET', '/collections/current')).status, 404);
  assert.is((await call('DELETE', '/aliases/current')).status, 404);
});

test('searches that are under way when a collection is swapped or deleted are answered', async () => {
  for (const name of ['a', 'b']) {
    await call('POST', '/collections', { name, model: null });
    await call('POST', `/collections/${name}/documents`, [{ id: name, text: 'A parcel.' }]);
  }
  const searching = Array.from({ length: 40 }, (_, i) => {
    const search = call('POST', '/collections/a/search', { query: 'parcel' });
    return i % 8 === 0 ? call('POST', '/collections/a/swap', { with: 'b' }).then(() => search) : search;
  });
  for (const { status, body } of await Promise.all(searching)) {
    assert.is(status, 200);
    assert.is(body.hits.length, 1);
  }
});

test('a task is started, looked at, listed and cancelled', async () => {
  await call('POST', '/collections', { name: 'books', model: null });
  const started = await call('POST', '/collections/books/tasks', { type: 'compact' });
  assert.is(started.status, 202);
  assert.is(started.headers.get('location'), `/v1/tasks/${started.body.id}`);
  await server.service.tasks.idle();
  const task = (await call('GET', `/tasks/${started.body.id}`)).body;
  assert.equal([task.status, task.attempts, task.collection], ['succeeded', 1, 'books']);
  assert.ok(task.result.segments >= 0);
  assert.is((await call('GET', '/tasks?status=succeeded&collection=books')).body.tasks.length, 1);
  assert.is((await call('GET', '/tasks?status=failed')).body.tasks.length, 0);
  assert.is((await call('DELETE', `/tasks/${task.id}`)).body.status, 'succeeded');
  assert.is((await call('GET', '/tasks/99')).status, 404);
  const bad = await call('POST', '/collections/books/tasks', { type: 'index-file', path: '../x' });
  assert.equal([bad.status, bad.body.code], [403, 'WINNOW_FORBIDDEN']);
  const misspelt = await call('POST', '/collections/books/tasks', { type: 'compacted' });
  assert.equal([misspelt.status, misspelt.body.suggestion], [400, 'compact']);
});

test('every method that a path lacks is 405, every path that there is not 404', async () => {
  for (const [method, path, status] of [
    ['PUT', '/collections', 405],
    ['POST', '/collections/x/stats', 405],
    ['DELETE', '/collections/x/search', 405],
    ['GET', '/nothing', 404],
  ] as const) {
    const { status: given, body } = await call(method, path, method === 'GET' ? undefined : {});
    assert.is(given, status, path);
    assert.match(body.code, /WINNOW_(METHOD|NOT_FOUND)/);
  }
});

test('the documentation page and the OpenAPI description are served', async () => {
  const page = await fetch(`http://127.0.0.1:${server.port}/documentation`);
  assert.equal([page.status, page.headers.get('content-type')?.split(';')[0]], [200, 'text/html']);
  const api = (await (await fetch(`http://127.0.0.1:${server.port}/openapi.json`)).json()) as {
    paths: object;
  };
  const others = Object.keys(api.paths).filter((path) => !path.startsWith('/v1/'));
  assert.equal(others, ['/healthz', '/readyz'], 'a data folder has no old routes');
});

test('one index is the collection default, and its old routes name their successors', async () => {
  const index = openIndex(tempFolder(), { create: true, lexicalOnly: true });
  await index.add([{ id: 'a', text: 'A parcel.' }]);
  const app = await createServer(index.backend, { log: 'silent' });
  const search = await app.inject({
    method: 'POST',
    url: '/v1/collections/default/search',
    payload: { query: 'parcel' },
  });
  assert.equal([search.statusCode, search.json().hits.length], [200, 1]);
  const old = await app.inject({ method: 'POST', url: '/search', payload: { query: 'parcel' } });
  assert.equal(old.json().hits.length, 1);
  assert.match(String(old.headers.deprecation), /^@\d+$/);
  assert.is(old.headers.link, '</v1/collections/default/search>; rel="successor-version"');
  assert.is(search.headers.deprecation, undefined);
  const create = await app.inject({ method: 'POST', url: '/v1/collections', payload: { name: 'x' } });
  assert.equal([create.statusCode, create.json().code], [501, 'WINNOW_UNSUPPORTED']);
  await app.close();
  assert.is(index.get('a')?.id, 'a', 'the index stays open');
  await index.close();
});

test.run();
