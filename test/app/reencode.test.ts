import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { reencodeIndex } from '../../app/reencode.ts';
import { openIndex } from '../../app/search-index.ts';
import { openModel } from '../../encoder/model.ts';
import type { WinnowError } from '../../errors.ts';
import { IndexStore } from '../../indexer/index-store.ts';
import { cli, startCli } from '../helpers/cli.ts';
import { check } from '../helpers/property.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { twoOutputFolder } from '../helpers/two-output-folder.ts';

const test = suite('reencode');
const [before, after, third] = [twoOutputFolder(1), twoOutputFolder(2), twoOutputFolder(3)];
const WORDS = 'river stone cloud market engine garden winter letter copper music harbour candle'.split(' ');
const textOf = (i: number): string =>
  Array.from({ length: 12 }, (_, j) => WORDS[(i * 7 + j * (1 + (i % 5))) % WORDS.length]).join(' ');

/** What an index says: documents, and hits by weights of the model alone, since an index still counts the words of deleted documents. */
function contents(folder: string, model: string): unknown {
  const index = openIndex(folder, { readOnly: true, model });
  try {
    const ids = [...index.backend.sourceIds()];
    const hits = index
      .search('river stone', { k: 50, idf: 'table' })
      .hits.map(({ id, passage, score }) => [id, passage, score]);
    return { texts: ids.map((id) => index.get(id)), hits, hashes: [...index.backend.contentHashes(ids)] };
  } finally {
    void index.close();
  }
}

test('an index that was encoded again equals one that was made with the new model', () =>
  check(
    fc.asyncProperty(
      fc.array(fc.nat(40), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(40), { maxLength: 4 }),
      async (added, deleted) => {
        const folders = [join(tempFolder(), 'a'), join(tempFolder(), 'b')] as const;
        for (const [i, model] of [before, after].entries()) {
          const index = openIndex(folders[i]!, {
            create: true,
            model,
            threads: 0,
            filterFields: [{ name: 'year', type: 'number' }],
          });
          await index.add(
            added.map((n) => ({
              id: `d${n}`,
              title: `title ${n % 3}`,
              // Some are cut into passages.
              text: Array.from({ length: n % 4 === 0 ? 8 : 1 }, () => `${textOf(n)}.`).join(' '),
              metadata: { year: n },
            })),
          );
          await index.delete(deleted.map((n) => `d${n}`));
          await index.close();
        }
        const report = await reencodeIndex(folders[0], { model: after, threads: 0, batchSize: 3 });
        assert.ok(report.replaced && report.cut === 0);
        assert.equal(contents(folders[0], after), contents(folders[1], after));
        const store = IndexStore.open(folders[0], { readOnly: true });
        assert.equal(store.settings.filterFields, [{ name: 'year', type: 'number' }]);
        store.verify();
        await store.close();
        assert.not(readdirSync(folders[0]).some((name) => name.endsWith('.partial')));
      },
    ),
    { numRuns: 8 },
  ));

async function smallIndex(count: number): Promise<string> {
  const folder = join(tempFolder(), 'index');
  const index = openIndex(folder, { create: true, model: before, threads: 0 });
  await index.add(Array.from({ length: count }, (_, i) => ({ id: `doc-${i}`, text: textOf(i) })));
  await index.close();
  return folder;
}

test('the old index answers until the end, and what is written to it meanwhile is encoded too', async () => {
  const folder = await smallIndex(40);
  const old = openIndex(folder, { model: before, threads: 0 });
  let asked = 0;
  let writes: Promise<PromiseSettledResult<unknown>[]> | undefined;
  const report = await reencodeIndex(folder, {
    model: after,
    threads: 0,
    batchSize: 8,
    onProgress: ({ done }) => {
      if (done > 16 && asked++ > 0) return;
      assert.ok(old.search('river').hits.length > 0);
      if (done === 16 && writes === undefined) {
        writes = Promise.allSettled([
          old.delete(['doc-1']),
          old.add([{ id: 'new', text: 'harbour candle' }]),
        ]);
      }
    },
  });
  assert.ok(asked > 0 && report.replaced);
  // Views of other commits are seen after 20 ms at the latest.
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.throws(
    () => old.search('river'),
    (error: WinnowError) => error.code === 'WINNOW_INDEX_CLOSED',
  );
  await old.close();
  const now = openIndex(folder, { readOnly: true, model: after });
  // A write that comes too late for the new index is refused; none is acknowledged and lost.
  const [deleted, added] = (await writes!).map(({ status }) => status === 'fulfilled');
  assert.is(now.get('doc-1') === undefined, deleted);
  assert.is(now.get('new')?.text, added ? 'harbour candle' : undefined);
  assert.is(now.stats().documents, 40 + (added ? 1 : 0) - (deleted ? 1 : 0));
  await now.close();
});

test('a stopped run goes on, unless another model is wanted then', async () => {
  const folder = await smallIndex(30);
  const stopAt = async (model: string, done: number): Promise<void> => {
    const stop = new AbortController();
    await reencodeIndex(folder, {
      model,
      threads: 0,
      batchSize: 5,
      signal: stop.signal,
      onProgress: (progress) => {
        if (progress.done >= done) stop.abort(new Error('stopped'));
      },
    }).then(
      () => assert.unreachable(),
      (error) => assert.is((error as Error).message, 'stopped'),
    );
  };
  await stopAt(after, 10);
  assert.ok((contents(folder, before) as { hits: unknown[] }).hits.length > 0);
  const resumed = await reencodeIndex(folder, { model: after, threads: 0 });
  assert.equal([resumed.unchanged, resumed.encoded], [10, 20]);
  await stopAt(before, 10);
  const other = await reencodeIndex(folder, { model: third, threads: 0 });
  assert.equal([other.unchanged, other.encoded, other.modelAfter], [0, 30, openModel(third).name]);
  const same = await reencodeIndex(folder, { model: third, threads: 0 });
  assert.equal([same.replaced, same.encoded, same.documents], [false, 0, 30]);
});

test('kill -9 in the middle leaves the old index whole, and the next run ends the work', async () => {
  const folder = await smallIndex(400);
  const child = startCli(
    'reencode',
    '--index',
    folder,
    '--model',
    after,
    '--batch-size',
    '4',
    '--threads',
    '1',
  );
  const exited = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('exit', (_, signal) => resolve(signal)),
  );
  const partial = join(folder, 'reencode.partial');
  const deadline = Date.now() + 60_000;
  let committed = 0;
  while (committed < 8 && Date.now() < deadline && child.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (!IndexStore.exists(partial)) continue;
    try {
      const reader = IndexStore.open(partial, { readOnly: true });
      committed = reader.stats().documents;
      await reader.close();
    } catch {
      // The file is there a moment before its first commit.
    }
  }
  child.kill('SIGKILL');
  assert.is(await exited, 'SIGKILL', 'the run ended before it could be killed');
  const store = IndexStore.open(folder);
  assert.is(store.settings.modelHash, openModel(before).hash);
  store.verify();
  await store.close();
  assert.is((contents(folder, before) as { texts: unknown[] }).texts.length, 400);
  const { code, stdout, stderr } = await cli('reencode', '--index', folder, '--model', after, '--json');
  assert.is(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert.ok(report.replaced && report.unchanged >= committed, stdout);
  assert.is(report.unchanged + report.encoded, 400);
  assert.not(existsSync(partial));
  const refused = await cli('search', 'river', '--index', folder, '--model', before);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /WINNOW_INDEX_MISMATCH .*winnow reencode/);
  const found = await cli('search', 'river', '--index', folder, '--model', after, '--json');
  assert.is(JSON.parse(found.stdout).hits.length, 10, found.stderr);
});

test('an index that another process reads is not replaced, and nothing is lost', async () => {
  const folder = await smallIndex(20);
  const server = startCli('serve', '--index', folder, '--model', before, '--read-only', '--port', '0');
  try {
    await new Promise<void>((resolve, reject) => {
      const heard = (chunk: Buffer): void => {
        if (/listening|http:/i.test(String(chunk))) resolve();
      };
      server.stdout!.on('data', heard);
      server.stderr!.on('data', heard);
      server.on('exit', () => reject(new Error('the server ended')));
    });
    const refused = await cli('reencode', '--index', folder, '--model', after);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /WINNOW_INDEX_IN_USE/);
  } finally {
    server.kill('SIGKILL');
    await new Promise((resolve) => (server.exitCode === null ? server.on('exit', resolve) : resolve(0)));
  }
  const again = await reencodeIndex(folder, { model: after, threads: 0 });
  assert.equal([again.encoded, again.replaced], [0, true]);
});

test.run();
