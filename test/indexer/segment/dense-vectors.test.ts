import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WinnowError } from '../../../errors.ts';
import { isLive } from '../../../indexer/format/bitmap.ts';
import { PartKind, segmentKey } from '../../../indexer/format/parts.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { INDEX_FILE } from '../../../indexer/store/files.ts';
import { openStorage } from '../../../indexer/store/storage.ts';
import type { DenseVector, IndexableSource } from '../../../indexer/types.ts';
import { packageRoot } from '../../../package-root.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { check } from '../../helpers/property.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('dense vectors');

const SIZE = 5;
const WITH_VECTORS = { ...SETTINGS, vectorSize: SIZE };

const withDense = (id: string, dense: DenseVector | undefined): IndexableSource => {
  const one = source(id, new Map([[7, 9]]), { words: ['word'] });
  return { ...one, documents: [{ ...one.documents[0]!, dense }] };
};

const vector = fc.record({
  values: fc.array(fc.integer({ min: -127, max: 127 }), { minLength: SIZE, maxLength: SIZE }),
  scale: fc.float({ min: Math.fround(1e-6), max: 100, noNaN: true }),
});

/** Every live document's vector, as the segments have it. */
function stored(store: IndexStore): Map<string, { values: number[]; scale: number } | undefined> {
  const found = new Map();
  for (const { segment, live } of store.view().segments) {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (!isLive(live, docId)) continue;
      const dense = segment.denseVectors?.vector(docId);
      found.set(segment.id(docId), dense && { values: [...dense.values], scale: dense.scale });
    }
  }
  return found;
}

test('what was written reads back equal, over replacements, deletes, merges and a reopening', async () => {
  const write = fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), dense: fc.option(vector) });
  await check(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          { weight: 5, arbitrary: fc.array(write, { minLength: 1, maxLength: 5 }) },
          { weight: 1, arbitrary: fc.constantFrom('merge' as const, 'delete a' as const) },
        ),
        { maxLength: 12 },
      ),
      async (steps) => {
        const folder = tempFolder();
        const store = IndexStore.openOrCreate(folder, WITH_VECTORS);
        const expected = new Map<string, { values: number[]; scale: number } | undefined>();
        for (const step of steps) {
          if (step === 'merge') store.forceMerge();
          else if (step === 'delete a') {
            store.delete(['a']);
            expected.delete('a');
          } else {
            const last = new Map(step.map(({ id, dense }) => [id, dense ? { ...dense } : undefined]));
            store.upsert(
              [...last].map(([id, dense]) =>
                withDense(id, dense && { values: Int8Array.from(dense.values), scale: dense.scale }),
              ),
            );
            for (const [id, dense] of last) expected.set(id, dense);
          }
        }
        const sorted = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
        assert.equal(sorted(stored(store)), sorted(expected));
        const withVectors = [...expected.values()].filter(Boolean).length;
        assert.is(store.stats().withVectors, withVectors);
        // A source whose document lacks its vector is indexed again.
        const whole = [...expected].filter(([, dense]) => dense).map(([id]) => id);
        assert.equal([...store.contentHashes([...expected.keys()]).keys()].sort(), whole.sort());
        await store.close();
        const again = IndexStore.open(folder, { readOnly: true });
        again.verify();
        assert.equal(sorted(stored(again)), sorted(expected));
        await again.close();
      },
    ),
    { numRuns: 30 },
  );
});

test('an index that keeps no vectors drops them, and keeps them from keepVectors on', async () => {
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const dense = { values: new Int8Array(SIZE).fill(3), scale: 0.5 };
  store.upsert([withDense('a', dense)]);
  assert.is(store.stats().withVectors, 0);
  assert.is(store.stats().bytes.dense, undefined);
  assert.equal([...store.contentHashes(['a']).keys()], ['a']);
  store.keepVectors(SIZE);
  assert.equal([...store.contentHashes(['a']).keys()], []);
  store.upsert([withDense('a', dense), withDense('b', undefined)]);
  assert.is(store.stats().withVectors, 1);
  assert.ok(store.stats().bytes.dense! > 0);
  assert.equal([...store.contentHashes(['a', 'b']).keys()], ['a']);
  await store.close();
});

test('a vector of another size is refused with its document, and nothing is written', async () => {
  const store = IndexStore.openOrCreate(tempFolder(), WITH_VECTORS);
  for (const dense of [
    { values: new Int8Array(SIZE - 1), scale: 1 },
    { values: new Int8Array(SIZE + 1), scale: 1 },
    { values: new Int8Array(SIZE), scale: 0 },
    { values: new Int8Array(SIZE), scale: Number.NaN },
  ]) {
    assert.throws(
      () => store.upsert([withDense('fine', undefined), withDense('odd', dense)]),
      ({ code, place }: WinnowError) => code === 'WINNOW_BAD_ROW' && place === 'document "odd"',
    );
  }
  assert.is(store.stats().documents, 0);
  await store.close();
});

test('a changed byte is found before a vector is used', async () => {
  const folder = tempFolder();
  const store = IndexStore.openOrCreate(folder, WITH_VECTORS);
  store.upsert([withDense('a', { values: Int8Array.from([1, 2, 3, 4, 5]), scale: 1 })]);
  await store.close();
  const storage = openStorage(folder, { create: false, readOnly: false });
  const key = segmentKey(1, PartKind.Dense);
  const bytes = Buffer.from(storage.segments.get(key)!);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 4;
    storage.root.transactionSync(() => void storage.segments.put(key, changed));
    await storage.root.flushed;
    const reader = IndexStore.open(folder, { readOnly: true });
    let answer = '';
    try {
      answer = JSON.stringify([...stored(reader)]);
    } catch (error) {
      answer = (error as WinnowError).code;
    }
    await reader.close();
    const harmless = JSON.stringify([['a', { values: [1, 2, 3, 4, 5], scale: 1 }]]);
    assert.ok(answer === 'WINNOW_INDEX_CORRUPT' || answer === harmless, `byte ${at}: ${answer}`);
  }
  await storage.root.close();
});

test('an index of format 4 opens as it is, without vectors, and its next write makes it format 5', async () => {
  const folder = tempFolder();
  const packed = readFileSync(join(packageRoot, 'test/fixtures/indexes/format-4.mdb.gz'));
  writeFileSync(join(folder, INDEX_FILE), gunzipSync(packed));
  const before = IndexStore.open(folder);
  assert.equal([before.stats().documents, before.stats().withVectors], [3, 0]);
  assert.equal([...before.contentHashes(['sky', 'sea', 'land', 'gone']).keys()], ['sky', 'sea', 'land']);
  before.keepVectors(SIZE);
  before.upsert([withDense('sky', { values: new Int8Array(SIZE).fill(1), scale: 1 })]);
  before.forceMerge();
  await before.close();
  const after = IndexStore.openOrCreate(folder, WITH_VECTORS);
  after.verify();
  assert.equal([after.stats().documents, after.stats().withVectors], [3, 1]);
  assert.equal([...after.contentHashes(['sky', 'sea', 'land']).keys()], ['sky']);
  await after.close();
});

test.run();
