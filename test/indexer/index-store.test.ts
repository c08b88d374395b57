import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IndexStore } from '../../indexer/index-store.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('index store');

type Vector = Map<number, number>;

const vector: fc.Arbitrary<Vector> = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 255 })), { maxLength: 12 })
  .map((entries) => new Map(entries));

const operation = fc.oneof(
  fc.record({
    kind: fc.constant('upsert' as const),
    docs: fc.array(fc.tuple(fc.integer({ min: 0, max: 15 }), vector), { maxLength: 9 }),
  }),
  fc.record({
    kind: fc.constant('delete' as const),
    ids: fc.array(fc.integer({ min: 0, max: 15 }), { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('optimize' as const) }),
  fc.record({ kind: fc.constant('reopen' as const) }),
);

/** Everything the index says about its live documents, read back through postings, forward vectors and stored fields. */
function contents(store: IndexStore): Map<string, Vector> {
  const found = new Map<string, Vector>();
  const generation = store.view();
  for (const { segment, live } of generation.segments) {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (live && ((live[docId >> 3]! >> (docId & 7)) & 1) === 0) continue;
      const id = segment.id(docId);
      assert.not(found.has(id), `two live documents have id ${id}`);
      const { termIds, impacts } = segment.vector(docId);
      found.set(id, new Map(Array.from(termIds, (termId, i) => [termId, impacts[i]!])));
      assert.is(generation.document(segment.docKeys[docId]!)?.id, id);
    }
  }
  return found;
}

test('equals a map under any sequence of upserts, deletes, merges and reopenings', async () => {
  await check(
    fc.asyncProperty(fc.array(operation, { maxLength: 14 }), async (operations) => {
      const folder = tempFolder();
      let store = IndexStore.openOrCreate(folder, SETTINGS);
      const model = new Map<string, Vector>();
      for (const step of operations) {
        switch (step.kind) {
          case 'upsert':
            for (const [id, impacts] of step.docs) model.set(`d${id}`, impacts);
            store.upsert(
              step.docs.map(([id, impacts]) => source(`d${id}`, impacts, { words: [`w${id}`, 'all'] })),
            );
            break;
          case 'delete': {
            const ids = step.ids.map((id) => `d${id}`);
            const expected = new Set(ids.filter((id) => model.has(id))).size;
            assert.is(store.delete(ids), expected);
            for (const id of ids) model.delete(id);
            break;
          }
          case 'optimize':
            store.forceMerge();
            assert.ok(store.stats().segments <= 1);
            assert.is(store.stats().deleted, 0);
            break;
          case 'reopen':
            await store.close();
            store = IndexStore.open(folder);
        }
      }
      const sorted = (map: Map<string, Vector>) =>
        [...map]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([id, terms]) => [id, [...terms].sort(([a], [b]) => a - b)]);
      assert.equal(sorted(contents(store)), sorted(model));
      assert.is(store.stats().documents, model.size);
      store.verify();
      await store.close();
    }),
    { numRuns: 25 },
  );
});

test('a source replaced by fewer passages leaves none of the old ones behind', async () => {
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const passage = (n: number) => {
    const [one] = source('guide', new Map([[n, 9]])).documents;
    return { ...one!, document: { ...one!.document, passage: n } };
  };
  store.upsert([{ id: 'guide', contentHash: 'v1', documents: [passage(0), passage(1), passage(2)] }]);
  store.upsert([{ id: 'guide', contentHash: 'v2', documents: [passage(0)] }]);
  assert.is(store.stats().documents, 1);
  assert.is(store.get({ id: 'guide', passage: 2 }), undefined);
  assert.is(store.contentHashes(['guide']).get('guide'), 'v2');
  assert.is(store.delete(['guide']), 1);
  assert.is(store.stats().documents, 0);
  await store.close();
});

test('a second process-like handle sees a committed write and not a half one', async () => {
  const folder = tempFolder();
  const writer = IndexStore.openOrCreate(folder, SETTINGS);
  writer.upsert([source('a', new Map([[1, 5]]))]);
  const reader = IndexStore.open(folder, { readOnly: true });
  assert.is(reader.stats().documents, 1);
  assert.throws(
    () => writer.upsert([source('b', new Map([[1, 5]])), source('', new Map())]),
    (e: { code: string }) => e.code === 'WINNOW_BAD_ROW',
  );
  assert.is(writer.stats().documents, 1);
  writer.upsert([source('b', new Map([[1, 5]]))]);
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.is(reader.stats().documents, 2);
  assert.throws(
    () => reader.delete(['a']),
    (e: { code: string }) => e.code === 'WINNOW_INDEX_READ_ONLY',
  );
  await reader.close();
  await writer.close();
});

test('other settings on an existing index are refused by name', async () => {
  const folder = tempFolder();
  await IndexStore.openOrCreate(folder, SETTINGS).close();
  assert.throws(
    () => IndexStore.openOrCreate(folder, { ...SETTINGS, modelHash: 'fedcba9876543210' }),
    (e: { code: string; message: string }) =>
      e.code === 'WINNOW_INDEX_MISMATCH' && e.message.includes('modelHash'),
  );
});

test('a folder without an index is a coded error', () => {
  assert.throws(
    () => IndexStore.open(tempFolder()),
    (e: { code: string }) => e.code === 'WINNOW_INDEX_NOT_FOUND',
  );
});

test.run();
