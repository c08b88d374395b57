import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openIndex } from '../../../app/search-index.ts';
import type { WinnowError } from '../../../errors.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('folder of a new index');

const create = (folder: string) => openIndex(folder, { create: true, lexicalOnly: true });

function refusal(folder: string): string {
  try {
    create(folder);
  } catch (error) {
    return (error as WinnowError).code;
  }
  return 'created';
}

test('missing parents are made, for their owner alone; an empty folder that is there is used', async () => {
  const folder = join(tempFolder(), 'a', 'b', 'c');
  await create(folder).close();
  for (const made of [folder, join(folder, '..'), join(folder, '..', '..')])
    assert.is(statSync(made).mode & 0o777, 0o700);
  const empty = join(tempFolder(), 'empty');
  mkdirSync(empty);
  await create(empty).close();
});

test('a file in the way is named', () => {
  const file = join(tempFolder(), 'file');
  writeFileSync(file, 'x');
  assert.is(refusal(file), 'WINNOW_ALREADY_EXISTS');
  assert.is(refusal(join(file, 'below')), 'WINNOW_ALREADY_EXISTS');
});

const procCheck = existsSync('/proc/self') ? test : test.skip;
procCheck('a file system that makes no folders ends the call with a code', () => {
  assert.is(refusal('/proc/winnow/index'), 'WINNOW_STORAGE');
});

test.run();
