import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../app/search-index.ts';
import { cli } from '../helpers/cli.ts';
import { serve, stop } from '../helpers/served.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('one writer');

test('a second process that would write is refused, readers are not, and a killed writer holds nothing up', async () => {
  const folder = tempFolder();
  const index = join(folder, 'index');
  const rows = join(folder, 'rows.jsonl');
  writeFileSync(rows, '{"id":"a","text":"A row."}\n');
  await openIndex(index, { create: true, lexicalOnly: true }).close();
  const first = await serve(index);
  const refused = new RegExp(`WINNOW_INDEX_IN_USE .*process ${first.child.pid} writes to this folder`);
  const [second, indexing, searching] = await Promise.all([
    cli('serve', '--index', index, '--port', '0'),
    cli('index', rows, '--index', index),
    cli('search', 'row', '--index', index, '--mode', 'bm25'),
  ]);
  assert.is(second.code, 1);
  assert.match(second.stderr, refused);
  assert.is(indexing.code, 1);
  assert.match(indexing.stderr, refused);
  assert.is(searching.code, 0, searching.stderr);
  await stop(first, 'SIGKILL');
  const next = await serve(index);
  assert.is((await stop(next, 'SIGTERM')).code, 0);
  await openIndex(index).close();
});

test.run();
