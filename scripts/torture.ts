// The long versions of the reliability tests (docs/reliability.md): npm run torture [-- NAME ...]
// Each prints its seed; TORTURE_SEED=N repeats one, TORTURE_ROUNDS=N sets its length.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killWriters } from '../test/helpers/kills.ts';

const seed = Number(process.env.TORTURE_SEED ?? Date.now() & 0xffffff);
const rounds = (usual: number): number => Number(process.env.TORTURE_ROUNDS ?? usual);

const tortures: Record<string, (folder: string) => Promise<object>> = {
  kill: (folder) =>
    killWriters(join(folder, 'index'), seed, rounds(1000), {
      onKill: (kills) => {
        if (kills % 100 === 0) console.log(`  ${kills} kills`);
      },
    }),
};

const wanted = process.argv.slice(2);
for (const [name, torture] of Object.entries(tortures)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`${name}, seed ${seed}`);
  const folder = mkdtempSync(join(tmpdir(), 'winnow-torture-'));
  const started = performance.now();
  try {
    const report = await torture(folder);
    console.log(
      `  ${JSON.stringify({ ...report, seconds: Math.round((performance.now() - started) / 1000) })}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
