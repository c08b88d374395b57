// The long versions of the reliability tests (docs/reliability.md): npm run torture [-- NAME ...]
// Names: kill, power, full, fuzz, readers, http, serve-kills, cluster. TORTURE_SEED=N repeats a run, TORTURE_ROUNDS=N sets its length.
// The servers of the last two are the built program with WINNOW_TEST_BUILT=1, which starts sooner.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIndex } from '../../app/search-index.ts';
import { serve, stop } from '../helpers/served.ts';
import { clusterUnavailable } from '../opensearch/suite.ts';
import { readWhileWriting } from './concurrency.ts';
import { fuzz } from './fuzz.ts';
import { fuzzTarget } from './fuzz-target.ts';
import { fuzzServer } from './http-fuzz.ts';
import { killWriters } from './kills.ts';
import { killNodes } from './node-kills.ts';
import { killServers } from './serve-kills.ts';
import { cutPower, faultsUnavailable, fillDisk } from './storage-faults.ts';
import { fuzzV1 } from './v1-fuzz.ts';

const seed = Number(process.env.TORTURE_SEED ?? Date.now() & 0xffffff);
const rounds = (usual: number): number => Number(process.env.TORTURE_ROUNDS ?? usual);
/** Steps of a history that is played under the shim. */
const STEPS = 100;
const CUTS_A_HISTORY = 250;
/** Documents that a cluster is loaded with. */
const DOCUMENTS = 50_000;

type Torture = (folder: string) => Promise<object> | AsyncGenerator<object>;

const tortures: Record<string, Torture> = {
  kill: (folder) =>
    killWriters(join(folder, 'index'), seed, rounds(1000), {
      onKill: (kills) => {
        if (kills % 100 === 0) console.log(`  ${kills} kills`);
      },
    }),
  async *power(folder) {
    for (let i = 0; i < rounds(8); i++) {
      const merges = i % 2 === 0 ? 'small' : 'large';
      yield await cutPower(join(folder, String(i)), seed + i, STEPS, CUTS_A_HISTORY, merges);
    }
  },
  async *full(folder) {
    for (const said of [true, false]) {
      for (const merges of ['small', 'large'] as const) {
        const report = await fillDisk(join(folder, `${merges}-${said}`), seed, rounds(100), merges, { said });
        yield { said, merges, ...report };
      }
    }
  },
  fuzz: (folder) => fuzz(folder, seed, rounds(5000)),
  readers: (folder) => readWhileWriting(join(folder, 'index'), seed, 4, rounds(120)),
  async *http(folder) {
    const target = await fuzzTarget(folder);
    const v1 = await fuzzV1(target, seed, rounds(100_000));
    yield { v1, end: await stop(target.served, 'SIGTERM') };
    const index = join(folder, 'index');
    const filterFields = [{ name: 'year', type: 'number' }] as const;
    await openIndex(index, { create: true, lexicalOnly: true, filterFields }).close();
    const served = await serve(index);
    const unversioned = await fuzzServer(served, seed, rounds(100_000) / 5);
    yield { unversioned, end: await stop(served, 'SIGTERM') };
  },
  async *'serve-kills'(folder) {
    // One in ten with the encoder.
    for (const lexicalOnly of [true, false]) {
      const kills = Math.round(rounds(1000) * (lexicalOnly ? 0.9 : 0.1));
      const report = await killServers(join(folder, String(lexicalOnly)), seed, kills, {
        lexicalOnly,
        onKill: (kill) => {
          if (kill % 50 === 0) console.log(`  ${kill} kills`);
        },
      });
      yield { lexicalOnly, ...report };
    }
  },
  cluster: () =>
    killNodes(DOCUMENTS, rounds(6), seed, (kills) =>
      console.log(`  ${kills} nodes killed and started again`),
    ),
};

const wanted = process.argv.slice(2);
for (const [name, torture] of Object.entries(tortures)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const reason =
    name === 'power' || name === 'full'
      ? faultsUnavailable()
      : name === 'cluster'
        ? clusterUnavailable()
        : undefined;
  console.log(reason ? `${name} skipped: ${reason}` : `${name}, seed ${seed}`);
  if (reason) continue;
  const folder = mkdtempSync(join(tmpdir(), 'winnow-torture-'));
  const started = performance.now();
  try {
    const result = torture(folder);
    if (Symbol.asyncIterator in result)
      for await (const report of result) console.log(`  ${JSON.stringify(report)}`);
    else console.log(`  ${JSON.stringify(await result)}`);
    console.log(`  ${Math.round((performance.now() - started) / 1000)} s`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
