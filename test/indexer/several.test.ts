import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IndexStore } from '../../indexer/index-store.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { contentsOf, modelAfter, play, sameModel } from '../torture/history.ts';

const test = suite('several indexes in one process');

test('each index holds its own history while all are written and merged side by side', async () => {
  const options = { inlineMergeBytes: 0, reorderFrom: 64 };
  const stores = [1, 2, 3].map(() => IndexStore.openOrCreate(tempFolder(), SETTINGS, options));
  for (let step = 0; step < 30; step++) {
    for (const [seed, store] of stores.entries()) play(store, seed, step);
    if (step % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (const [seed, store] of stores.entries()) {
    await store.merged();
    assert.ok(sameModel(contentsOf(store.view(), seed), modelAfter(seed, 30)), `index ${seed}`);
    store.verify();
    await store.close();
    // The others stay open and whole.
    for (const [other, open] of stores.entries())
      if (other > seed) assert.ok(sameModel(contentsOf(open.view(), other), modelAfter(other, 30)));
  }
});

test("two handles on one index see each other's writes, and one goes on after the other is closed", async () => {
  const folder = tempFolder();
  const first = IndexStore.openOrCreate(folder, SETTINGS);
  const second = IndexStore.open(folder);
  first.upsert([source('a', new Map([[1, 5]]))]);
  second.upsert([source('b', new Map([[2, 5]]))]);
  first.delete(['b']);
  first.upsert([source('c', new Map([[3, 5]]))]);
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.is(second.stats().documents, 2);
  await first.close();
  second.upsert([source('d', new Map([[4, 5]]))]);
  assert.is(second.stats().documents, 3);
  second.forceMerge();
  second.verify();
  await second.close();
});

test('a view in use stays whole and unchanged while the index is rewritten under it', async () => {
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS, { merges: 'inline' });
  for (let step = 0; step < 10; step++) play(store, 9, step);
  const view = store.view().acquire();
  const before = contentsOf(view, 9);
  for (let step = 10; step < 60; step++) play(store, 9, step);
  store.forceMerge();
  assert.ok(sameModel(contentsOf(view, 9), before));
  view.release();
  assert.throws(
    () => view.acquire(),
    (error: { code: string }) => error.code === 'WINNOW_INDEX_CLOSED',
  );
  await store.close();
});

test.run();
