import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IndexStore } from '../../indexer/index-store.ts';
import { packageRoot } from '../../package-root.ts';
import { cli } from '../helpers/cli.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('command line');

const DOCS = [
  {
    _id: 'sky',
    title: 'Sky',
    text: 'The sky is blue because air scatters short wavelengths of sunlight.',
    year: 1871,
  },
  { _id: 'car', title: 'Car', text: 'An automobile is driven by an engine.', year: 1886 },
];

function jsonl(rows: readonly unknown[]): string {
  const file = join(tempFolder(), 'docs.jsonl');
  writeFileSync(file, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
  return file;
}

test('index, search, explain and stats work on one folder', async () => {
  const index = join(tempFolder(), 'index');
  const file = jsonl(DOCS);
  const first = await cli('index', file, '--index', index, '--filter', 'year:number');
  assert.is(first.code, 0, first.stderr);
  assert.match(first.stdout, /2 added, 0 replaced, 0 unchanged/);
  assert.match((await cli('index', file, '--index', index)).stdout, /0 added, 0 replaced, 2 unchanged/);

  const found = await cli('search', 'why is the sky blue', '--index', index);
  assert.is(found.code, 0);
  assert.match(found.stdout, /^1\.\s+\d+\.\d+\s+Sky sky/m);
  const json = JSON.parse(
    (await cli('search', 'motor', '--index', index, '--json', '--filter', '{"year":1886}')).stdout,
  );
  assert.equal(
    json.hits.map(({ id }: { id: string }) => id),
    ['car'],
  );
  const explained = JSON.parse((await cli('explain', 'blue sky', 'sky', '--index', index, '--json')).stdout);
  assert.is(explained.rank, 1);
  assert.is(explained.tokens.find(({ token }: { token: string }) => token === 'blue').origin, 'text');
  const stats = JSON.parse((await cli('stats', '--index', index, '--verify', '--json')).stdout);
  assert.is(stats.documents, 2);
});

test('an index of a model that is not bundled is read with --model', async () => {
  const folder = join(tempFolder(), 'my-model');
  cpSync(join(packageRoot, 'models/winnow-mini'), folder, { recursive: true });
  const index = join(tempFolder(), 'index');
  assert.is((await cli('index', jsonl(DOCS), '--index', index, '--model', folder)).code, 0);
  const commands = [
    ['search', 'blue sky'],
    ['explain', 'blue sky', 'sky'],
    ['export', join(tempFolder(), 'vectors.jsonl')],
  ];
  for (const command of commands) {
    const without = await cli(...command, '--index', index);
    assert.is(without.code, 1);
    assert.match(without.stderr, /WINNOW_MODEL_NOT_FOUND/);
    const { code, stderr } = await cli(...command, '--index', index, '--model', folder);
    assert.is(code, 0, stderr);
  }
});

test('a changed document is encoded again, a vanished one goes with --delete-missing', async () => {
  const index = join(tempFolder(), 'index');
  const folder = tempFolder();
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'a.md'), '# Apples\n\nApples grow on trees.');
  writeFileSync(join(folder, 'sub', 'b.txt'), 'Bees make honey.');
  assert.match((await cli('index', folder, '--index', index)).stdout, /2 added/);
  writeFileSync(join(folder, 'a.md'), '# Apples\n\nApples are fruit.');
  assert.match(
    (await cli('index', folder, '--index', index)).stdout,
    /0 added, 1 replaced, 1 unchanged, 0 deleted/,
  );
  writeFileSync(join(folder, 'sub', 'b.txt'), 'x'); // keep the folder, lose the file's text
  const { rmSync } = await import('node:fs');
  rmSync(join(folder, 'sub', 'b.txt'));
  assert.match(
    (await cli('index', folder, '--index', index, '--delete-missing')).stdout,
    /1 unchanged, 1 deleted/,
  );
  const store = IndexStore.open(index, { readOnly: true });
  assert.is(store.stats().documents, 1);
  await store.close();
});

test('bad rows are named by file and line, skipped, and turn the exit code to 1; --strict stops', async () => {
  const file = jsonl([
    DOCS[0],
    '{broken',
    { _id: 'empty', text: '' },
    DOCS[1],
    `{"_id":"big","text":"${'x'.repeat(10_000_001)}"}`,
  ]);
  const index = join(tempFolder(), 'index');
  const { code, stdout, stderr } = await cli('index', file, '--index', index);
  assert.is(code, 1);
  assert.match(stdout, /2 added/);
  assert.match(stderr, /WINNOW_BAD_ROW .*docs\.jsonl:2/);
  assert.match(stderr, /WINNOW_EMPTY_TEXT .*docs\.jsonl:3/);
  assert.match(stderr, /WINNOW_ROW_TOO_LONG .*docs\.jsonl:5/);
  const strict = await cli('index', file, '--index', join(tempFolder(), 'strict'), '--strict');
  assert.is(strict.code, 1);
  assert.match(strict.stderr, /WINNOW_BAD_ROW .*docs\.jsonl:2/);
});

test('wrong commands end with 1, a code and the place', async () => {
  const nowhere = join(tempFolder(), 'nowhere');
  for (const [parameters, message] of [
    [['index', nowhere, '--index', tempFolder()], /WINNOW_NOT_FOUND .*nowhere/],
    [['search', 'x', '--index', nowhere], /WINNOW_INDEX_NOT_FOUND .*nowhere/],
    [['search', 'x', '--index', nowhere, '--colour'], /unknown option '--colour'/],
    [['search', 'x', '--index', nowhere, '-k', '0'], /whole number from 1 to 1000/],
    [['index', jsonl(DOCS), '--index', tempFolder(), '--model', 'no-such-model'], /WINNOW_MODEL_NOT_FOUND/],
  ] as const) {
    const { code, stderr } = await cli(...parameters);
    assert.is(code, 1, parameters.join(' '));
    assert.match(stderr, message);
  }
});

test('doctor says which kernels run and why', async () => {
  const { code, stdout } = await cli('doctor');
  assert.is(code, 0);
  assert.match(stdout, /^kernels\s+(native|wasm|reference)/m);
});

test.run();
