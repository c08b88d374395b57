import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { TrainingResult } from '../../../encoder/training/types.ts';
import { randomSource } from '../../kernels/helpers.ts';
import { tinyModel } from './tiny.ts';

const test = suite('training: resume');

const seed = Number(process.env.WINNOW_TEST_SEED ?? 20261127);
const script = join(import.meta.dirname, 'train-process.ts');

/** Runs the process, and kills it after `events` reports of progress. @returns its result; undefined if it was killed */
function run(folder: string, scope: string, events: number): Promise<TrainingResult | undefined> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, folder, scope], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new Promise((resolve, reject) => {
    let [output, complaint, seen] = ['', '', 0];
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      complaint += chunk;
      seen = complaint.split('\n').length - 1;
      if (seen >= events) child.kill('SIGKILL');
    });
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(undefined);
      else if (code === 0) resolve(JSON.parse(output));
      else reject(new Error(complaint));
    });
  });
}

for (const scope of ['head', 'all'])
  test(`a run of scope ${scope} that is killed again and again ends as one that never was`, async () => {
    const { folder } = tinyModel();
    const random = randomSource(seed);
    try {
      const whole = (await run(join(folder, 'whole'), scope, Infinity))!;
      assert.is(whole.losses.length, 24);
      assert.is(whole.resumedFrom, undefined);
      let result: TrainingResult | undefined;
      let kills = 0;
      for (; result === undefined; kills++) {
        const events = kills < 4 ? 1 + Math.floor(random() * 14) : Infinity;
        result = await run(join(folder, 'killed'), scope, events);
      }
      assert.ok(kills > 1, `seed ${seed}: never killed`);
      assert.equal(result.losses, whole.losses, `seed ${seed}`);
      assert.is(result.bestStep, whole.bestStep);
      assert.is(result.bestScore, whole.bestScore);
      assert.ok(result.resumedFrom! > 0);
      const weights = (name: string) => readFileSync(join(folder, name, 'trained', 'weights.winnow'));
      assert.ok(weights('killed').equals(weights('whole')), 'the weights are the same');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

test.run();
