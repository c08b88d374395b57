import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Metadata } from '../../../corpus/types.ts';
import type { WinnowError } from '../../../errors.ts';
import { restoreSnapshot } from '../../../indexer/admin/restore.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { storableSource } from '../../../indexer/store/storable.ts';
import type { SourceDocument } from '../../../indexer/types.ts';
import { SETTINGS } from '../../helpers/documents.ts';
import { check } from '../../helpers/property.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('what is acknowledged reads back equal');

/** Names and texts with what has gone wrong before: `__proto__`, half surrogate pairs, NUL, the empty name. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    '',
    '\ud800',
    'a\udc00b',
    '\u0000',
    '#0',
    'x'.repeat(3000),
  ),
  fc
    .array(fc.integer({ min: 0xd7fe, max: 0xe001 }), { maxLength: 4 })
    .map((units) => String.fromCharCode(...units)),
);
const json = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('object'),
  ),
  object: fc
    .array(fc.tuple(text, tie('value')), { maxLength: 5 })
    .map((entries) => Object.fromEntries(entries)),
}));
const id = fc.oneof(text, fc.string({ minLength: 1, maxLength: 6 }), fc.constantFrom('a', 'a#0', 'a#1'));

/** By hand, what the rules say of a JSON value; undefined when it must be refused. */
function expected(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'number')
    return Number.isFinite(value) ? (Object.is(value, -0) ? 0 : value) : undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items = value.map(expected);
    return items.includes(undefined) ? undefined : items;
  }
  const names = Object.keys(value).map((name) => name.toWellFormed());
  const entries = Object.entries(value).map(([name, item]) => [name.toWellFormed(), expected(item)] as const);
  const isSound = new Set(names).size === names.length && entries.every(([, item]) => item !== undefined);
  return isSound ? Object.fromEntries(entries) : undefined;
}

/** As JSON.stringify says it, which shows an own `__proto__`. */
const shown = (value: unknown): string => JSON.stringify(value);

test('any JSON: refused with a code, or read back equal, also after snapshot and restore, and deleted', async () => {
  let acknowledged = 0;
  let refused = 0;
  await check(
    fc.asyncProperty(
      fc.array(fc.record({ id, title: text, text, metadata: json.object }, { noNullPrototype: true }), {
        maxLength: 6,
      }),
      async (rows) => {
        const store = IndexStore.openOrCreate(tempFolder(), SETTINGS);
        const model = new Map<string, string>();
        for (const row of rows) {
          const wanted = expected(row.metadata);
          const { isWellFormed, length } = {
            isWellFormed: row.id.isWellFormed(),
            length: Buffer.byteLength(row.id),
          };
          const isId = isWellFormed && length > 0 && length <= 512 && !row.id.includes('\u0000');
          const document = {
            id: row.id,
            title: row.title,
            text: row.text,
            metadata: row.metadata as Metadata,
          };
          try {
            const { mended } = store.upsert([
              {
                id: row.id,
                contentHash: 'h',
                documents: [
                  {
                    document,
                    vector: { termIds: Uint16Array.of(1), weights: Float32Array.of(1) },
                    words: ['w'],
                  },
                ],
              },
            ]);
            acknowledged++;
            assert.ok(isId && wanted !== undefined, 'an impossible document was acknowledged');
            const isSame =
              shown(wanted) === shown(row.metadata) && row.title.isWellFormed() && row.text.isWellFormed();
            assert.is(mended, isSame ? 0 : 1);
            model.set(row.id, shown([row.id, row.title.toWellFormed(), row.text.toWellFormed(), wanted]));
          } catch (error) {
            refused++;
            assert.is((error as WinnowError).code, 'WINNOW_BAD_ROW');
            assert.not.ok(isId && wanted !== undefined, `refused without need: ${error}`);
          }
        }
        const same = (one: IndexStore): void => {
          assert.is(one.stats().documents, model.size);
          for (const [key, value] of model) {
            const record = one.get(key)!;
            assert.is(shown([record.id, record.title, record.text, record.metadata]), value);
          }
          one.verify();
        };
        same(store);
        const copy = join(tempFolder(), 'copy');
        await store.takeSnapshot(copy);
        const target = tempFolder();
        await restoreSnapshot(copy, target);
        const restored = IndexStore.open(target);
        same(restored);
        assert.is(restored.delete([...model.keys()]), model.size);
        assert.is(restored.stats().documents, 0);
        await restored.close();
        await store.close();
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(acknowledged > 20 && refused > 20, `${acknowledged} acknowledged, ${refused} refused`);
});

const source = (metadata: unknown): SourceDocument => ({
  id: 'a',
  contentHash: 'h',
  documents: [{ text: 't', metadata: metadata as Metadata }],
});

test('what JSON cannot say is refused by name', () => {
  class Money {}
  const loop: Record<string, unknown> = {};
  loop.again = loop;
  const cases: [unknown, RegExp][] = [
    [{ n: Number.NaN }, /metadata\.n: NaN is no JSON number/],
    [{ n: [1, Number.NEGATIVE_INFINITY] }, /metadata\.n\[1\]: -Infinity/],
    [{ day: new Date(0) }, /metadata\.day: a Date cannot be stored \(give its toISOString/],
    [{ big: 1n }, /metadata\.big: a bigint/],
    [{ f() {} }, /metadata\.f: a function/],
    [{ s: Symbol('x') }, /metadata\.s: a symbol/],
    [{ gone: undefined }, /metadata\.gone: undefined/],
    [{ list: [1, ...Array(1)] }, /metadata\.list\[1\]: undefined/],
    [{ price: new Money() }, /metadata\.price: a Money/],
    [{ m: new Map() }, /metadata\.m: a Map/],
    [{ '\ud800': 1, '\ud801': 2 }, /two names are the same/],
    [loop, /metadata nests at most 64 deep/],
    [[], /metadata is an object of names and values, not an empty list/],
    [null, /not null/],
    [JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`), /not a list/],
    [JSON.parse(`{"x":${'['.repeat(5000)}${']'.repeat(5000)}}`), /nests at most 64 deep/],
  ];
  for (const [metadata, message] of cases)
    assert.throws(
      () => storableSource(source(metadata)),
      (error: WinnowError) => error.code === 'WINNOW_BAD_ROW' && message.test(String(error)),
      String(message),
    );
});

test('an empty content hash is refused as empty', () => {
  assert.throws(
    () => storableSource({ ...source({}), contentHash: '' }),
    (error: WinnowError) => error.code === 'WINNOW_BAD_ROW' && /not an empty one/.test(error.message),
  );
});

test('a getter is read once, and what the caller changes afterwards is not stored', () => {
  let reads = 0;
  const metadata = {
    get n() {
      return ++reads;
    },
    list: [1, 2],
  };
  const { value } = storableSource(source(metadata));
  metadata.list.push(3);
  assert.equal(value.documents[0]!.metadata, { n: 1, list: [1, 2] });
  assert.is(({} as Record<string, unknown>).polluted, undefined);
  const polluted = storableSource(source(JSON.parse('{"__proto__":{"polluted":1}}'))).value.documents[0]!
    .metadata;
  assert.is((polluted as Record<string, unknown>).polluted, undefined);
  assert.ok(Object.hasOwn(polluted, '__proto__'));
});

test('fields named like what every object has are absent until given', async () => {
  const settings = { ...SETTINGS, filterFields: [{ name: 'constructor', type: 'number' as const }] };
  const folder = join(tempFolder(), 'index');
  mkdirSync(folder);
  const store = IndexStore.openOrCreate(folder, settings);
  const item = { vector: { termIds: Uint16Array.of(1), weights: Float32Array.of(1) }, words: ['w'] };
  store.upsert([
    {
      id: 'a',
      contentHash: 'h',
      documents: [{ ...item, document: { id: 'a', title: '', text: '', metadata: {} } }],
    },
  ]);
  assert.is(store.stats().documents, 1);
  await store.close();
});

test.run();
