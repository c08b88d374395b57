import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex, type SearchIndex } from '../../app/search-index.ts';
import type { WinnowError } from '../../errors.ts';
import { compactIndex } from '../../indexer/admin/compact.ts';
import { repairIndex } from '../../indexer/admin/repair.ts';
import { restoreSnapshot } from '../../indexer/admin/restore.ts';
import { upgradeIndex } from '../../indexer/admin/upgrade.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { codeOf } from '../helpers/thrown.ts';

const test = suite('arguments of the library');

let index: SearchIndex;
const add = (document: object, id: unknown = 'a') => index.add([{ ...document, id } as never]);

test.before(async () => {
  index = openIndex(tempFolder(), {
    create: true,
    threads: 0,
    filterFields: [
      { name: 'year', type: 'number' },
      { name: 'day', type: 'date' },
    ],
  });
  for (const id of ['sky', 's', 'k', 'y']) await add({ id, text: `volcano ${id}` }, id);
});
test.after(() => index.close());

test('title, metadata and the id of a document have defaults', async () => {
  await add({ text: 'a lava field' }, 'lava');
  assert.equal(index.get('lava'), { id: 'lava', title: '', text: 'a lava field', metadata: {} });
});

test('documents of wrong shapes are refused by name and change nothing', async () => {
  const documents = index.stats().documents;
  const cases: [() => unknown, string][] = [
    [() => add({ text: 'x' }, 5), 'WINNOW_BAD_ROW id'],
    [() => add({ text: 'x' }, ''), 'WINNOW_BAD_ROW id ""'],
    [() => add({}), 'WINNOW_BAD_ROW document "a", text'],
    [() => add({ text: 'x', title: 7 }), 'WINNOW_BAD_ROW document "a", title'],
    [() => add({ text: 'x', metadata: 'y' }), 'WINNOW_BAD_ROW document "a", metadata'],
    [() => add({ text: 'x', metadata: { year: 'soon' } }), 'WINNOW_BAD_ROW document "a", field "year"'],
    [() => add({ text: 'x', metadata: { day: '2020-02-31' } }), 'WINNOW_BAD_ROW document "a", field "day"'],
    [() => add({ text: 'x', metadata: { day: 8.65e15 } }), 'WINNOW_BAD_ROW document "a", field "day"'],
    [() => add({ text: 'x', metadata: { year: { deep: 1 } } }), 'WINNOW_BAD_ROW document "a", field "year"'],
    [() => index.add([null as never]), 'WINNOW_BAD_ROW documents[0]'],
    [() => index.add({ id: 'a' } as never), 'WINNOW_BAD_ARGUMENT documents'],
    [() => index.add('a' as never), 'WINNOW_BAD_ARGUMENT documents'],
    [
      () => index.backend.write({ upserts: [{ id: 'a', documents: [{ text: 'x' }] } as never] }),
      'WINNOW_BAD_ROW document "a", contentHash',
    ],
    [() => index.backend.write({ upserts: [null as never] }), 'WINNOW_BAD_ROW sources'],
  ];
  for (const [action, expected] of cases) assert.is(await codeOf(action), expected);
  assert.is(index.stats().documents, documents);
});

test('a text is no list of ids', async () => {
  const cases: [() => unknown, string][] = [
    [() => index.delete('sky' as never), 'WINNOW_BAD_ARGUMENT documents'],
    [() => index.delete(undefined as never), 'WINNOW_BAD_ARGUMENT documents'],
    [() => index.delete([5 as never]), 'WINNOW_BAD_ARGUMENT documents[0]'],
    [() => index.delete([{ id: 'sky', passage: -1 }]), 'WINNOW_BAD_ARGUMENT documents[0].passage'],
    [() => index.delete([{ id: 5 } as never]), 'WINNOW_BAD_ARGUMENT documents[0].id'],
    [() => index.delete([{ id: 'sky', pasage: 1 } as never]), 'WINNOW_BAD_ARGUMENT documents[0].pasage'],
    [() => index.get(5 as never), 'WINNOW_BAD_ARGUMENT id'],
    [() => index.get(''), 'WINNOW_BAD_ARGUMENT id'],
    [() => index.explain('volcano', undefined as never), 'WINNOW_BAD_ARGUMENT id'],
    [() => index.explain('volcano', 'nobody'), 'WINNOW_NOT_FOUND id'],
  ];
  for (const [action, expected] of cases) assert.is(await codeOf(action), expected);
  for (const id of ['sky', 's', 'k', 'y']) assert.ok(index.get(id), id);
  assert.is(await index.delete(['sky', 'sky', 'nobody']), 1);
});

test('every option of a search has a name, a type and a range', async () => {
  const search = (query: unknown, options?: unknown) => () => index.search(query as never, options as never);
  const cases: [() => unknown, string][] = [
    [search(undefined), 'query'],
    [search(null), 'query'],
    [search(5), 'query'],
    [search(''), 'query'],
    [search('x'.repeat(10_001)), 'query'],
    [search('x', 10), 'options'],
    [search('x', null), 'options'],
    [search('x', { K: 3 }), 'K'],
    [search('x', { k: 0 }), 'k'],
    [search('x', { k: '3' }), 'k'],
    [search('x', { k: 1001 }), 'k'],
    [search('x', { offset: -1 }), 'offset'],
    [search('x', { mode: 'best' }), 'mode'],
    [search('x', { facets: 'year' }), 'facets'],
    [search('x', { facets: [1] }), 'facets[0]'],
    [search('x', { sparseWeight: 2 }), 'sparseWeight'],
    [search('x', { sparseWeight: Number.NaN }), 'sparseWeight'],
    [search('x', { alpha: 0 }), 'alpha'],
    [search('x', { alpha: 1.01 }), 'alpha'],
    [search('x', { scan: 'fast' }), 'scan'],
    [search('x', { idf: 'corpus' }), 'idf'],
    [search('x', { syntax: 'lucene' }), 'syntax'],
    [search('x', { budgetMs: 0 }), 'budgetMs'],
    [search('-word '.repeat(65)), 'query'],
    [search('x', { filter: { or: Array(1025).fill({ year: 1 }) } }), 'filter'],
    [search('x', { filter: { year: Array(65_537).fill(1) } }), 'filter'],
    [search('x', { budgetMs: Number.NaN }), 'budgetMs'],
    [search('x', { explain: 1 }), 'explain'],
    [search('x', { sort: 'year' }), 'sort'],
    [search('x', { sort: {} }), 'sort.field'],
    [search('x', { sort: { field: 'year', order: 'up' } }), 'sort.order'],
    [search('x', { filter: [] }), 'filter'],
    [search('x', { filter: { day: '2020-02-31' } }), 'filter.day'],
    [search('x', { filter: { day: { gte: 2020 } } }), 'filter.day'],
    [() => index.explain('x', 's', { k: 3 } as never), 'k'],
  ];
  for (const [action, place] of cases) assert.is(await codeOf(action), `WINNOW_BAD_ARGUMENT ${place}`);
  try {
    index.search('x', { K: 3 } as never);
  } catch (error) {
    assert.is((error as WinnowError).hint, 'the name is k');
  }
  assert.ok(index.search('volcano', { k: undefined, mode: undefined } as never).hits.length >= 3);
});

test('an index is opened with options and field declarations that can work', async () => {
  const open = (options: object) => () => openIndex(tempFolder(), { create: true, ...options } as never);
  const fields = (...filterFields: unknown[]) => open({ filterFields });
  const cases: [() => unknown, string][] = [
    [() => openIndex(undefined as never), 'folder'],
    [() => openIndex(''), 'folder'],
    [open({ readOnly: true }), 'readOnly'],
    [open({ reedOnly: true }), 'reedOnly'],
    [open({ threads: -1 }), 'threads'],
    [open({ filterFields: 'year' }), 'filterFields'],
    [fields({ name: 'year', type: 'int' }), 'filterFields[0].type'],
    [fields({ name: 'year' }), 'filterFields[0].type'],
    [fields({ name: '', type: 'number' }), 'filterFields[0].name'],
    [fields({ name: 'and', type: 'string' }), 'filterFields[0].name'],
    [fields({ name: '\ud800', type: 'string' }), 'filterFields[0].name'],
    [fields({ name: 'y', type: 'number' }, { name: 'y', type: 'string' }), 'filterFields[1].name'],
  ];
  for (const [action, place] of cases) assert.is(await codeOf(action), `WINNOW_BAD_ARGUMENT ${place}`);
});

test('the functions beside an index check their folders and what they are given', async () => {
  const cases: [() => unknown, string][] = [
    [() => index.takeSnapshot(5 as never), 'folder'],
    [() => restoreSnapshot(undefined as never, tempFolder()), 'snapshot'],
    [() => restoreSnapshot(tempFolder(), ''), 'target'],
    [() => compactIndex(undefined as never), 'folder'],
    [() => repairIndex(null as never), 'folder'],
    [() => upgradeIndex({} as never), 'folder'],
  ];
  for (const [action, place] of cases) assert.is(await codeOf(action), `WINNOW_BAD_ARGUMENT ${place}`);
});

test('closing during add refuses what is not written, and everything after it', async () => {
  const one = openIndex(tempFolder(), { create: true, threads: 1 });
  const late = codeOf(() => one.add([{ id: 'z', text: 'late' }]));
  const closing = one.close();
  assert.is((await late).split(' ')[0], 'WINNOW_INDEX_CLOSED');
  await closing;
  await one.close();
  for (const action of [
    () => one.add([]),
    () => one.delete(['z']),
    () => one.get('z'),
    () => one.search('late'),
    () => one.stats(),
  ])
    assert.is((await codeOf(action)).split(' ')[0], 'WINNOW_INDEX_CLOSED');
});

test('an encoder that does not start neither keeps the index open nor stays broken', async () => {
  const folder = tempFolder();
  const one = openIndex(folder, { create: true, backend: 'onnx' });
  const adding = () => one.add([{ id: 'z', text: 'late' }]);
  assert.is(await codeOf(adding), 'WINNOW_BAD_ARGUMENT backend');
  assert.is(await codeOf(adding), 'WINNOW_BAD_ARGUMENT backend');
  await one.close();
  assert.is((await codeOf(() => one.stats())).split(' ')[0], 'WINNOW_INDEX_CLOSED');
  const again = openIndex(folder, { threads: 0 });
  assert.is((await again.add([{ id: 'z', text: 'late' }])).added, 1);
  await again.close();
});

test('where an id comes twice in one batch the last one wins, and the result says so', async () => {
  const one = openIndex(tempFolder(), { create: true, lexicalOnly: true });
  const row = (id: string, text: string) => ({ id, text });
  assert.equal(await one.add([row('a', 'first'), row('b', 'b'), row('a', 'sec\ud800nd')]), {
    added: 2,
    replaced: 0,
    duplicates: 1,
    mended: 1,
    unknownScript: 0,
    unchanged: 0,
  });
  assert.is((one.get('a') as { text: string }).text, 'sec\ufffdnd');
  const refused: unknown[] = [];
  const result = await one.add(
    [row('', 'x'), row('a', 'third'), row('b', 'b'), { id: 'c', text: 5 } as never],
    { onRejected: (_, { code }, position) => refused.push([position, code]) },
  );
  assert.equal(result, { added: 0, replaced: 1, duplicates: 0, mended: 0, unknownScript: 0, unchanged: 1 });
  assert.equal(refused, [
    [0, 'WINNOW_BAD_ROW'],
    [3, 'WINNOW_BAD_ROW'],
  ]);
  await one.close();
});

test.run();
