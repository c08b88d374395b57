import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SearchService } from '../../../app/service/search-service.ts';
import { createKey, keyFileOf } from '../../../server/keys/key-file.ts';
import { createServer } from '../../../server/server.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('v1 keys');

test('a key that is limited to a collection sees and changes no other, whichever route names it', async () => {
  const folder = join(tempFolder(), 'data');
  const service = SearchService.openFolder(folder);
  for (const name of ['mine', 'other']) await service.create({ name, model: null });
  const app = await createServer(service, { log: 'silent', keys: keyFileOf(folder) });
  const keyOf = (scopes: ('read' | 'write' | 'admin')[], collections?: string[]) =>
    createKey(folder, { scopes, ...(collections ? { collections } : {}) }).token;
  const mine = keyOf(['read', 'write'], ['mine']);
  const admin = keyOf(['admin']);
  const ask = async (token: string, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) => {
    const headers = { host: 'localhost', authorization: `Bearer ${token}` };
    const answer = await app.inject({ method, url, headers, ...(payload ? { payload } : {}) });
    return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() };
  };
  const documents = [{ id: 'a', text: 'A parcel.' }];
  assert.is((await ask(mine, 'POST', '/v1/collections/mine/documents', documents)).status, 200);
  assert.is((await ask(mine, 'POST', '/v1/collections/other/documents', documents)).status, 403);
  assert.is((await ask(mine, 'DELETE', '/v1/collections/mine')).status, 403);
  assert.is((await ask(mine, 'POST', '/v1/collections/mine/tasks', { type: 'compact' })).status, 403);
  const names = async (token: string) =>
    (await ask(token, 'GET', '/v1/collections')).body.collections.map(({ name }: { name: string }) => name);
  assert.equal(await names(mine), ['mine']);
  assert.equal(await names(admin), ['mine', 'other']);
  const searches = ['mine', 'other'].map((collection) => ({ collection, query: 'parcel' }));
  const { results } = (await ask(mine, 'POST', '/v1/multi-search', { searches })).body;
  assert.equal([results[0].hits.length, results[1].error.code], [1, 'WINNOW_FORBIDDEN']);
  assert.is((await ask(admin, 'POST', '/v1/collections/mine/swap', { with: 'other' })).status, 200);
  await app.close();
  await service.close();
});

test.run();
