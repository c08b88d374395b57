import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FolderWatcher, type WatchUpdate } from '../../app/folder-watcher.ts';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import type { WinnowError } from '../../errors.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { codeOf } from '../helpers/thrown.ts';

const test = suite('folder watcher');
/** A test that fails leaves its watcher open, which would keep the process alive. */
const open = new Set<Watched>();
test.after(async () => {
  await Promise.all([...open].map(close));
});

interface Watched {
  readonly folder: string;
  readonly index: SearchIndex;
  readonly watcher: FolderWatcher;
  readonly updates: WatchUpdate[];
  readonly errors: WinnowError[];
}

async function watched(
  files: Readonly<Record<string, string>> = { 'first.md': 'the first page' },
): Promise<Watched> {
  const folder = tempFolder();
  for (const [name, text] of Object.entries(files)) put(folder, name, text);
  const index = openIndex(join(tempFolder(), 'index'), { create: true, lexicalOnly: true });
  const updates: WatchUpdate[] = [];
  const errors: WinnowError[] = [];
  const watcher = new FolderWatcher(folder, index.backend, {
    corpus: {},
    batchSize: 16,
    passages: true,
    settleMs: 30,
    rescanMs: 3_600_000,
    onBadRow: (error) => errors.push(error),
    onError: (error) => errors.push(error),
    onProgress: () => {},
    onUpdate: (update) => updates.push(update),
  });
  const one = { folder, index, watcher, updates, errors };
  open.add(one);
  await watcher.start();
  return one;
}

async function close(one: Watched): Promise<void> {
  open.delete(one);
  await one.watcher.close();
  await one.index.close();
}

function put(folder: string, name: string, text: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

/** Texts by id. */
function stored({ index }: Watched): Record<string, string> {
  const ids = [...index.backend.sourceIds()].sort();
  return Object.fromEntries(
    ids.map((id) => {
      const found = index.get(id)!;
      return [id, found.text];
    }),
  );
}

/** Waits until the index holds these texts. */
async function becomes(one: Watched, expected: Readonly<Record<string, string>>): Promise<void> {
  const wanted = JSON.stringify(
    Object.fromEntries(Object.entries(expected).sort(([a], [b]) => (a < b ? -1 : 1))),
  );
  for (let waited = 0; waited < 20_000 && JSON.stringify(stored(one)) !== wanted; waited += 20)
    await sleep(20);
  assert.is(JSON.stringify(stored(one)), wanted);
}

test('files that are written, changed, renamed and deleted are followed', async () => {
  const one = await watched({ 'a.md': 'alpha', 'sub/b.txt': 'beta' });
  await becomes(one, { 'a.md': 'alpha', 'sub/b.txt': 'beta' });
  put(one.folder, 'sub/deep/c.txt', 'gamma');
  put(one.folder, 'a.md', 'alpha again');
  await becomes(one, { 'a.md': 'alpha again', 'sub/b.txt': 'beta', 'sub/deep/c.txt': 'gamma' });
  renameSync(join(one.folder, 'sub'), join(one.folder, 'moved'));
  await becomes(one, { 'a.md': 'alpha again', 'moved/b.txt': 'beta', 'moved/deep/c.txt': 'gamma' });
  rmSync(join(one.folder, 'moved'), { recursive: true });
  await becomes(one, { 'a.md': 'alpha again' });
  assert.equal(one.errors, []);
  await close(one);
});

test('what editors leave beside a file is no document, and a file that an editor replaces stays one', async () => {
  const one = await watched({ 'note.md': 'before' });
  for (const name of [
    '.note.md.swp',
    'note.md~',
    '#note.md#',
    '.#note.md',
    '4913',
    'note.md.tmp',
    '.git/x.md',
  ])
    put(one.folder, name, 'not a document');
  put(one.folder, '.note.md.new', 'after');
  renameSync(join(one.folder, '.note.md.new'), join(one.folder, 'note.md'));
  await becomes(one, { 'note.md': 'after' });
  put(one.folder, 'end.md', 'a last change, so that all earlier ones were seen');
  await becomes(one, { 'note.md': 'after', 'end.md': 'a last change, so that all earlier ones were seen' });
  assert.is(
    one.updates.reduce((sum, { deleted }) => sum + deleted, 0),
    0,
  );
  await close(one);
});

test('a file that is still being written is read when it is whole', async () => {
  const one = await watched();
  const file = join(one.folder, 'slow.txt');
  for (let i = 0; i < 10; i++) {
    appendFileSync(file, `${i > 0 ? ' ' : ''}part${i}`);
    await sleep(10);
  }
  await becomes(one, {
    'first.md': 'the first page',
    'slow.txt': [...Array(10).keys()].map((i) => `part${i}`).join(' '),
  });
  await close(one);
});

test('rows of a table follow its file, and a broken row keeps the document that it may be', async () => {
  const row = (id: string, text: string) => `${JSON.stringify({ id, text })}\n`;
  const one = await watched({ 'rows.jsonl': row('1', 'one') + row('2', 'two') });
  await becomes(one, { '1': 'one', '2': 'two' });
  put(one.folder, 'rows.jsonl', row('2', 'two') + row('3', 'three'));
  await becomes(one, { '2': 'two', '3': 'three' });
  put(one.folder, 'rows.jsonl', `${row('4', 'four')}{"id": "3", "text`);
  await becomes(one, { '3': 'three', '4': 'four' });
  assert.ok(one.errors.some(({ code }) => code === 'WINNOW_BAD_ROW'));
  await close(one);
});

test('a folder that is gone or emptied keeps its documents: it may be a disk that is not there', async () => {
  const one = await watched({ 'a.md': 'alpha', 'b.md': 'beta' });
  rmSync(join(one.folder, 'a.md'));
  rmSync(join(one.folder, 'b.md'));
  for (let waited = 0; waited < 20_000 && !one.updates.some(({ kept }) => kept > 0); waited += 20)
    await sleep(20);
  const held = Object.keys(stored(one)).length;
  assert.ok(one.updates.some(({ kept }) => kept > 0));
  // One may have gone while the other was still there.
  assert.ok(held >= 1);
  await close(one);
});

test('an index of something else is refused, and left as it was', async () => {
  const one = await watched({ 'a.md': 'alpha' });
  const other = tempFolder();
  put(other, 'z.md', 'omega');
  const watcher = new FolderWatcher(other, one.index.backend, {
    corpus: {},
    batchSize: 16,
    passages: true,
    settleMs: 30,
    rescanMs: 3_600_000,
    onBadRow: () => {},
    onError: () => {},
    onProgress: () => {},
    onUpdate: () => {},
  });
  assert.is(await codeOf(() => watcher.start()), `WINNOW_INDEX_MISMATCH ${other}`);
  await watcher.close();
  assert.ok('a.md' in stored(one));
  await close(one);
});

test('after any sequence of changes the index holds what the folder holds', async () => {
  const names = ['a.md', 'b.txt', 'd/c.txt', 'd/e.md', 'keep.txt'];
  const step = fc.oneof(
    fc.record({
      do: fc.constant('write' as const),
      file: fc.nat(3),
      text: fc.stringMatching(/^[a-z]{3,9}$/),
    }),
    fc.record({ do: fc.constant('delete' as const), file: fc.nat(3) }),
    fc.record({ do: fc.constant('rename' as const), file: fc.nat(3), to: fc.nat(3) }),
  );
  await check(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 0, max: 25 }),
      async (steps, pause) => {
        const one = await watched({ 'keep.txt': 'kept' });
        const expected: Record<string, string> = { 'keep.txt': 'kept' };
        for (const taken of steps) {
          const name = names[taken.file]!;
          if (taken.do === 'write') {
            put(one.folder, name, taken.text);
            expected[name] = taken.text;
          } else if (expected[name] !== undefined && taken.do === 'delete') {
            rmSync(join(one.folder, name));
            delete expected[name];
          } else if (expected[name] !== undefined && taken.do === 'rename') {
            const to = names[taken.to]!;
            mkdirSync(join(one.folder, 'd'), { recursive: true });
            renameSync(join(one.folder, name), join(one.folder, to));
            const text = expected[name]!;
            delete expected[name];
            expected[to] = text;
          }
          await sleep(pause);
        }
        await becomes(one, expected);
        await close(one);
      },
    ),
    { numRuns: 12 },
  );
});

test.run();
