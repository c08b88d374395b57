import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { IndexStore } from '../../indexer/index-store.ts';
import { cli, startCli } from '../helpers/cli.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('kill -9');

const COUNT = 240;
const WORDS = 'river stone cloud market engine garden winter letter copper music harbour candle'.split(' ');

test('an index killed in the middle of a run holds the committed batches whole and goes on from there', async () => {
  const file = join(tempFolder(), 'docs.jsonl');
  const rows = Array.from({ length: COUNT }, (_, i) => ({
    id: `doc-${i}`,
    text: Array.from({ length: 120 }, (_, j) => WORDS[(i * 7 + j * (1 + (i % 5))) % WORDS.length]).join(' '),
  }));
  writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  const index = join(tempFolder(), 'index');

  const child = startCli('index', file, '--index', index, '--batch-size', '8', '--threads', '1');
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', (_, signal) => resolve(signal)),
  );
  // Wait until some batches are on disk, then kill without warning.
  const deadline = Date.now() + 60_000;
  let committed = 0;
  while (committed === 0 && Date.now() < deadline && child.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (!IndexStore.exists(index)) continue;
    try {
      const reader = IndexStore.open(index, { readOnly: true });
      committed = reader.stats().documents;
      await reader.close();
    } catch {
      // The file is there a moment before its first commit.
    }
  }
  child.kill('SIGKILL');
  assert.is(await exited, 'SIGKILL', 'the run ended before it could be killed');

  const store = IndexStore.open(index);
  const after = store.stats().documents;
  assert.ok(after >= committed && after < COUNT, `${after} documents after ${committed} were seen`);
  assert.is(after % 8, 0, 'a batch is there in part');
  store.verify();
  for (let i = 0; i < after; i++) assert.is(store.get(`doc-${i}`)?.text, rows[i]!.text);
  await store.close();

  const resumed = await cli('index', file, '--index', index);
  assert.is(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stdout, new RegExp(`${COUNT - after} added, 0 replaced, ${after} unchanged`));
});

test.run();
