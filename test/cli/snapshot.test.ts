import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IndexStore } from '../../indexer/index-store.ts';
import { cli } from '../helpers/cli.ts';
import { SETTINGS, source } from '../helpers/documents.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('winnow snapshot, restore and compact');

test('an index goes into a snapshot, comes back from it, and is made small', async () => {
  const index = tempFolder();
  const store = IndexStore.openOrCreate(index, SETTINGS);
  for (let batch = 0; batch < 3; batch++)
    store.upsert(Array.from({ length: 50 }, (_, i) => source(`d${batch}-${i}`, new Map([[i, 9]]))));
  const snapshot = join(tempFolder(), 'copy');
  // The index is open here all the while.
  const taken = await cli('snapshot', snapshot, '--index', index, '--json');
  assert.is(taken.code, 0, taken.stderr);
  assert.is(JSON.parse(taken.stdout).documents, 150);
  const again = await cli('snapshot', snapshot, '--index', index);
  assert.is(again.code, 1);
  assert.match(again.stderr, /WINNOW_ALREADY_EXISTS/);

  const restored = join(tempFolder(), 'restored');
  const back = await cli('restore', snapshot, '--index', restored);
  assert.is(back.code, 0, back.stderr);
  assert.match(back.stdout, /holds the 150 documents/);
  const refused = await cli('restore', snapshot, '--index', restored);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /WINNOW_ALREADY_EXISTS.*--overwrite/);

  const inUse = await cli('compact', '--index', index);
  assert.is(inUse.code, 1);
  assert.match(inUse.stderr, new RegExp(`WINNOW_INDEX_IN_USE.*process ${process.pid} `));
  await store.close();
  const compacted = await cli('compact', '--index', index);
  assert.is(compacted.code, 0, compacted.stderr);
  assert.match(compacted.stdout, /1 segment,/);
  const stats = await cli('stats', '--index', index, '--verify', '--json');
  assert.is(stats.code, 0, stats.stderr);
  assert.is(JSON.parse(stats.stdout).documents, 150);
});

test.run();
