import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import { packageRoot } from '../../../package-root.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

/** `winnow mcp` as an editor starts it, asked by the SDK's own client. */
const test = suite('mcp over stdio');

interface Answer {
  readonly text: string;
  readonly data: Record<string, unknown>;
  readonly isError: boolean;
}

const folder = tempFolder();
const docs = join(folder, 'docs');
const clients: Client[] = [];

async function connect(...parameters: string[]): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  clients.push(client);
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: ['--import', 'tsx', join(packageRoot, 'cli/main.ts'), 'mcp', ...parameters, '--threads', '1'],
      cwd: packageRoot,
      stderr: 'inherit',
    }),
  );
  return client;
}

async function call(client: Client, name: string, args: Record<string, unknown>): Promise<Answer> {
  const { content, structuredContent, isError } = await client.callTool({ name, arguments: args });
  const [first] = content as { text: string }[];
  return { text: first!.text, data: structuredContent as Record<string, unknown>, isError: isError === true };
}

let client: Client;

test.before(async () => {
  mkdirSync(docs);
  writeFileSync(join(docs, 'tea.md'), '# Tea\n\nGreen tea is steamed soon after picking.');
  writeFileSync(join(folder, 'secret.md'), 'not to be read');
  symlinkSync(join(folder, 'secret.md'), join(docs, 'link.md'));
  client = await connect('--index', join(folder, 'notes'), '--folder', docs);
});

test.after(async () => {
  for (const one of clients) await one.close();
});

test('tools are listed with schemas and hints', async () => {
  const { tools } = await client.listTools();
  assert.equal(tools.map(({ name }) => name).sort(), ['explain', 'get', 'index', 'search', 'status']);
  const search = tools.find(({ name }) => name === 'search')!;
  assert.equal(search.inputSchema.required, ['query']);
  assert.is(search.annotations?.readOnlyHint, true);
  assert.is(tools.find(({ name }) => name === 'index')!.annotations?.readOnlyHint, false);
});

test('documents are added, found, read, explained and deleted', async () => {
  const documents = [
    {
      id: 'sky',
      title: 'Sky',
      text: 'Air scatters short wavelengths of sunlight.',
      metadata: { year: 1871 },
    },
    { id: 'sea', text: 'Water absorbs red light.' },
  ];
  const added = await call(client, 'index', { documents });
  assert.equal(added.data, { added: 2, replaced: 0, unchanged: 0 });
  const found = await call(client, 'search', { query: 'why is the sky blue', k: 1 });
  assert.match(found.text, /1\. Sky \(id sky; score \d/);
  assert.is((found.data.hits as { id: string }[])[0]!.id, 'sky');
  assert.match((await call(client, 'get', { id: 'sky' })).text, /title: Sky\nmetadata: \{"year":1871\}/);
  const why = await call(client, 'explain', { query: 'sunlight', id: 'sky' });
  assert.match(why.text, /^score [\d.]+, rank 1\nsunlight: .*\(text\)/);
  assert.match((await call(client, 'status', {})).text, /^notes: 2 documents/);
  assert.equal((await call(client, 'index', { delete: ['sea'] })).data, { deleted: 1 });
  assert.ok((await call(client, 'get', { id: 'sea' })).isError);
});

test('a folder is indexed; what is outside of the allowed folders is not, also through a link', async () => {
  assert.is((await call(client, 'index', { path: docs })).data.added, 1);
  assert.match((await call(client, 'search', { query: 'steamed leaves' })).text, /tea\.md/);
  for (const path of [join(folder, 'secret.md'), join(docs, 'link.md'), join(docs, '..'), '/etc/hostname']) {
    const refused = await call(client, 'index', { path });
    assert.is(refused.data.code, 'WINNOW_FORBIDDEN', path);
  }
});

test('errors come back with code and way out, and the server goes on', async () => {
  const missing = await call(client, 'search', { query: 'x', collection: 'other' });
  assert.is(missing.data.code, 'WINNOW_NOT_FOUND');
  assert.match(missing.text, /notes/);
  assert.is((await call(client, 'index', {})).data.code, 'WINNOW_BAD_ARGUMENT');
  const refused = await call(client, 'index', { documents: [{ id: 'a'.repeat(600), text: 'x' }] });
  assert.ok(refused.isError || (refused.data.rejected as string[]).length === 1);
  assert.ok((await call(client, 'search', { query: 'x', k: 1000 })).isError);
  assert.is((await call(client, 'search', { query: 'sky' })).isError, false);
});

test('--read-only has no tool that writes, and ends when its input does', async () => {
  const only = join(folder, 'only');
  const index = openIndex(only, { create: true, lexicalOnly: true });
  await index.add([{ id: 'a', text: 'alpha' }]);
  await index.close();
  const reader = await connect('--index', only, '--read-only');
  const { tools } = await reader.listTools();
  assert.not.ok(tools.some(({ name }) => name === 'index'));
  assert.match((await call(reader, 'status', {})).text, /^only: 1 documents/);
  await reader.close();
});

test.run();
