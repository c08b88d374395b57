import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IdfQueryEncoder } from '../../../encoder/idf-query.ts';
import { WordPieceTokenizer } from '../../../encoder/transformer/tokenizer/wordpiece.ts';
import { WinnowError } from '../../../errors.ts';
import { FORMAT_VERSION } from '../../../indexer/format/format.ts';
import { encodeManifest } from '../../../indexer/format/manifest.ts';
import { PartKind, segmentKey } from '../../../indexer/format/parts.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { INDEX_FILE } from '../../../indexer/store/files.ts';
import { openStorage } from '../../../indexer/store/storage.ts';
import { Searcher } from '../../../query/search/searcher.ts';
import { SETTINGS, source } from '../../helpers/documents.ts';
import { check } from '../../helpers/property.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('damaged index');

const TERMS = 30;
const encoder = new IdfQueryEncoder(
  new WordPieceTokenizer(Array.from({ length: TERMS }, (_, id) => `t${id}`)),
  new Float32Array(TERMS).fill(1),
);
/** Header and parts of a small segment; large ones also keep block maxima (block-maxima.test.ts). */
const PARTS = [0, ...Object.values(PartKind).filter((kind) => kind !== PartKind.Maxima)];
const QUERIES = ['t1 t2 t3', 't7 t29', 't0 t11 t12 t13 t14'];

async function build(folder: string): Promise<void> {
  const store = IndexStore.openOrCreate(folder, { ...SETTINGS, vectorSize: 4 });
  const documents = Array.from({ length: 200 }, (_, i) =>
    source(
      `d${i}`,
      new Map(Array.from({ length: 6 }, (_, j) => [(i * 7 + j * j * 3) % TERMS, 1 + ((i * 13 + j) % 255)])),
      {
        words: [`w${i % 9}`, 'all'],
        subwordIds: [i % TERMS, (i * 7) % TERMS],
        metadata: { year: 2000 + (i % 5), lang: i % 2 ? 'en' : 'de' },
      },
    ),
  ).map((one, i) => ({
    ...one,
    documents: one.documents.map((item) => ({
      ...item,
      dense: { values: Int8Array.of(i, -i, i % 7, 3), scale: 1 + i },
    })),
  }));
  store.upsert(documents.slice(0, 150));
  store.upsert(documents.slice(150));
  store.delete(['d3', 'd160']);
  await store.close();
}

/** All that a user can ask, and what merges and rerankers read; what comes back, or the coded error. */
async function askEverything(folder: string): Promise<string> {
  let store: IndexStore | undefined;
  try {
    store = IndexStore.open(folder);
    const searcher = new Searcher(store, encoder);
    const answers = QUERIES.flatMap((query) => [
      searcher.search(query, { k: 50, explain: true }).hits,
      searcher.search(query, { k: 50, filter: { lang: 'en', year: { gte: 2002 } } }).hits,
      searcher.rank('w1 w2 all', 'bm25', 50).map(({ id, score }) => [id, score]),
    ]);
    const rest = store.view().segments.map(({ segment }) => {
      const { scales, values } = segment.denseVectors!.all();
      return [[...segment.inText], [...scales], [...values]];
    });
    return JSON.stringify([...answers, rest]);
  } catch (error) {
    if (!(error instanceof WinnowError)) throw error;
    return error.code;
  } finally {
    await store?.close();
  }
}

test('a flipped bit anywhere in a segment gives a coded error or the right answer, never a wrong one', async () => {
  const folder = tempFolder();
  await build(folder);
  const expected = await askEverything(folder);
  assert.ok(expected.startsWith('[['));
  let refused = 0;
  await check(
    fc.asyncProperty(
      fc.constantFrom(1, 2),
      fc.constantFrom(...PARTS),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      fc.nat(7),
      async (number, kind, where, bit) => {
        const key = segmentKey(number, kind);
        const edit = (change: (bytes: Buffer) => Buffer) => {
          const storage = openStorage(folder, { create: false, readOnly: false });
          storage.root.transactionSync(() => {
            storage.segments.put(key, change(Buffer.from(storage.segments.get(key)!)));
          });
          return storage.root.close();
        };
        let at = 0;
        const flip = (bytes: Buffer): Buffer => {
          at = Math.floor(where * bytes.length);
          bytes[at]! ^= 1 << bit;
          return bytes;
        };
        await edit(flip);
        const answer = await askEverything(folder);
        await edit(flip);
        if (answer === 'WINNOW_INDEX_CORRUPT') refused++;
        else assert.is(answer, expected, `segment ${number}, part ${kind}, byte ${at}, bit ${bit}`);
      },
    ),
    { numRuns: 120 },
  );
  assert.ok(refused > 30, `only ${refused} of 120 flips were noticed`);
  assert.is(await askEverything(folder), expected);
});

test('a truncated part is refused', async () => {
  for (const kind of PARTS) {
    const folder = tempFolder();
    await build(folder);
    const storage = openStorage(folder, { create: false, readOnly: false });
    const key = segmentKey(1, kind);
    storage.root.transactionSync(() => {
      storage.segments.put(key, storage.segments.get(key)!.subarray(0, 5));
    });
    await storage.root.close();
    assert.is(await askEverything(folder), 'WINNOW_INDEX_CORRUPT', `part ${kind}`);
  }
});

test('an index of another format version is refused with the way out', async () => {
  const folder = tempFolder();
  await build(folder);
  const storage = openStorage(folder, { create: false, readOnly: false });
  const manifest = { generation: 9, nextSegment: 1, nextDocKey: 1, segments: [], settings: SETTINGS };
  storage.root.transactionSync(() => {
    storage.manifest.put('current', Buffer.from(encodeManifest(manifest, FORMAT_VERSION + 1)));
  });
  await storage.root.close();
  assert.throws(
    () => IndexStore.open(folder),
    (e: WinnowError) =>
      e.code === 'WINNOW_INDEX_VERSION' && e.hint!.includes('version of winnow that wrote it'),
  );
});

test('a file that is no LMDB file, or was cut short, is refused before LMDB maps it', async () => {
  const refused = (e: WinnowError) => e.code === 'WINNOW_INDEX_CORRUPT';
  for (const bytes of [Buffer.alloc(20_000, 7), Buffer.alloc(20_000), Buffer.from('short')]) {
    const folder = tempFolder();
    writeFileSync(join(folder, INDEX_FILE), bytes);
    assert.throws(() => IndexStore.open(folder), refused);
  }
  const folder = tempFolder();
  await build(folder);
  const whole = readFileSync(join(folder, INDEX_FILE));
  for (const share of [0.1, 0.5, 0.9]) {
    const cut = tempFolder();
    writeFileSync(join(cut, INDEX_FILE), whole.subarray(0, Math.floor(whole.length * share)));
    assert.throws(() => IndexStore.open(cut), refused);
  }
});

test.run();
