import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { IndexStore } from '../../indexer/index-store.ts';
import { startScript } from '../helpers/cli.ts';
import { contentsOf, modelAfter, sameModel } from './history.ts';

export interface ConcurrencyReport {
  readonly steps: number;
  readonly readers: number;
  /** States of the whole index that readers compared with the history. */
  readonly views: number;
}

/**
 * One process writes, deletes and merges in the background; others read. Every view that any of them gets must be a state of
 * the history, whole, and never an older one than the view before.
 */
export async function readWhileWriting(
  folder: string,
  seed: number,
  readers: number,
  seconds: number,
): Promise<ConcurrencyReport> {
  const writer = startScript('test/torture/history-writer.ts', folder, String(seed), '0', '-1', 'background');
  let steps = 0;
  writer.stdout!.on('data', (chunk) => {
    for (const line of String(chunk).split('\n')) if (/^\d+$/.test(line)) steps = Number(line) + 1;
  });
  while (steps === 0 && writer.exitCode === null) await sleep(10);
  const views = new Array<number>(readers).fill(0);
  const complaints: string[] = [];
  const processes = views.map((_, i) => {
    const reader = startScript('test/torture/history-reader.ts', folder, String(seed));
    reader.stdout!.on('data', (chunk) => {
      for (const [, count] of String(chunk).matchAll(/(\d+) views/g)) views[i] = Number(count);
    });
    reader.stderr!.on('data', (chunk) => complaints.push(String(chunk)));
    return reader;
  });
  // On a busy machine processes take seconds to start.
  for (let waited = 0; views.includes(0) && complaints.length === 0 && waited < 60_000; waited += 50)
    await sleep(50);
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end && complaints.length === 0) await sleep(50);
  for (const child of [...processes, writer]) {
    assert.is(child.exitCode, null, `seed ${seed}: a process ended: ${complaints.join('')}`);
    child.kill('SIGKILL');
    if (child.signalCode === null) await once(child, 'exit');
  }
  assert.equal(complaints, [], `seed ${seed}`);
  const store = IndexStore.open(folder, { merges: 'inline' });
  const found = contentsOf(store.view(), seed);
  assert.ok([0, 1].some((more) => sameModel(found, modelAfter(seed, steps + more))));
  store.forceMerge();
  store.verify();
  await store.close();
  return { steps, readers, views: views.reduce((sum, count) => sum + count, 0) };
}
