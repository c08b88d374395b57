import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IndexStore } from '../../../indexer/index-store.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { thrownBy } from '../../helpers/thrown.ts';
import { contentsOf, modelAfter, playInBackground, sameModel } from '../../torture/history.ts';

const test = suite('writes on a thread');

const batch = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) =>
    source(`${name}${i}`, new Map([[i % 50, 9]]), { words: ['w', name] }),
  );

/** A store whose writing thread runs. */
async function storeWithThread(folder = tempFolder()): Promise<IndexStore> {
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  for (let i = 0; !store.background.hasThread; i++) {
    await store.background.upsert(batch('first', 64));
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(i < 3000, 'the thread does not start');
  }
  return store;
}

test('a history that is written by a thread leaves the index that one on the calling thread leaves', async () => {
  const seed = Date.now() & 0xffff;
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  let steps = 0;
  for (let left = 100; left > 0; steps++) {
    const step = steps;
    await playInBackground(store, seed, step);
    await new Promise((resolve) => setImmediate(resolve)); // the thread says that it is there
    if (store.background.hasThread) left--;
    // Every write shows at once.
    if (step % 20 === 0)
      assert.ok(
        sameModel(contentsOf(store.view(), seed), modelAfter(seed, step + 1)),
        `seed ${seed}, step ${step}`,
      );
  }
  await store.merged();
  store.verify();
  await store.close();
  const reopened = IndexStore.open(folder);
  assert.ok(sameModel(contentsOf(reopened.view(), seed), modelAfter(seed, steps)), `seed ${seed}`);
  await reopened.close();
});

test('the event loop turns while the thread writes, and reads show a write when its promise resolves', async () => {
  const store = await storeWithThread();
  let turns = 0;
  let isWriting = true;
  const turning = (async () => {
    while (isWriting) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
  })();
  const { added } = await store.background.upsert(batch('large', 3000));
  isWriting = false;
  await turning;
  assert.is(added, 3000);
  assert.ok(turns > 10, `only ${turns} turns`);
  assert.is(store.contentHashes(['large0', 'large2999']).size, 2);
  assert.is(store.view().documentsOf({ id: 'large2999' }).length, 1);
  assert.is(await store.background.delete(['large0', 'nothing']), 1);
  assert.is(store.get('large0'), undefined);
  await store.close();
});

test('what cannot be stored is refused with its code and place, and changes nothing', async () => {
  const store = await storeWithThread();
  const before = store.stats();
  const bad = [...batch('fine', 3), { ...source('bad', new Map([[1, 5]])), contentHash: '' }];
  const { code, place } = await thrownBy(() => store.background.upsert(bad));
  assert.is(code, 'WINNOW_BAD_ROW');
  assert.match(place!, 'document "bad"');
  assert.equal(store.stats(), before);
  assert.is((await store.background.upsert(batch('fine', 3))).added, 3);
  await store.close();
});

test('closing waits for writes under way, which are there afterwards; later ones are refused', async () => {
  const folder = tempFolder();
  const store = await storeWithThread(folder);
  const writes = [1, 2, 3].map((i) => store.background.upsert(batch(`last${i}-`, 200)));
  const closed = store.close();
  const late = await thrownBy(() => store.background.upsert(batch('late', 1)));
  assert.is(late.code, 'WINNOW_INDEX_CLOSED');
  assert.equal(
    (await Promise.all(writes)).map(({ added }) => added),
    [200, 200, 200],
  );
  await closed;
  const reopened = IndexStore.open(folder);
  for (const id of ['last1-0', 'last2-0', 'last3-199']) assert.ok(reopened.get(id), id);
  assert.is(reopened.get('late0'), undefined);
  await reopened.close();
});

test('a thread that ends by itself takes no write with it silently', async () => {
  const store = await storeWithThread();
  const write = store.background.upsert(batch('unsure', 2000));
  await store.background['thread']['worker']!.terminate();
  assert.is((await thrownBy(() => write)).code, 'WINNOW_STORAGE');
  // All or nothing, and the index goes on.
  assert.ok([0, 2000].includes(store.contentHashes(batch('unsure', 2000).map(({ id }) => id)).size));
  await store.background.upsert(batch('after', 3));
  store.verify();
  await store.close();
});

test.run();
