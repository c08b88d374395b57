import { existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { lockForWriting, WRITER_LOCK } from '../../../indexer/store/writer-lock.ts';
import { tempFolder } from '../../helpers/temp-folder.ts';

const test = suite('writer lock');

const inUse = (error: { code: string; message: string }) => error.code === 'WINNOW_INDEX_IN_USE';

/** A folder whose lock file says what is given. */
function lockedBy(holder: object, ageMs = 0): string {
  const folder = tempFolder();
  const file = join(folder, WRITER_LOCK);
  writeFileSync(file, JSON.stringify(holder));
  const then = new Date(Date.now() - ageMs);
  utimesSync(file, then, then);
  return folder;
}

/** What this process writes into a lock file. */
function ownHolder(): { pid: number; started: string; machine: string } {
  const folder = tempFolder();
  const unlock = lockForWriting(folder);
  const holder = JSON.parse(readFileSync(join(folder, WRITER_LOCK), 'utf8'));
  unlock();
  return holder;
}

test('a folder is locked until the last handle of the process is closed, and its file is private', () => {
  const folder = tempFolder();
  const file = join(folder, WRITER_LOCK);
  const first = lockForWriting(folder);
  const second = lockForWriting(folder);
  assert.is(statSync(file).mode & 0o777, 0o600);
  first();
  first();
  assert.ok(existsSync(file));
  second();
  assert.not.ok(existsSync(file));
  assert.not.ok(existsSync(`${file}.guard`));
});

test('the lock of a running process is kept, and the error names it', () => {
  const { machine } = ownHolder();
  const started = process.platform === 'linux' ? startOf(process.ppid) : '';
  const folder = lockedBy({ pid: process.ppid, started, machine });
  assert.throws(
    () => lockForWriting(folder),
    (error: { code: string; message: string }) =>
      inUse(error) && error.message.includes(`process ${process.ppid} `),
  );
});

const startOf = (pid: number): string =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')[19]!;

test('the lock of a process that is gone, or whose id another one has now, is taken over', () => {
  const own = ownHolder();
  const unused = 2 ** 22 + 1;
  lockForWriting(lockedBy({ ...own, pid: unused }))();
  if (process.platform === 'linux') lockForWriting(lockedBy({ ...own, pid: process.ppid, started: '1' }))();
  lockForWriting(lockedBy({}))();
});

test('the holder of another container or boot counts as gone when it is silent', () => {
  const elsewhere = { ...ownHolder(), machine: 'another boot' };
  assert.throws(() => lockForWriting(lockedBy(elsewhere)), inUse);
  lockForWriting(lockedBy(elsewhere, 60_000))();
});

test('a folder that is removed while it is locked is no error', () => {
  const folder = join(tempFolder(), 'gone');
  mkdirSync(folder);
  const unlock = lockForWriting(folder);
  rmSync(folder, { recursive: true });
  unlock();
});

test.run();
