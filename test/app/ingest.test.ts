import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type IngestOptions, ingest } from '../../app/ingest.ts';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import { type CorpusOptions, openCorpus } from '../../corpus/open-corpus.ts';
import type { WinnowError } from '../../errors.ts';
import type { OpenOptions } from '../../query/embedded/open-embedded.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('ingest');

/** An index of words alone, so that nothing is encoded. */
function engineOf(options: OpenOptions = {}): SearchIndex {
  return openIndex(join(tempFolder(), 'index'), { create: true, lexicalOnly: true, ...options });
}

function fileOf(rows: readonly unknown[], name = 'rows.jsonl'): string {
  const file = join(tempFolder(), name);
  writeFileSync(file, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'));
  return file;
}

async function run(
  engine: SearchIndex,
  path: string,
  options: Partial<IngestOptions> = {},
  corpusOptions: CorpusOptions = {},
  onRow: () => void = () => {},
) {
  const errors: WinnowError[] = [];
  const corpus = await openCorpus(path, corpusOptions);
  async function* rows() {
    for await (const row of corpus) {
      onRow();
      yield row;
    }
  }
  const report = await ingest(rows(), engine.backend, {
    batchSize: 256,
    passages: true,
    deleteMissing: false,
    onBadRow: (error) => errors.push(error),
    onProgress: () => {},
    stopped: () => false,
    ...options,
  });
  const { added, replaced, unchanged, deleted, kept } = report;
  return { counts: { added, replaced, unchanged, deleted, kept }, errors };
}

const idsOf = (engine: SearchIndex) => [...engine.backend.sourceIds()].sort();
const textOf = (engine: SearchIndex, id: string) => engine.get(id)?.text;

test('of rows with one id the last wins, within a batch and across batches, also when it is what is stored', async () => {
  for (const batchSize of [1, 256]) {
    const engine = engineOf();
    const file = fileOf([
      { id: 'a', text: 'first' },
      { id: 'b', text: 'other' },
      { id: 'a', text: 'last' },
    ]);
    await run(engine, file, { batchSize });
    assert.is(textOf(engine, 'a'), 'last');
    // The second run meets the replaced text first and must not leave it.
    await run(engine, file, { batchSize });
    assert.is(textOf(engine, 'a'), 'last');
    assert.equal(idsOf(engine), ['a', 'b']);
    await engine.close();
  }
});

test('a document that the index refuses is named with its file, line, id and field, its namesake too', async () => {
  const engine = engineOf({ filterFields: [{ name: 'year', type: 'number' }] });
  const file = fileOf([
    { id: 'a', text: 't', year: 'soon' },
    { id: 'b', text: 't', year: 1 },
    { id: 'a', text: 'u', year: 'later' },
    { id: 'c', text: 't', year: 'never' },
  ]);
  const { errors, counts } = await run(engine, file);
  assert.is(counts.added, 1);
  assert.equal(
    errors.map(({ place }) => place),
    [
      `${file}:1, document "a", field "year"`,
      `${file}:3, document "a", field "year"`,
      `${file}:4, document "c", field "year"`,
    ],
  );
  await engine.close();
});

test('deleteMissing keeps what was seen and could not be read, and removes the rest that is gone', async () => {
  const engine = engineOf();
  const folder = tempFolder();
  mkdirSync(join(folder, 'sub'));
  for (const name of ['a.md', 'b.md', 'c.md', 'sub/d.md', 'sub/e.md'])
    writeFileSync(join(folder, name), 'words');
  await run(engine, folder);
  rmSync(join(folder, 'b.md'));
  writeFileSync(join(folder, 'c.md'), '');
  const first = await run(engine, folder, { deleteMissing: true });
  assert.equal(first.counts, { added: 0, replaced: 0, unchanged: 3, deleted: 1, kept: 1 });
  assert.equal(idsOf(engine), ['a.md', 'c.md', 'sub/d.md', 'sub/e.md']);
  // A folder that is gone when it is read keeps its documents; one that was gone before does not.
  let items = 0;
  const vanishing = await run(engine, folder, { deleteMissing: true }, {}, () => {
    if (items++ === 0) rmSync(join(folder, 'sub'), { recursive: true });
  });
  assert.equal(vanishing.counts, { added: 0, replaced: 0, unchanged: 1, deleted: 0, kept: 3 });
  const after = await run(engine, folder, { deleteMissing: true });
  assert.equal([after.counts.deleted, idsOf(engine)], [2, ['a.md', 'c.md']]);
  await engine.close();
});

test('deleteMissing with a bad row: its own document stays; a row that may be any document keeps all', async () => {
  const engine = engineOf();
  const rows = ['a', 'b', 'c'].map((id) => ({ _id: id, text: `text of ${id}` }));
  await run(engine, fileOf(rows));
  const named = await run(engine, fileOf(['{"_id":"a","text":"cut', rows[1]]), { deleteMissing: true });
  assert.equal([named.counts.deleted, named.counts.kept, idsOf(engine)], [1, 1, ['a', 'b']]);
  const unnamed = await run(engine, fileOf(['{broken', rows[1]]), { deleteMissing: true });
  assert.equal([unnamed.counts.deleted, unnamed.counts.kept, idsOf(engine)], [0, 1, ['a', 'b']]);
  const empty = await run(engine, fileOf([]), { deleteMissing: true });
  assert.equal([empty.counts.deleted, empty.counts.kept], [0, 2]);
  const withoutId = await run(engine, fileOf([{ text: 'no id' }, rows[1]]), { deleteMissing: true });
  assert.equal([withoutId.counts.deleted, idsOf(engine)], [1, ['b']]);
  await engine.close();
});

test('documents are cut again when passages are switched on or off, and only those that passages cut', async () => {
  const long = Array.from({ length: 300 }, (_, i) => `zebra crossing ${i} near the harbor.`).join(' ');
  const file = fileOf([
    { id: 'long', text: long },
    { id: 'short', text: 'a zebra' },
  ]);
  const engine = engineOf();
  const step = async (passages: boolean) => (await run(engine, file, { passages })).counts;
  assert.is((await step(true)).added, 2);
  const { documents } = engine.stats();
  assert.ok(documents > 3);
  for (const passages of [false, true, false]) {
    assert.equal(await step(passages), { added: 0, replaced: 1, unchanged: 1, deleted: 0, kept: 0 });
    assert.is(engine.stats().documents, passages ? documents : 2);
    assert.equal(await step(passages), { added: 0, replaced: 0, unchanged: 2, deleted: 0, kept: 0 });
  }
  await engine.close();
});

test('cells of CSV come to the index as it declares them', async () => {
  const engine = engineOf({
    filterFields: [
      { name: 'price', type: 'number' },
      { name: 'code', type: 'string' },
    ],
  });
  const file = fileOf(['id,text,price,code', '1,x,1.50,12', '2,x,cheap,7'], 'rows.csv');
  const { errors } = await run(engine, file, {}, { fieldTypes: { price: 'number', code: 'text' } });
  assert.equal(engine.get('1')?.metadata, { price: 1.5, code: '12' });
  assert.match(errors[0]!.place!, /rows\.csv:3, document "2", field "price"/);
  // A number of more digits than a double has is stored as it was written.
  const long = fileOf(['{"id":"3","text":"x","price":9007199254740993}']);
  await run(engine, long, {}, { fieldTypes: { price: 'number' } });
  assert.is(engine.get('3')?.metadata.price, '9007199254740993');
  await engine.close();
});

test.run();
