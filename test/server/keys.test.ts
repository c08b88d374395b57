import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import {
  createKey,
  keyFileOf,
  keyOfToken,
  readKeys,
  revokeKey,
  type Scope,
  stateOf,
} from '../../server/keys/key-file.ts';
import { CHECKED_BY_ROUTE, requireUse } from '../../server/plugins/keys.ts';
import { createServer } from '../../server/server.ts';
import { cli } from '../helpers/cli.ts';
import { serve, stop } from '../helpers/served.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('keys');

const opened: { app: FastifyInstance; index: SearchIndex }[] = [];

/** A server over an index of words alone, with its file of keys in the index folder and routes as /v1 has them, under /v0. */
async function start(): Promise<{ app: FastifyInstance; folder: string }> {
  const folder = join(tempFolder(), 'index');
  const index = openIndex(folder, { create: true, lexicalOnly: true });
  const app = await createServer(index.backend, { log: 'silent', keys: keyFileOf(folder) });
  const done = async () => ({ ok: true });
  app.get('/v0/collections/:c', done);
  app.post('/v0/collections/:c/documents', done);
  app.post('/v0/collections/:c/search', { config: { scope: 'read' } }, done);
  app.post('/v0/collections', { config: { scope: 'admin' } }, done);
  app.post<{ Body: { collections: string[] } }>(
    '/v0/multi-search',
    { config: { scope: 'read', collection: CHECKED_BY_ROUTE } },
    async (request) => {
      for (const one of request.body.collections) requireUse(request, one);
      return { ok: true };
    },
  );
  opened.push({ app, index });
  return { app, folder };
}

test.after.each(async () => {
  for (const { app, index } of opened.splice(0)) {
    await app.close();
    await index.close();
  }
});

interface Asked {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly payload?: object;
}

const asked: Readonly<Record<string, Asked>> = {
  search: { method: 'POST', url: '/search', payload: { query: 'x' } },
  add: { method: 'DELETE', url: '/documents/none' },
  snapshot: { method: 'POST', url: '/snapshots', payload: {} },
};

async function status(app: FastifyInstance, request: Asked, token?: string): Promise<number> {
  const headers = { host: 'localhost', ...(token ? { authorization: `Bearer ${token}` } : {}) };
  return (await app.inject({ ...request, headers })).statusCode;
}

test('without keys nothing needs one; with the first key everything does, at once', async () => {
  const { app, folder } = await start();
  assert.is(await status(app, asked.search!), 200);
  const { token } = createKey(folder, { scopes: ['read'] });
  assert.is(await status(app, asked.search!), 401);
  assert.is(await status(app, asked.search!, token), 200);
  // Also for routes that do not exist, so that nobody can learn which do.
  assert.is(await status(app, { method: 'GET', url: '/nothing' }), 401);
  const { headers } = await app.inject({ ...asked.search!, headers: { host: 'localhost' } });
  assert.match(String(headers['www-authenticate']), /^Bearer/);
});

test('health for orchestrators and the description of the API are open, metrics are not', async () => {
  const { app, folder } = await start();
  createKey(folder, { scopes: ['read'] });
  for (const url of ['/healthz', '/readyz', '/openapi.json'])
    assert.is(await status(app, { method: 'GET', url }), 200, url);
  for (const url of ['/health', '/metrics', '/snapshots'])
    assert.is(await status(app, { method: 'GET', url }), 401, url);
});

test('each scope allows its routes only, and admin all', async () => {
  const { app, folder } = await start();
  const token = (...scopes: Scope[]) => createKey(folder, { scopes }).token;
  const tokens = {
    read: token('read'),
    write: token('write'),
    both: token('read', 'write'),
    admin: token('admin'),
  };
  const expected: Record<keyof typeof tokens, number[]> = {
    read: [200, 403, 403],
    write: [403, 404, 403],
    both: [200, 404, 403],
    admin: [200, 404, 404],
  };
  for (const name of Object.keys(tokens) as (keyof typeof tokens)[]) {
    const got = await Promise.all(
      [asked.search!, asked.add!, asked.snapshot!].map((one) => status(app, one, tokens[name])),
    );
    assert.equal(got, expected[name], name);
  }
});

test('a route that declares nothing is read for GET and write for the rest', async () => {
  const { app, folder } = await start();
  const { token } = createKey(folder, { scopes: ['read'] });
  assert.is(await status(app, { method: 'GET', url: '/v0/collections/a' }, token), 200);
  assert.is(
    await status(app, { method: 'POST', url: '/v0/collections/a/documents', payload: {} }, token),
    403,
  );
});

test('a key of some collections reaches these, and nothing that belongs to none', async () => {
  const { app, folder } = await start();
  const { token } = createKey(folder, { scopes: ['admin'], collections: ['a', 'b'] });
  const search = (c: string): Asked => ({ method: 'POST', url: `/v0/collections/${c}/search`, payload: {} });
  const several = (...collections: string[]): Asked => ({
    method: 'POST',
    url: '/v0/multi-search',
    payload: { collections },
  });
  assert.is(await status(app, search('a'), token), 200);
  assert.is(await status(app, search('%61'), token), 200);
  assert.is(await status(app, search('c'), token), 403);
  assert.is(await status(app, search('A'), token), 403);
  assert.is(await status(app, several('a', 'b'), token), 200);
  assert.is(await status(app, several('a', 'c'), token), 403);
  assert.is(await status(app, { method: 'POST', url: '/v0/collections', payload: {} }, token), 403);
  assert.is(await status(app, { method: 'GET', url: '/metrics' }, token), 403);
  assert.is(await status(app, asked.search!, token), 403, 'the old routes are the collection "default"');
  const { token: old } = createKey(folder, { scopes: ['read'], collections: ['default'] });
  assert.is(await status(app, asked.search!, old), 200);
});

test('a revoked or expired key, a changed secret and a removed file let nobody in', async () => {
  const { app, folder } = await start();
  const first = createKey(folder, { scopes: ['read'] });
  const second = createKey(folder, { scopes: ['read'], expiresAt: new Date(Date.now() + 1e6).toISOString() });
  assert.is(await status(app, asked.search!, second.token), 200);
  const { keys } = JSON.parse(readFileSync(keyFileOf(folder), 'utf8'));
  keys[1].expiresAt = new Date(Date.now() - 1000).toISOString();
  writeFileSync(keyFileOf(folder), JSON.stringify({ version: 1, keys }));
  assert.is(await status(app, asked.search!, second.token), 401);
  assert.is(await status(app, asked.search!, first.token), 200);
  for (const wrong of [
    `${first.token}x`,
    first.token.slice(0, -1),
    first.token.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A')),
  ])
    assert.is(await status(app, asked.search!, wrong), 401, wrong);
  revokeKey(folder, first.key.id);
  assert.is(await status(app, asked.search!, first.token), 401);
  rmSync(keyFileOf(folder));
  assert.is(await status(app, asked.search!), 401);
});

test('a file of keys that cannot be read lets nobody in, and the answer does not name it', async () => {
  const { app, folder } = await start();
  const { token } = createKey(folder, { scopes: ['read'] });
  writeFileSync(keyFileOf(folder), 'damaged');
  const answer = await app.inject({
    ...asked.search!,
    headers: { host: 'localhost', authorization: `Bearer ${token}` },
  });
  assert.is(answer.statusCode, 500);
  assert.not.ok(answer.body.includes(folder));
});

test('the file has no secret, is for its owner alone, and keeps what it has', () => {
  const folder = join(tempFolder(), 'data');
  const made = createKey(folder, { scopes: ['read', 'write'], name: 'loader', collections: ['a'] });
  createKey(folder, { scopes: ['admin'] });
  const file = keyFileOf(folder);
  const secret = made.token.slice('wk_12345678_'.length);
  assert.not.ok(readFileSync(file, 'utf8').includes(secret));
  assert.is(statSync(file).mode & 0o777, 0o600);
  chmodSync(file, 0o644);
  revokeKey(folder, made.key.id);
  assert.is(statSync(file).mode & 0o777, 0o600);
  const keys = readKeys(file);
  assert.equal(
    keys.map((key) => stateOf(key)),
    ['revoked', 'valid'],
  );
  assert.is(keyOfToken(keys, made.token)?.name, 'loader');
  assert.is(keyOfToken(keys, made.token.toUpperCase()), undefined);
});

test('winnow key makes, lists and ends keys, and another address needs one', async () => {
  const folder = join(tempFolder(), 'index');
  await openIndex(folder, { create: true, lexicalOnly: true }).close();
  const open = await cli('serve', '--index', folder, '--host', '0.0.0.0', '--port', '0');
  assert.is(open.code, 1);
  assert.match(open.stderr, /WINNOW_BAD_ARGUMENT host: .*winnow key create/);
  const made = await cli(
    'key',
    'create',
    '--data',
    folder,
    '--scope',
    'read',
    'write',
    '--expires',
    '30d',
    '--json',
  );
  const { token, id, scopes } = JSON.parse(made.stdout);
  assert.equal(scopes, ['read', 'write']);
  const served = await serve(folder, '--host', '0.0.0.0');
  const logging = await serve(folder, '--read-only', '--log', 'debug');
  const ask = (headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${served.port}/health`, { headers });
  assert.is((await ask({})).status, 401);
  const headers = { authorization: `Bearer ${token}` };
  assert.is((await ask(headers)).status, 200);
  const url = (port: number) => `http://127.0.0.1:${port}/documents/none`;
  assert.is((await fetch(url(served.port), { method: 'DELETE', headers })).status, 404);
  assert.is((await fetch(url(logging.port), { method: 'DELETE', headers })).status, 409, 'it only reads');
  const [ended, listed] = [
    await cli('key', 'revoke', id, '--data', folder),
    await cli('key', 'list', '--data', folder),
  ];
  assert.is(ended.code, 0, ended.stderr);
  assert.match(listed.stdout, new RegExp(`^${id}  revoked`));
  assert.not.ok(listed.stdout.includes(token.slice(12)));
  assert.is((await ask({ authorization: `Bearer ${token}` })).status, 401);
  await stop(served, 'SIGTERM');
  await stop(logging, 'SIGTERM');
  // The log has each request, and the audit line whatever its level is, but no key.
  assert.match(logging.complaints(), /incoming request/);
  assert.match(served.complaints(), new RegExp(`"audit":{"key":"${id}".*"action":"DELETE /documents/:id"`));
  for (const one of [served, logging]) assert.not.ok(one.complaints().includes(token.slice(12)));
  const refused = await cli('serve', '--index', folder, '--host', '0.0.0.0', '--port', '0');
  assert.is(refused.code, 1, 'a revoked key is no key');
});

test.run();
