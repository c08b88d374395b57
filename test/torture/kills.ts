import { once } from 'node:events';
import * as assert from 'uvu/assert';
import { segmentOfKey } from '../../indexer/format/parts.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { mergeRecords } from '../../indexer/merge/merge-records.ts';
import { openStorage } from '../../indexer/store/storage.ts';
import { randomSource } from '../../random.ts';
import { startScript } from '../helpers/cli.ts';
import { contentsOf, type Model, modelAfter, sameModel } from './history.ts';

export interface KillReport {
  readonly kills: number;
  readonly steps: number;
  /** Kills after which the step under way was found on disk though it had not been acknowledged. */
  readonly committedUnacknowledged: number;
  /** Kills that left a merge half done. */
  readonly brokenMerges: number;
}

/**
 * Kills a writing process again and again at random moments and checks after each kill that the index holds what was
 * acknowledged and nothing half: exactly the state after the last acknowledged step, or after the one under way.
 *
 * Writers merge in one transaction, in one a part, or in a thread, which takes longer to come about.
 *
 * @param writes `thread`: the writers' commits run in a thread, once it has started
 */
export async function killWriters(
  folder: string,
  seed: number,
  kills: number,
  { onKill = (_: number) => {}, writes = 'mixed' as 'mixed' | 'thread' } = {},
): Promise<KillReport> {
  const random = randomSource(seed);
  let step = 0;
  let model: Model = new Map();
  let committedUnacknowledged = 0;
  let brokenMerges = 0;
  for (let kill = 0; kill < kills; kill++) {
    const draw = random();
    const mixed = draw < 0.05 ? 'background' : draw < 0.5 ? 'large' : 'small';
    const merges = writes === 'thread' ? writes : mixed;
    const delay = random() * (merges === 'background' ? 1500 : 250);
    const acknowledged = await writeUntilKilled(folder, seed, step, merges, delay);
    const place = `seed ${seed}, kill ${kill}, steps ${step} to ${acknowledged}`;
    const expected = modelAfter(seed, acknowledged + 1, model, step);
    const further = modelAfter(seed, acknowledged + 2, expected, acknowledged + 1);
    if (IndexStore.exists(folder)) {
      const { found, broken } = await inspect(folder, seed);
      if (broken) brokenMerges++;
      const exact = sameModel(found, expected);
      assert.ok(exact || sameModel(found, further), `${place}: the index holds something else`);
      if (!exact) committedUnacknowledged++;
      step = acknowledged + (exact ? 1 : 2);
      model = exact ? expected : further;
    } else {
      assert.is(acknowledged, step - 1, `${place}: the index is gone`);
    }
    onKill(kill + 1);
  }
  // The index goes on from there as if nothing had happened, and the remains of merges go.
  const store = IndexStore.open(folder, { merges: 'inline', inlineMergeBytes: 0 });
  store.forceMerge();
  store.verify();
  assert.ok(sameModel(contentsOf(store.view(), seed), model));
  const numbers = store.view().segments.map(({ segment }) => segment.number);
  await store.close();
  const storage = openStorage(folder, { create: false, readOnly: false });
  const stored = new Set(Array.from(storage.segments.getKeys(), (key) => segmentOfKey(key)));
  assert.equal([...stored], numbers, 'parts of segments that no generation names');
  await storage.root.close();
  return { kills, steps: step, committedUnacknowledged, brokenMerges };
}

/** @returns the last acknowledged step; `first - 1` when none was */
async function writeUntilKilled(
  folder: string,
  seed: number,
  first: number,
  merges: string,
  delayMs: number,
): Promise<number> {
  const child = startScript(
    'test/torture/history-writer.ts',
    folder,
    String(seed),
    String(first),
    '-1',
    merges,
  );
  let said = '';
  let complaints = '';
  let isTimed = false;
  child.stdout!.on('data', (chunk) => {
    said += chunk;
    if (isTimed || (merges === 'thread' && !said.includes('thread'))) return;
    isTimed = true;
    setTimeout(() => child.kill('SIGKILL'), delayMs);
  });
  child.stderr!.on('data', (chunk) => {
    complaints += chunk;
  });
  const [code, signal] = await once(child, 'close');
  assert.is(signal, 'SIGKILL', `seed ${seed}: the writer ended by itself (${code}): ${complaints}`);
  const steps = said.split('\n').filter((line) => /^\d+$/.test(line));
  return steps.length > 0 ? Number(steps.at(-1)) : first - 1;
}

async function inspect(folder: string, seed: number): Promise<{ found: Model; broken: boolean }> {
  const storage = openStorage(folder, { create: false, readOnly: true });
  const broken = mergeRecords(storage).length > 0;
  const empty = storage.manifest.get('current') === undefined;
  await storage.root.close();
  if (empty) return { found: new Map(), broken }; // killed before its first transaction
  const store = IndexStore.open(folder, { readOnly: true });
  try {
    store.verify();
    return { found: contentsOf(store.view(), seed), broken };
  } finally {
    await store.close();
  }
}
