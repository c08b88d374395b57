import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tempFolder } from '../helpers/temp-folder.ts';
import { readWhileWriting } from '../torture/concurrency.ts';
import { fuzz } from '../torture/fuzz.ts';
import { killWriters } from '../torture/kills.ts';
import { cutPower, faultsUnavailable, fillDisk } from '../torture/storage-faults.ts';

// Short versions of `npm run torture`; every message of a failure names the seed.
const test = suite('reliability');
const seed = Number(process.env.TORTURE_SEED ?? Date.now() & 0xffffff);
const faults = faultsUnavailable() === undefined ? test : test.skip;

test('an index whose writer is killed at random moments holds what was acknowledged and nothing half', async () => {
  const { kills } = await killWriters(join(tempFolder(), 'index'), seed, 12);
  assert.is(kills, 12);
});

test('an index that a thread of the killed process wrote to holds what was acknowledged and nothing half', async () => {
  const { kills } = await killWriters(join(tempFolder(), 'index'), seed, 5, { writes: 'thread' });
  assert.is(kills, 5);
});

faults('a power cut takes only what was not synced, and leaves the last acknowledged state', async () => {
  for (const merges of ['small', 'large'] as const) {
    const { cutsInWrites } = await cutPower(join(tempFolder(), 'disk'), seed, 30, 50, merges);
    assert.ok(cutsInWrites > 10, `only ${cutsInWrites} cuts fell into writes`);
  }
});

faults(
  'a full disk refuses writes with a code, loses nothing, and writing goes on when there is space',
  async () => {
    for (const merges of ['small', 'large'] as const) {
      const { refusedWrites } = await fillDisk(join(tempFolder(), 'disk'), seed, 3, merges, { said: true });
      assert.ok(refusedWrites >= 3);
    }
  },
);

test('a damaged file gives right answers or a coded error, never a crash or a wrong hit', async () => {
  const { crashes, hangs, wrongAnswers, uncodedErrors } = await fuzz(tempFolder(), seed, 120);
  assert.equal(
    { crashes, hangs, wrongAnswers, uncodedErrors },
    { crashes: [], hangs: [], wrongAnswers: [], uncodedErrors: [] },
  );
});

test('a wrong length of an entry in a page of LMDB is noticed before LMDB moves memory by it', async () => {
  // File 7 of this seed ended the process: a bit of a key's length.
  const { crashes, codedErrors } = await fuzz(tempFolder(), 11_905_191, 8);
  assert.equal(crashes, []);
  assert.ok(codedErrors > 0);
});

test('readers in other processes see only whole states, in order, during upserts and merges', async () => {
  const { views } = await readWhileWriting(join(tempFolder(), 'index'), seed, 2, 4);
  assert.ok(views > 10, `only ${views} views`);
});

test.run();
