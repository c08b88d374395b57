// Files as they are: POST /v1/collections/:c/files, and what the search page is made of.

import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createKey, keyFileOf } from '../../../server/keys/key-file.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { startV1, type V1Server } from './start.ts';

const test = suite('files over /v1');
let server: V1Server;

const before = process.env.TMPDIR;

test.before(async () => {
  process.env.TMPDIR = tempFolder(); // of this test alone
  server = await startV1();
  assert.is((await server.call('POST', '/collections', { name: 'notes', model: null })).status, 201);
});
test.after(async () => {
  await server.close();
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
});

const BYTES = { 'content-type': 'application/octet-stream' };

async function send(
  name: string,
  body: string | Buffer,
  { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {},
) {
  const response = await fetch(
    `http://127.0.0.1:${server.port}/v1/collections/notes/files?name=${encodeURIComponent(name)}${query}`,
    { method: 'POST', body: body as never, headers: { ...BYTES, ...headers } },
  );
  const text = await response.text();
  const lines = text.split('\n').filter(Boolean);
  return { status: response.status, lines: lines.map((line) => JSON.parse(line)), text };
}

const stored = async (id: string) => (await server.call('GET', `/collections/notes/documents/${id}`)).body;

test('text files are documents with the name of the file as id, as the command line reads them', async () => {
  const markdown = await send('rain.md', '---\nyear: 1999\n---\n# Rain\n\nRain *falls*.');
  assert.equal([markdown.status, markdown.lines[0]], [200, { line: 1, id: 'rain.md', status: 'added' }]);
  const { title, text, metadata } = await stored('rain.md');
  assert.equal([title, metadata], ['Rain', { year: 1999, path: 'rain.md' }]);
  assert.match(text, /Rain falls\./);
  assert.is(
    (await send('page.html', '<title>W</title><script>no()</script><p>yes')).lines[1].summary.added,
    1,
  );
  assert.not.match((await stored('page.html')).text, /no\(\)/);
  assert.is((await send('rain.md', '# Rain\n\nOther.')).lines[0].status, 'replaced');
});

test('rows of CSV and JSON Lines have a result per line, bad ones with the reason', async () => {
  const { lines } = await send('rows.csv', 'id,text\nc1,one\nc2,\nc3,three\n');
  assert.equal(
    lines
      .slice(0, -1)
      .map(({ line, status }) => [line, status])
      .sort(),
    [
      [2, 'added'],
      [3, 'failed'],
      [4, 'added'],
    ],
  );
  const failed = await send('rows.jsonl', '{"id":"a","text":"x"}\n{', { query: '&results=errors' });
  assert.is(failed.lines.length, 2);
  assert.equal([failed.lines[0].line, failed.lines[0].error.place], [2, 'rows.jsonl:2']);
  assert.equal(failed.lines[1].summary.failed, 1);
});

test('a packed body is unpacked, and a damaged one stores nothing', async () => {
  const headers = { 'content-encoding': 'gzip' };
  assert.is((await send('packed.txt', gzipSync('packed text'), { headers })).lines[0].status, 'added');
  const damaged = await send('damaged.txt', 'no gzip', { headers });
  assert.equal([damaged.status, damaged.lines[0].code], [400, 'WINNOW_BAD_ROW']);
  assert.is((await server.call('GET', '/collections/notes/documents/damaged.txt')).status, 404);
});

test('names are names: no folders, no unknown endings; and nothing of the server is in an answer', async () => {
  for (const name of ['../up.md', '/etc/passwd.txt', 'a\\b.md', '.hidden.md', 'a\u0000.md']) {
    const { status, lines } = await send(name, 'text');
    assert.equal([status, lines[0].code], [400, 'WINNOW_BAD_ARGUMENT'], name);
  }
  const unknown = await send('image.png', 'text');
  assert.equal([unknown.status, unknown.lines[0].code], [400, 'WINNOW_UNKNOWN_FORMAT']);
  for (const [name, body] of [
    ['empty.md', ' '],
    ['none.csv', 'a,b\n1,2\n'],
    ['nothing.jsonl', ''],
  ] as const) {
    const { text, lines } = await send(name, body);
    assert.match(text, /WINNOW_/, name);
    assert.not.match(text, /winnow-upload/, name);
    assert.is(lines.at(-1).summary?.added ?? 0, 0);
  }
});

test('another type of body, and an unknown collection, are errors; nothing stays on the disk', async () => {
  const base = `http://127.0.0.1:${server.port}/v1/collections`;
  const json = await fetch(`${base}/notes/files?name=a.md`, {
    method: 'POST',
    body: 'text',
    headers: { 'content-type': 'text/plain' },
  });
  assert.is(json.status, 415);
  const unknown = await fetch(`${base}/nothing/files?name=a.md`, {
    method: 'POST',
    body: 'x',
    headers: BYTES,
  });
  assert.is(unknown.status, 404);
  const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith('winnow-upload-'));
  await send('last.md', 'text');
  // The folder goes after the answer.
  for (let tries = 0; tries < 100 && left().length > 0; tries++)
    await new Promise((go) => setTimeout(go, 50));
  assert.equal(left(), []);
});

test('the page and its files need no key, count against no rate, and hide from the API description', async () => {
  const folder = tempFolder();
  createKey(folder, { scopes: ['read'] });
  const guarded = await startV1({ keys: keyFileOf(folder), rateLimit: 1 });
  try {
    const base = `http://127.0.0.1:${guarded.port}`;
    for (const [path, type] of [
      ['/', 'text/html'],
      ['/assets/main.js', 'javascript'],
      ['/assets/base.css', 'text/css'],
      ['/assets/uplot/uPlot.esm.js', 'javascript'],
      ['/?c=notes&q=x', 'text/html'],
    ] as const) {
      const response = await fetch(`${base}${path}`);
      await response.arrayBuffer();
      assert.is(response.status, 200, path);
      assert.ok(response.headers.get('content-type')?.includes(type), path);
      assert.is(response.headers.get('cache-control'), 'no-cache');
      assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'self'/);
    }
    // Outside of the folder is no file of the page.
    assert.is((await fetch(`${base}/assets/%2e%2e/index.html`)).status, 401);
    const { paths } = (await (await fetch(`${base}/openapi.json`)).json()) as { paths: object };
    assert.equal(
      Object.keys(paths).filter((path) => path === '/' || path.startsWith('/assets')),
      [],
    );
  } finally {
    await guarded.close();
  }
});

test.run();
