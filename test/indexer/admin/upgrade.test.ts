import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import { repairIndex } from '../../../indexer/admin/repair.ts';
import { restoreSnapshot } from '../../../indexer/admin/restore.ts';
import { readSnapshotInfo, SNAPSHOT_FILE } from '../../../indexer/admin/snapshot.ts';
import { upgradeIndex } from '../../../indexer/admin/upgrade.ts';
import { FORMAT_VERSION } from '../../../indexer/format/format.ts';
import { IndexStore } from '../../../indexer/index-store.ts';
import { INDEX_FILE } from '../../../indexer/store/files.ts';
import { packageRoot } from '../../../package-root.ts';
import { asOfBundledModel } from '../../helpers/bundled-model.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';
import { thrownBy } from '../../helpers/thrown.ts';

/*
 * format-3.mdb.gz was written by the last build of format 3 (commit dc884a8): `sky` and `guide` (three passages of 24 tokens);
 * `a`, whose passage 0 was overwritten by the document `a#0`; `name` and `half`, poisoned by the metadata names `__proto__` and
 * U+D800; `bad-date`
 * with the date 8.65e15; and a deleted document. format-2.mdb.gz holds the same, by the last build of format 2 (commit 6c3970f) and
 * its model.
 */

const test = suite('older formats');

function older(version: number): string {
  const folder = tempFolder();
  const packed = readFileSync(join(packageRoot, `test/fixtures/indexes/format-${version}.mdb.gz`));
  writeFileSync(join(folder, INDEX_FILE), gunzipSync(packed));
  return folder;
}

const format3 = (): string => older(3);

test('an older index is refused with the command that upgrades it', async () => {
  const folder = format3();
  for (const open of [
    () => IndexStore.open(folder),
    () => openIndex(folder, { create: true }),
    () => repairIndex(folder),
  ]) {
    const { code, hint } = await thrownBy(open);
    assert.is(code, 'WINNOW_INDEX_VERSION');
    assert.match(hint!, `winnow upgrade --index ${folder}`);
  }
});

test('an upgrade keeps vectors and texts, separates passages from ids, and drops what was poisoned', async () => {
  const folder = format3();
  const report = await upgradeIndex(folder);
  assert.equal([report.from, report.to, report.documents], [3, FORMAT_VERSION, 9]);
  assert.equal(
    report.dropped.map(({ id }) => id),
    ['half'],
  );
  assert.equal(
    [...report.incomplete].sort((a, b) => (a.id < b.id ? -1 : 1)),
    [
      { id: 'a', documentsLeft: 2 },
      { id: 'half', documentsLeft: 0 },
    ],
  );
  await asOfBundledModel(folder);
  const index = openIndex(folder);
  index.backend.verify();
  // The checksum proves that the name was `__proto__`; which half surrogate U+FFFD was it cannot.
  assert.is(JSON.stringify(index.get('name')?.metadata), '{"__proto__":"x","year":1950}');
  assert.is(index.get('a#0')?.text, 'The own document of a user whose id looks like a passage: a meadow.');
  assert.equal((index.get('a') as { passages?: readonly number[] }).passages, [1, 2]);
  assert.equal((index.get('guide') as { passages?: readonly number[] }).passages, [0, 1, 2]);
  assert.equal(index.get({ id: 'guide', passage: 1 }), {
    id: 'guide',
    passage: 1,
    title: '',
    text: 'A glacier is a body of dense ice. It moves under its own weight.\n\nA lighthouse warns ships of rocks.',
    metadata: { year: 1900 },
  });
  // Scores are those of the format 3 build.
  const [first] = index.search('why is the sky blue', { k: 1 }).hits;
  assert.equal([first!.id, first!.passage, first!.score], ['sky', undefined, 10.375987078028892]);
  const volcano = index.search('volcano').hits[0]!;
  assert.equal([volcano.id, volcano.passage], ['guide', 0]);
  assert.is(index.explain('volcano', 'guide').rank, 1);
  // What lost something is indexed again by the next run, what is whole is not.
  assert.is(index.backend.contentHashes(['a']).get('a'), undefined);
  assert.type(index.backend.contentHashes(['guide']).get('guide'), 'string');
  assert.type(index.backend.contentHashes(['a#0']).get('a#0'), 'string');
  const { facets } = index.search('bridges', { facets: ['seen', 'year'] });
  assert.ok(facets!.seen!.some(({ value }) => value === 8.65e15));
  await index.add([{ id: 'new', text: 'A new document about orchards.' }]);
  await index.delete(['sky', 'guide', 'bad-date']);
  index.backend.forceMerge();
  index.backend.verify();
  assert.is(index.stats().documents, 5);
  const copy = join(tempFolder(), 'copy');
  await index.takeSnapshot(copy);
  await restoreSnapshot(copy, tempFolder());
  await index.close();
});

test('format 2 is upgraded as well; its segments do not say which terms stand in the text', async () => {
  const folder = older(2);
  const report = await upgradeIndex(folder);
  assert.equal([report.from, report.documents, report.segments.length], [2, 9, 0]);
  const store = IndexStore.open(folder);
  store.verify();
  assert.equal((store.get('guide') as { passages?: readonly number[] }).passages, [0, 1, 2]);
  const [view] = store.view().segments;
  assert.not.ok(view!.segment.hasText);
  const sky = store.view().locate('sky')!;
  assert.is(sky.view.segment.vector(sky.docId).termIds.length > 0, true);
  store.delete(['sky']);
  store.forceMerge();
  store.verify();
  await store.close();
});

test('an index of this format has nothing to upgrade', async () => {
  const folder = format3();
  await upgradeIndex(folder);
  assert.is((await thrownBy(() => upgradeIndex(folder))).code, 'WINNOW_BAD_ARGUMENT');
});

test('a snapshot of an older format is upgraded by its restore when told to, and refused with the command otherwise', async () => {
  const snapshot = format3();
  const bytes = readFileSync(join(snapshot, INDEX_FILE));
  const info = {
    formatVersion: 3,
    createdAt: '2026-11-25T00:00:00.000Z',
    documents: 10,
    modelName: 'winnow-mini',
    modelHash: 'x',
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
  writeFileSync(join(snapshot, SNAPSHOT_FILE), JSON.stringify(info));
  assert.is(readSnapshotInfo(snapshot).formatVersion, 3);
  const refused = await thrownBy(() => restoreSnapshot(snapshot, tempFolder()));
  assert.is(refused.code, 'WINNOW_INDEX_VERSION');
  assert.match(refused.hint!, `winnow restore ${snapshot} --index DIR --upgrade`);
  const target = tempFolder();
  const { upgrade } = await restoreSnapshot(snapshot, target, { upgrade: true });
  assert.equal(
    upgrade?.dropped.map(({ id }) => id),
    ['half'],
  );
  const store = IndexStore.open(target, { readOnly: true });
  assert.is(store.stats().documents, 9);
  await store.close();
});

test.run();
