import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import type { WinnowError } from '../../../errors.ts';
import { repairIndex } from '../../../indexer/admin/repair.ts';
import { PartKind, segmentKey } from '../../../indexer/format/parts.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { INDEX_FILE } from '../../../indexer/store/files.ts';
import { openStorage, type Storage } from '../../../indexer/store/storage.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('repair');

/** Segment 1 has d0 to d9, segment 2 `cut` in three passages. */
async function build(): Promise<string> {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  store.upsert(Array.from({ length: 10 }, (_, i) => source(`d${i}`, new Map([[i, 9]]), { words: ['w'] })));
  const [item] = source('cut', new Map([[20, 9]]), { words: ['w'] }).documents;
  const documents = [0, 1, 2].map((passage) => ({ ...item!, document: { ...item!.document, passage } }));
  store.upsert([{ id: 'cut', contentHash: 'h', documents }]);
  await store.close();
  return folder;
}

async function damage(folder: string, change: (storage: Storage) => void): Promise<void> {
  const storage = openStorage(folder, { create: false, readOnly: false });
  storage.root.transactionSync(() => change(storage));
  await storage.root.close();
}

function flipped(bytes: Buffer, at = bytes.length - 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

test('a sound index stays as it is', async () => {
  const folder = await build();
  const report = await repairIndex(folder);
  assert.equal(report, { documents: 13, dropped: [], segments: [], incomplete: [] });
  const store = IndexStore.open(folder);
  assert.is(store.contentHashes(['cut']).get('cut'), 'h');
  store.verify();
  await store.close();
});

test('damaged fields cost their document, a damaged entry nothing but its hash', async () => {
  const folder = await build();
  await damage(folder, ({ documents, sources }) => {
    documents.put(3, flipped(documents.get(3)!)); // d2
    documents.put(12, flipped(documents.get(12)!)); // passage 1
    sources.put('d5', flipped(sources.get('d5')!));
    documents.remove(8); // d7
  });
  const store = IndexStore.open(folder);
  const isCorrupt = (error: WinnowError) => error.code === 'WINNOW_INDEX_CORRUPT';
  assert.throws(() => store.get('d2'), isCorrupt);
  assert.throws(() => store.verify(), isCorrupt);
  await store.close();
  const report = await repairIndex(folder);
  assert.is(report.documents, 10);
  assert.equal(report.dropped.map(({ id }) => id).sort(), ['cut#1', 'd2', 'd7']);
  assert.equal(
    [...report.incomplete].sort((a, b) => (a.id < b.id ? -1 : 1)),
    [
      { id: 'cut', documentsLeft: 2 },
      { id: 'd2', documentsLeft: 0 },
      { id: 'd5', documentsLeft: 1 },
      { id: 'd7', documentsLeft: 0 },
    ],
  );
  const mended = IndexStore.open(folder);
  mended.verify();
  assert.equal((mended.get('cut') as { passages: readonly number[] }).passages, [0, 2]);
  assert.is(mended.contentHashes(['cut']).get('cut'), undefined);
  assert.is(mended.contentHashes(['d5']).get('d5'), undefined);
  assert.is(mended.get('d5')?.id, 'd5');
  assert.is(mended.upsert([source('d2', new Map([[2, 9]]))]).added, 1);
  mended.forceMerge();
  mended.verify();
  await mended.close();
});

test('a damaged segment is dropped with its documents, the others stay', async () => {
  const folder = await build();
  await damage(folder, ({ segments }) => {
    const key = segmentKey(1, PartKind.Lexical);
    segments.put(key, flipped(segments.get(key)!, 70));
  });
  const { documents, segments, incomplete } = await repairIndex(folder);
  assert.is(documents, 3);
  assert.equal(
    segments.map(({ number, documents }) => [number, documents]),
    [[1, 10]],
  );
  assert.is(incomplete.length, 10);
  const store = IndexStore.open(folder);
  store.verify();
  assert.is(store.get('d0'), undefined);
  await store.close();
});

test('what cannot be read can be deleted and replaced without a repair', async () => {
  const folder = await build();
  await damage(folder, ({ documents, sources }) => {
    documents.put(1, flipped(documents.get(1)!));
    documents.put(2, flipped(documents.get(2)!));
    sources.put('cut', flipped(sources.get('cut')!));
  });
  const store = IndexStore.open(folder);
  assert.is(store.delete(['d0', 'cut']), 2);
  assert.is(store.upsert([source('d1', new Map([[1, 5]]))]).replaced, 1);
  assert.is(store.stats().documents, 9);
  store.verify();
  await store.close();
});

test('whatever is opened that is no index: one code, what it is, what to do', async () => {
  const foreign = async (fill: (folder: string) => unknown): Promise<string> => {
    const folder = tempFolder();
    await fill(folder);
    return folder;
  };
  const lmdb = async (folder: string, name?: string): Promise<void> => {
    const root = open({ path: join(folder, INDEX_FILE) });
    if (name) await root.openDB({ name }).put('a', 1);
    else await root.put('a', 1);
    await root.close();
  };
  const cases: [string, RegExp][] = [
    [await foreign((folder) => writeFileSync(join(folder, INDEX_FILE), '')), /the file is empty/],
    [await foreign((folder) => writeFileSync(join(folder, INDEX_FILE), 'plain text')), /not an LMDB file/],
    [
      await foreign((folder) => writeFileSync(join(folder, INDEX_FILE), Buffer.alloc(70_000))),
      /not an LMDB file/,
    ],
    [await foreign((folder) => lmdb(folder, 'other')), /of another program/],
    [await foreign((folder) => lmdb(folder)), /LMDB file without databases/],
    [await foreign((folder) => mkdirSync(join(folder, INDEX_FILE))), /it is not a file/],
    [await foreign((folder) => lmdb(folder, 'manifest')), /LMDB file cannot be read|manifest/],
  ];
  for (const [folder, message] of cases)
    for (const options of [{ readOnly: true }, {}]) {
      assert.throws(
        () => openIndex(folder, options),
        (error: WinnowError) =>
          error.code === 'WINNOW_INDEX_CORRUPT' &&
          message.test(error.message) &&
          /winnow/.test(error.hint ?? ''),
        `${folder} ${message}`,
      );
      let code = '';
      try {
        await repairIndex(folder);
      } catch (error) {
        code = (error as WinnowError).code;
      }
      assert.is(code, 'WINNOW_INDEX_CORRUPT');
    }
});

test('an empty file, which a start that was broken off leaves, is no obstacle to creating an index', async () => {
  const folder = tempFolder();
  writeFileSync(join(folder, INDEX_FILE), '');
  await openIndex(folder, { create: true }).close();
  const index = openIndex(folder, { readOnly: true });
  assert.is(index.stats().documents, 0);
  await index.close();
  const file = join(tempFolder(), 'file');
  writeFileSync(file, 'x');
  assert.throws(
    () => openIndex(file, { create: true }),
    (error: WinnowError) => error.code === 'WINNOW_ALREADY_EXISTS',
  );
});

test.run();
