import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WinnowError } from '../../../errors.ts';
import { withChecksum } from '../../../indexer/format/checksum.ts';
import { PartKind, segmentKey, segmentOfKey } from '../../../indexer/format/parts.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { forcedMergesOnly } from '../../../indexer/merge/merge-policy.ts';
import { openStorage } from '../../../indexer/store/storage.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('merge scheduler');

/** The default of `MergeOptions.inlineMergeBytes`. */
const INLINE_MERGE_BYTES = 256 * 1024;

/** Makes an index of eight segments of one tier, too large together for a merge on the calling thread. */
async function makeEightLargeSegments(folder: string): Promise<void> {
  const store = IndexStore.openOrCreate(folder, SETTINGS, { mergePolicy: forcedMergesOnly });
  for (let batch = 0; batch < 8; batch++) {
    store.upsert(
      Array.from({ length: 800 }, (_, i) =>
        source(
          `d${batch}-${i}`,
          new Map(Array.from({ length: 120 }, (_, j) => [(i * 7 + j * 31) % 5000, 1 + ((i + j) % 255)])),
          { words: [`w${i % 50}`, 'all'], text: `text ${batch} ${i}` },
        ),
      ),
    );
  }
  const bytes = store.view().segments.reduce((sum, { segment }) => sum + segment.numBytes, 0);
  assert.ok(bytes > INLINE_MERGE_BYTES, `${bytes} bytes would be merged on the calling thread`);
  await store.close();
}

/** A write that changes no document, after which merges that are due start. */
const write = (store: IndexStore): void => void store.delete([]);

test('a large merge leaves the event loop free, and searches and writes see every document all the while', async () => {
  const folder = tempFolder();
  await makeEightLargeSegments(folder);
  const store = IndexStore.open(folder);
  const started = performance.now();
  write(store);
  assert.ok(performance.now() - started < 1000, 'starting the merge took long');
  assert.is(store.stats().segments, 8);
  let done = false;
  const merged = store.merged().then(() => {
    done = true;
  });
  let deleted = 0;
  let turns = 0;
  while (!done) {
    if (deleted < 40) assert.is(store.delete([`d${deleted % 8}-${deleted++}`]), 1);
    assert.is(store.stats().documents, 6400 - deleted);
    turns++;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await merged;
  assert.ok(turns > 3, `only ${turns} turns of the event loop during the merge`);
  const { segments, documents, merging } = store.stats();
  assert.is(segments, 1);
  assert.is(merging, 0);
  assert.is(documents, 6400 - deleted);
  store.verify();
  for (let i = 0; i < deleted; i++) assert.is(store.get(`d${i % 8}-${i}`), undefined);
  assert.is(store.get('d7-799')?.text, 'text 7 799');
  await store.close();
});

test('closing breaks a merge off and leaves no part of it behind', async () => {
  const folder = tempFolder();
  await makeEightLargeSegments(folder);
  const store = IndexStore.open(folder);
  write(store);
  await store.close();
  const storage = openStorage(folder, { create: false, readOnly: false });
  const keys = [...storage.segments.getKeys()];
  const numbers = new Set(keys.map((key) => segmentOfKey(key)));
  assert.is(numbers.size, 8, `parts of segments ${[...numbers]}`);
  assert.equal([...storage.manifest.getKeys()], ['current']);
  await storage.root.close();
  const again = IndexStore.open(folder);
  assert.is(again.stats().documents, 6400);
  write(again);
  await again.merged();
  assert.is(again.stats().segments, 1);
  await again.close();
});

test('segments of a running merge are left to it; what a killed process left of one is removed', async () => {
  const folder = tempFolder();
  await makeEightLargeSegments(folder);
  const storage = openStorage(folder, { create: false, readOnly: false });
  const recorded = (record: object) => Buffer.from(withChecksum(Buffer.from(JSON.stringify(record))));
  const running = { output: 77, inputs: [1, 2, 3], owner: 'a', pid: process.ppid, startedAt: Date.now() };
  const gone = { output: 78, inputs: [4, 5], owner: 'another process', pid: 2 ** 30, startedAt: Date.now() };
  storage.root.transactionSync(() => {
    storage.manifest.put('merge 77', recorded(running));
    storage.manifest.put('merge 78', recorded(gone));
    storage.segments.put(segmentKey(78, 3), Buffer.alloc(50_000));
  });
  const store = IndexStore.open(folder, { merges: 'inline' });
  store.forceMerge();
  assert.is(store.stats().segments, 4, 'segments 1, 2, 3 and the merged rest');
  assert.is(store.stats().merging, 3);
  await store.close();
  assert.is(storage.segments.get(segmentKey(78, 3)), undefined);
  assert.equal([...storage.manifest.getKeys()].sort(), ['current', 'merge 77']);
  await storage.root.close();
});

test('a merge that fails says why, leaves the index as it was, and is not tried again at once', async () => {
  const folder = tempFolder();
  await makeEightLargeSegments(folder);
  const storage = openStorage(folder, { create: false, readOnly: false });
  const key = segmentKey(3, PartKind.Lexical);
  storage.root.transactionSync(() => {
    const part = Buffer.from(storage.segments.get(key)!);
    part[part.length - 100]! ^= 1;
    storage.segments.put(key, part);
  });
  const store = IndexStore.open(folder);
  write(store);
  let code = 'none';
  await store.merged().catch((error: WinnowError) => {
    code = error.code;
  });
  assert.is(code, 'WINNOW_INDEX_CORRUPT');
  assert.is(store.mergeError?.code, 'WINNOW_INDEX_CORRUPT');
  const { segments, documents, merging } = store.stats();
  assert.equal([segments, documents, merging], [8, 6400, 0]);
  write(store);
  assert.is(store.stats().segments, 8);
  assert.equal([...storage.manifest.getKeys()], ['current']);
  await store.close();
  await storage.root.close();
});

test('without threads merges are done in place', async () => {
  const folder = tempFolder();
  await makeEightLargeSegments(folder);
  const store = IndexStore.open(folder, { merges: 'inline' });
  write(store);
  assert.is(store.stats().segments, 1);
  assert.is(store.stats().documents, 6400);
  await store.merged();
  await store.close();
});

test('a write whose merge fails on the calling thread is on disk and reports no error', async () => {
  const folder = tempFolder();
  const options = { mergePolicy: forcedMergesOnly };
  const made = IndexStore.openOrCreate(folder, SETTINGS, options);
  for (let i = 0; i < 7; i++) made.upsert([source(`d${i}`, new Map([[i, 5]]), { words: [`w${i}`] })]);
  await made.close();
  const storage = openStorage(folder, { create: false, readOnly: false });
  const key = segmentKey(3, PartKind.Words);
  storage.root.transactionSync(() => {
    const part = Buffer.from(storage.segments.get(key)!);
    part[0]! ^= 1;
    storage.segments.put(key, part);
  });
  await storage.root.close();
  const store = IndexStore.open(folder);
  store.upsert([source('d7', new Map([[7, 5]]))]);
  assert.is(store.get('d7')?.id, 'd7');
  assert.is(store.mergeError?.code, 'WINNOW_INDEX_CORRUPT');
  assert.is(store.stats().segments, 8);
  assert.throws(
    () => store.forceMerge(),
    (error: WinnowError) => error.code === 'WINNOW_INDEX_CORRUPT',
  );
  store.upsert([source('d8', new Map([[8, 5]]))]);
  assert.is(store.stats().segments, 9, 'tried again at once');
  await store.close();
});

test.run();
