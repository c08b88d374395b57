import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import type { FastifyInstance } from 'fastify';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SearchService } from '../../../app/service/search-service.ts';
import { createKey, keyFileOf } from '../../../server/keys/key-file.ts';
import { createServer } from '../../../server/server.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

/** `/mcp` of a server of several collections, asked by the SDK's own client. */
const test = suite('mcp over HTTP');

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const folder = join(tempFolder(), 'data');
let app: FastifyInstance;
let service: SearchService;
let address: string;
const clients: Client[] = [];

test.before(async () => {
  service = SearchService.openFolder(folder);
  for (const name of ['books', 'notes']) await service.create({ name, model: null });
  app = await createServer(service, { log: 'silent', keys: keyFileOf(folder) });
  address = await app.listen({ port: 0, host: '127.0.0.1' });
});

test.after(async () => {
  for (const client of clients) await client.close();
  await app.close();
  await service.close();
});

async function connect(token?: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  clients.push(client);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  await client.connect(
    new StreamableHTTPClientTransport(new URL('/mcp', address), { requestInit: { headers } }),
  );
  return client;
}

async function call(client: Client, name: string, args: Record<string, unknown>) {
  const { structuredContent, isError } = await client.callTool({ name, arguments: args });
  return { data: structuredContent as Record<string, unknown>, isError: isError === true };
}

test('documents are indexed and found in a named collection', async () => {
  const client = await connect();
  const added = await call(client, 'index', {
    collection: 'books',
    documents: [{ id: 'a', title: 'Whales', text: 'The whale swims.' }],
  });
  assert.equal(added.data, { added: 1, replaced: 0, unchanged: 0 });
  const { data } = await call(client, 'search', { collection: 'books', query: 'whale' });
  assert.is((data.hits as { id: string }[])[0]!.id, 'a');
  const unnamed = await call(client, 'search', { query: 'whale' });
  assert.is(unnamed.data.code, 'WINNOW_BAD_ARGUMENT', 'there are two collections');
  const status = await call(client, 'status', {});
  assert.equal(
    (status.data.collections as { name: string }[]).map(({ name }) => name),
    ['books', 'notes'],
  );
});

test('a key decides which collections and tools there are', async () => {
  const read = createKey(folder, { scopes: ['read'], collections: ['books'] });
  assert.is(
    await connect().then(
      () => 'connected',
      () => 'refused',
    ),
    'refused',
  );
  const client = await connect(read.token);
  const { tools } = await client.listTools();
  assert.not.ok(tools.some(({ name }) => name === 'index'));
  const found = await call(client, 'search', { query: 'whale' });
  assert.is(found.isError, false, 'the only collection that the key is for');
  assert.is(
    (await call(client, 'search', { collection: 'notes', query: 'x' })).data.code,
    'WINNOW_FORBIDDEN',
  );
  const writer = await connect(createKey(folder, { scopes: ['read', 'write'] }).token);
  assert.ok((await writer.listTools()).tools.some(({ name }) => name === 'index'));
});

test('pages of other origins and paths of the server are refused', async () => {
  const { token } = createKey(folder, { scopes: ['admin'] });
  const answer = await fetch(`${address}/mcp`, {
    method: 'POST',
    headers: {
      origin: 'https://evil.example',
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
    },
    body: '{}',
  });
  assert.is(answer.status, 403);
  const client = await connect(token);
  assert.ok((await call(client, 'index', { collection: 'books', path: '/etc/hostname' })).isError);
});

test('requests leave nothing behind in memory', async () => {
  const { token } = createKey(folder, { scopes: ['admin'] });
  const client = await connect(token);
  const ask = async (times: number) => {
    for (let i = 0; i < times; i++) await call(client, 'status', {});
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const before = await ask(50);
  const growth = (await ask(150)) - before;
  assert.ok(growth < 1.5e6, `${growth} bytes after 150 requests`);
});

test.run();
