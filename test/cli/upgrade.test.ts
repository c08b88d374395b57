import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { INDEX_FILE } from '../../indexer/store/files.ts';
import { openStorage } from '../../indexer/store/storage.ts';
import { packageRoot } from '../../package-root.ts';
import { asOfBundledModel } from '../helpers/bundled-model.ts';
import { cli } from '../helpers/cli.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('winnow upgrade and doctor --repair');

test('an index of format 3 is upgraded and repaired from the command line', async () => {
  const index = tempFolder();
  const packed = readFileSync(join(packageRoot, 'test/fixtures/indexes/format-3.mdb.gz'));
  writeFileSync(join(index, INDEX_FILE), gunzipSync(packed));
  const old = await cli('search', 'volcano', '--index', index);
  assert.is(old.code, 1);
  assert.match(old.stderr, `winnow upgrade --index ${index}`);
  const upgraded = await cli('upgrade', '--index', index);
  assert.is(upgraded.code, 0, upgraded.stderr);
  assert.match(upgraded.stdout, /from format 3 to 5/);
  assert.match(upgraded.stdout, /"half": its stored fields cannot be read/);
  assert.match(upgraded.stdout, /"a" \(2 passages left\)/);
  assert.match(upgraded.stdout, /holds 9 documents/);
  await asOfBundledModel(index);
  const found = await cli('search', 'volcano', '--index', index);
  assert.match(found.stdout, /guide passage 0/);
  const explained = await cli('explain', 'ice', 'guide', '--passage', '1', '--index', index);
  assert.match(explained.stdout, /^guide passage 1: score/);
  const missing = await cli('explain', 'ice', 'guide', '--passage', '7', '--index', index);
  assert.match(missing.stderr, /WINNOW_NOT_FOUND id: no document "guide#7"/);

  const storage = openStorage(index, { create: false, readOnly: false });
  storage.root.transactionSync(() => {
    storage.documents.put(1, Buffer.from('damaged'));
  });
  await storage.root.close();
  const verify = await cli('stats', '--index', index, '--verify');
  assert.match(verify.stderr, /WINNOW_INDEX_CORRUPT.*winnow doctor --repair --index/);
  const repaired = await cli('doctor', '--repair', '--index', index, '--json');
  assert.is(repaired.code, 0, repaired.stderr);
  const report = JSON.parse(repaired.stdout);
  assert.equal([report.documents, report.dropped.length, report.dropped[0].id], [8, 1, 'sky']);
  assert.is((await cli('stats', '--index', index, '--verify')).code, 0);
  const sound = await cli('doctor', '--repair', '--index', index);
  assert.match(sound.stdout, /nothing was damaged/);
  assert.match((await cli('doctor', '--repair')).stderr, /WINNOW_BAD_ARGUMENT --index/);
});

test.run();
