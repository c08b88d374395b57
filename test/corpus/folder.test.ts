import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CorpusOptions, openCorpus } from '../../corpus/open-corpus.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('folders');

function files(contents: Readonly<Record<string, string | Buffer>>): string {
  const root = tempFolder();
  for (const [name, content] of Object.entries(contents)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

/** Ids, errors as `code place`, and notices; `meanwhile` runs after the first item. */
async function read(root: string, options: CorpusOptions = {}, meanwhile?: () => void) {
  const ids: string[] = [];
  const errors: { code: string; place: string | undefined; unread: unknown }[] = [];
  const notices: string[] = [];
  for await (const item of await openCorpus(root, {
    ...options,
    onNotice: ({ place, message }) => notices.push(`${place}: ${message}`),
  })) {
    if ('error' in item) errors.push({ code: item.error.code, place: item.error.place, unread: item.unread });
    else ids.push(item.document.id);
    meanwhile?.();
  }
  return { ids, errors, notices };
}

test('a subfolder or file that is gone when its turn comes costs only itself', async () => {
  const root = files({ 'a.txt': 'a', 'b.txt': 'b', 'c/d.txt': 'd', 'e/f.txt': 'f' });
  const { ids, errors } = await read(root, {}, () => {
    rmSync(join(root, 'b.txt'), { force: true });
    rmSync(join(root, 'c'), { recursive: true, force: true });
  });
  assert.equal(ids, ['a.txt', 'e/f.txt']);
  assert.equal(errors, [
    { code: 'WINNOW_BAD_ROW', place: `${join(root, 'b.txt')}:1`, unread: { id: 'b.txt' } },
    { code: 'WINNOW_BAD_ROW', place: join(root, 'c'), unread: { prefix: 'c/' } },
  ]);
});

test('a subfolder without permission is one bad row with its path, the rest is read', async () => {
  const root = files({ 'locked/x.txt': 'x', 'open/y.txt': 'y' });
  chmodSync(root, 0o755);
  chmodSync(join(root, 'locked'), 0);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid!(65534); // root may read everything
  try {
    const { ids, errors } = await read(root);
    assert.equal(ids, ['open/y.txt']);
    assert.equal(errors, [
      { code: 'WINNOW_BAD_ROW', place: join(root, 'locked'), unread: { prefix: 'locked/' } },
    ]);
  } finally {
    if (isRoot) process.seteuid!(0);
    chmodSync(join(root, 'locked'), 0o755);
  }
});

test('files of rows and compressed files in a folder are read, archives are named', async () => {
  const root = files({
    'guide.md': '# Guide\n\ntext',
    'packed.txt.gz': gzipSync('packed words'),
    'rows/one.jsonl': '{"id":"j1","text":"x"}\n{"id":"j2","text":"y"}\n',
    'rows/two.csv.gz': gzipSync('id;text\nc1;x\n'),
    'rows/three.tsv': 'id\ttext\nt1\tx\n',
    'rows/config.csv': 'key,value\na,1\nb,2\n',
    'rows/old.zip': 'PK',
    'picture.png': 'no text',
  });
  const { ids, errors, notices } = await read(root);
  assert.equal(ids, ['guide.md', 'packed.txt.gz', 'j1', 'j2', 't1', 'c1']);
  assert.equal(
    errors.map(({ code, place }) => [code, place]),
    [['WINNOW_BAD_ROW', `${join(root, 'rows/config.csv')}:1`]],
  );
  assert.is(notices.length, 2);
  assert.match(notices[0]!, /two\.csv\.gz: read with semicolons/);
  assert.match(notices[1]!, /old\.zip: 1 archive is not opened/);
});

test('the same id in two files is reported with both places, and the last row comes last', async () => {
  const root = files({
    'a.jsonl': '{"id":"x","text":"1"}',
    'b.jsonl': '{"id":"y","text":"2"}\n{"id":"x","text":"3"}',
  });
  const repeated: unknown[] = [];
  const { ids } = await read(root, { onRepeatedId: (one) => repeated.push(one) });
  assert.equal(ids, ['x', 'y', 'x']);
  assert.equal(repeated, [
    {
      id: 'x',
      earlier: { file: join(root, 'a.jsonl'), line: 1 },
      later: { file: join(root, 'b.jsonl'), line: 2 },
    },
  ]);
});

test('links out of the folder are counted and not followed without followLinks; loops end', async () => {
  const outside = files({ 'secret.txt': 's', 'deep/more.md': 'm', 'deep/bin': 'b' });
  const root = files({ 'in.txt': 'i', 'sub/own.txt': 'o' });
  symlinkSync(join(outside, 'secret.txt'), join(root, 'link.txt'));
  symlinkSync(outside, join(root, 'out'));
  symlinkSync(join(root, 'in.txt'), join(root, 'same.txt'));
  symlinkSync(root, join(root, 'sub', 'loop'));
  symlinkSync(outside, join(outside, 'deep', 'loop'));
  symlinkSync(join(outside, 'deep'), join(outside, 'again'));
  const { ids, notices, errors } = await read(root);
  assert.equal([ids, errors], [['in.txt', 'same.txt', 'sub/own.txt'], []]);
  assert.is(notices.length, 1);
  assert.match(
    notices[0]!,
    /link\.txt: 2 symbolic links lead out of the folder and are not followed \(--follow-links/,
  );
  const followed = await read(root, { followLinks: true });
  assert.equal(
    [followed.ids, followed.errors, followed.notices],
    [['in.txt', 'link.txt', 'out/deep/more.md', 'out/secret.txt', 'same.txt', 'sub/own.txt'], [], []],
  );
  symlinkSync(join(root, 'nothing'), join(root, 'dangling.md'));
  assert.equal((await read(root)).errors, [
    { code: 'WINNOW_BAD_ROW', place: join(root, 'dangling.md'), unread: { id: 'dangling.md' } },
  ]);
});

test('text files: UTF-16 by its mark, other encodings by option, the limit also of what was compressed', async () => {
  const root = files({
    'note.txt': Buffer.from('\ufeffwords Ω', 'utf16le'),
    'latin.txt': Buffer.from('caf\xe9', 'latin1'),
    'big.txt.gz': gzipSync('x'.repeat(5000)),
  });
  const { ids, errors, notices } = await read(root, { maxFileBytes: 1000 });
  assert.equal(ids, ['note.txt']);
  assert.equal(
    errors.map(({ code }) => code),
    ['WINNOW_ROW_TOO_LONG', 'WINNOW_BAD_ROW'],
  );
  assert.match(notices[0]!, /note\.txt: read as UTF-16LE/);
  for await (const item of await openCorpus(join(root, 'latin.txt'), { encoding: 'windows-1252' }))
    assert.is('document' in item && item.document.text, 'café');
  try {
    await openCorpus(root, { encoding: 'klingon' });
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code: string }).code, 'WINNOW_BAD_ARGUMENT');
  }
});

test.run();
