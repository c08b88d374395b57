import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WinnowError } from '../../../errors.ts';
import { compactIndex } from '../../../indexer/admin/compact.ts';
import { restoreSnapshot } from '../../../indexer/admin/restore.ts';
import { SNAPSHOT_FILE } from '../../../indexer/admin/snapshot.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { INDEX_FILE } from '../../../indexer/store/files.ts';
import { startScript } from '../../helpers/cli.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('snapshots');

const batch = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) =>
    source(`${name}-${i}`, new Map([[i % 500, 1 + (i % 255)]]), {
      words: [`w${i % 30}`],
      text: `${name} ${i}`,
    }),
  );

async function refused(action: () => Promise<unknown>): Promise<string> {
  try {
    await action();
  } catch (error) {
    return (error as WinnowError).code;
  }
  return 'nothing was thrown';
}

test('a snapshot taken while batches are written holds whole batches, and restores to an index that goes on', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  store.upsert(batch('first', 3000));
  const target = join(tempFolder(), 'copy');
  const taking = store.takeSnapshot(target);
  for (let i = 0; i < 5; i++) {
    store.upsert(batch(`later${i}`, 100));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const info = await taking;
  assert.ok(info.documents >= 3000 && info.documents % 100 === 0, `${info.documents} documents`);
  await store.close();

  const restored = tempFolder();
  await restoreSnapshot(target, restored);
  assert.equal(readdirSync(restored), [INDEX_FILE]);
  const copy = IndexStore.open(restored);
  assert.is(copy.stats().documents, info.documents);
  assert.is(copy.get('first-2999')?.text, 'first 2999');
  copy.upsert(batch('after', 10));
  copy.verify();
  assert.is(copy.stats().documents, info.documents + 10);
  await copy.close();
});

test('a snapshot never takes the place of something, a restore only when told to', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  store.upsert(batch('a', 20));
  const snapshot = join(tempFolder(), 'copy');
  await store.takeSnapshot(snapshot);
  assert.is(await refused(() => store.takeSnapshot(snapshot)), 'WINNOW_ALREADY_EXISTS');
  store.delete(['a-0']);
  assert.is(await refused(() => restoreSnapshot(snapshot, folder)), 'WINNOW_ALREADY_EXISTS');
  assert.is(store.stats().documents, 19);
  await restoreSnapshot(snapshot, folder, { overwrite: true });
  // The handle that had the old file open must not write where nobody will look.
  assert.throws(
    () => store.upsert(batch('lost', 1)),
    (error: WinnowError) => error.code === 'WINNOW_INDEX_CLOSED',
  );
  await store.close();
  const restored = IndexStore.open(folder);
  assert.is(restored.stats().documents, 20);
  restored.verify();
  await restored.close();
});

test('a damaged snapshot is refused and the index that was there stays', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  store.upsert(batch('a', 500));
  const snapshot = join(tempFolder(), 'copy');
  await store.takeSnapshot(snapshot);
  await store.close();
  const file = join(snapshot, INDEX_FILE);
  const whole = readFileSync(file);
  const flipped = Buffer.from(whole);
  flipped[whole.length >> 1]! ^= 4;
  for (const damaged of [flipped, whole.subarray(0, -100), Buffer.alloc(0)]) {
    writeFileSync(file, damaged);
    const restore = () => restoreSnapshot(snapshot, folder, { overwrite: true });
    assert.is(await refused(restore), 'WINNOW_SNAPSHOT_INVALID');
  }
  rmSync(join(snapshot, SNAPSHOT_FILE));
  assert.is(await refused(() => restoreSnapshot(snapshot, tempFolder())), 'WINNOW_SNAPSHOT_INVALID');
  assert.equal(readdirSync(folder).sort(), [INDEX_FILE, `${INDEX_FILE}-lock`]);
  const left = IndexStore.open(folder);
  assert.is(left.stats().documents, 500);
  await left.close();
});

test('a damaged index is replaced by a restore', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  store.upsert(batch('a', 50));
  const snapshot = join(tempFolder(), 'copy');
  await store.takeSnapshot(snapshot);
  await store.close();
  writeFileSync(join(folder, INDEX_FILE), Buffer.alloc(9000, 3));
  await restoreSnapshot(snapshot, folder, { overwrite: true });
  const restored = IndexStore.open(folder);
  assert.is(restored.stats().documents, 50);
  await restored.close();
});

test('compaction merges, drops the dead and gives free pages back', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  for (let i = 0; i < 6; i++) store.upsert(batch(`b${i}`, 400));
  store.delete(Array.from({ length: 300 }, (_, i) => `b0-${i}`));
  await store.close();
  const { bytesBefore, bytesAfter, segments } = await compactIndex(folder);
  assert.is(segments, 1);
  assert.ok(bytesAfter < 0.7 * bytesBefore, `${bytesBefore} to ${bytesAfter} bytes`);
  assert.is(statSync(join(folder, INDEX_FILE)).size, bytesAfter);
  assert.equal(readdirSync(folder), [INDEX_FILE]);
  const compact = IndexStore.open(folder);
  assert.is(compact.stats().documents, 2100);
  assert.is(compact.stats().deleted, 0);
  assert.is(compact.get('b0-10'), undefined);
  assert.is(compact.get('b5-399')?.text, 'b5 399');
  compact.verify();
  await compact.close();
});

test('a compaction that is stopped at any of its checkpoints leaves every document, and another one goes through', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  for (let i = 0; i < 3; i++) store.upsert(batch(`b${i}`, 400));
  store.delete(Array.from({ length: 300 }, (_, i) => `b0-${i}`));
  await store.close();
  let checkpoints = 0;
  for (let last = 0; ; last++) {
    checkpoints = 0;
    const result = await compactIndex(folder, () => checkpoints++ >= last).catch((error: unknown) => error);
    assert.equal(
      readdirSync(folder).filter((name) => name.endsWith('.partial')),
      [],
    );
    const whole = IndexStore.open(folder);
    assert.is(whole.stats().documents, 900);
    whole.verify();
    await whole.close();
    if (!(result instanceof WinnowError)) break;
    assert.is(result.code, 'WINNOW_INDEX_CLOSED');
  }
  assert.ok(checkpoints >= 3, `only ${checkpoints} checkpoints`);
});

test('compaction is refused while another process has the index open', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, SETTINGS);
  store.upsert(batch('a', 20));
  await store.close();
  const child = startScript('test/helpers/hold-index.ts', folder);
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  assert.is(await refused(() => compactIndex(folder)), 'WINNOW_INDEX_IN_USE');
  assert.not.ok(existsSync(join(folder, 'compact.partial')));
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  await compactIndex(folder);
});

test.run();
