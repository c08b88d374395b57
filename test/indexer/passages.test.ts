import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { WinnowError } from '../../errors.ts';
import { parseStoredId, storedId } from '../../indexer/format/stored-id.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import type { IndexableSource } from '../../indexer/types.ts';
import { SETTINGS } from '../helpers/documents.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('passages and ids');

/** A source of so many passages, or one whole document for 0. */
function cut(id: string, passages: number, version: number): IndexableSource {
  const ordinals = passages === 0 ? [undefined] : Array.from({ length: passages }, (_, i) => i);
  return {
    id,
    contentHash: `${version}`,
    documents: ordinals.map((passage) => ({
      document: {
        id,
        ...(passage === undefined ? {} : { passage }),
        title: '',
        text: `${id} ${passage} ${version}`,
        metadata: {},
      },
      vector: { termIds: Uint16Array.of(1), weights: Float32Array.of(1) },
      words: ['w'],
    })),
  };
}

/** Ids that look like passages of each other. */
const id = fc.constantFrom('a', 'a#0', 'a#1', 'a#0#0', 'a#10', 'b', '#', 'a\u0001', 'ä');
const length = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant(12));
const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), rows: fc.array(fc.tuple(id, length), { maxLength: 4 }) }),
  fc.record({ kind: fc.constant('delete' as const), id }),
  fc.record({ kind: fc.constant('delete passage' as const), id, passage: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ kind: fc.constant('optimize' as const) }),
);

test('any ids and lengths in any order equal a map of what was added', async () => {
  await check(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
      /** By id: hash, and by ordinal (undefined for a whole document) the text. */
      const model = new Map<string, { hash: string | undefined; texts: Map<number | undefined, string> }>();
      let version = 0;
      for (const one of steps) {
        if (one.kind === 'add') {
          const sources = one.rows.map(([key, passages]) => cut(key, passages, ++version));
          const before = new Set(model.keys());
          const ids = new Set(sources.map((source) => source.id));
          const replaced = [...ids].filter((key) => before.has(key)).length;
          assert.equal(store.upsert(sources), {
            added: ids.size - replaced,
            replaced,
            duplicates: sources.length - ids.size,
            mended: 0,
          });
          for (const { id: key, contentHash, documents } of sources)
            model.set(key, {
              hash: contentHash,
              texts: new Map(documents.map(({ document }) => [document.passage, document.text])),
            });
        } else if (one.kind === 'delete') {
          assert.is(store.delete([one.id]), Number(model.delete(one.id)));
        } else if (one.kind === 'delete passage') {
          const known = model.get(one.id);
          const isThere = known?.texts.delete(one.passage) ?? false;
          assert.is(store.delete([{ id: one.id, passage: one.passage }]), Number(isThere));
          if (isThere && known) known.hash = undefined;
          if (known?.texts.size === 0) model.delete(one.id);
        } else store.forceMerge();
      }
      const documents = [...model.values()].reduce((sum, { texts }) => sum + texts.size, 0);
      assert.is(store.stats().documents, documents);
      assert.equal([...store.sourceIds()].sort(), [...model.keys()].sort());
      for (const [key, { hash, texts }] of model) {
        assert.is(store.contentHashes([key]).get(key), hash);
        for (const [passage, text] of texts) {
          const record = store.get({ id: key, ...(passage === undefined ? {} : { passage }) });
          assert.equal([record?.id, record?.text], [key, text]);
        }
        if (!texts.has(undefined))
          assert.equal((store.get(key) as { passages: readonly number[] }).passages, [...texts.keys()]);
      }
      store.verify();
      await store.close();
    }),
    { numRuns: 120 },
  );
});

test('stored ids can be taken apart, and sort by id, then by ordinal', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.string({ minLength: 1 }),
          fc.option(fc.integer({ min: 0, max: 999_999_999 }), { nil: undefined }),
        ),
        {
          minLength: 2,
          maxLength: 2,
        },
      ),
      ([first, second]) => {
        const sound = [first!, second!].map(
          ([text, passage]) => [text.replaceAll('\u0000', '.'), passage] as const,
        );
        for (const [text, passage] of sound) {
          const ref = parseStoredId(storedId(text, passage));
          assert.equal([ref.id, ref.passage], [text, passage]);
        }
        const [[a, x], [b, y]] = sound as [
          readonly [string, number | undefined],
          readonly [string, number | undefined],
        ];
        const before = a === b ? (x ?? -1) < (y ?? -1) : a < b;
        assert.is(storedId(a, x) < storedId(b, y), before);
      },
    ),
  );
});

test('documents that are not those of their source are refused, naming the clash', async () => {
  const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
  const [whole] = cut('x', 0, 1).documents;
  const [first, second] = cut('a', 2, 1).documents;
  const cases: [IndexableSource, RegExp][] = [
    [{ id: 'a', contentHash: 'h', documents: [whole!] }, /source "a" has the id "x"/],
    [{ id: 'a', contentHash: 'h', documents: [second!, first!] }, /passages are numbered/],
    [{ id: 'a', contentHash: 'h', documents: [] }, /at least one document/],
    [{ id: 'a\u0000', contentHash: 'h', documents: [whole!] }, /holds NUL/],
    [{ id: '\ud800', contentHash: 'h', documents: [whole!] }, /half a surrogate/],
  ];
  for (const [source, message] of cases)
    assert.throws(
      () => store.upsert([source]),
      (error: WinnowError) => error.code === 'WINNOW_BAD_ROW' && message.test(error.message),
    );
  assert.is(store.stats().documents, 0);
  await store.close();
});

test.run();
