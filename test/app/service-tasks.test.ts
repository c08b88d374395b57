import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SearchService, type ServiceOptions } from '../../app/service/search-service.ts';
import type { Task, TaskRequest } from '../../app/service/types.ts';
import { evaluateCollection } from '../../evaluation/collection.ts';
import { packageRoot } from '../../package-root.ts';
import { cli } from '../helpers/cli.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

const test = suite('tasks of a service');

/** A data folder with the collection `books` of words alone, and files to import. */
async function dataFolder(): Promise<string> {
  const folder = join(tempFolder(), 'data');
  const service = SearchService.openFolder(folder);
  await service.create({ name: 'books', model: null, fields: [{ name: 'year', type: 'number' }] });
  await service.close();
  const imports = join(folder, 'imports');
  mkdirSync(join(imports, 'beir', 'qrels'), { recursive: true });
  const rows = Array.from({ length: 300 }, (_, i) => ({ id: `b${i}`, text: `Parcel number ${i}.`, year: i }));
  const lines = (list: readonly object[]) => list.map((row) => JSON.stringify(row)).join('\n');
  writeFileSync(join(imports, 'rows.jsonl'), `${lines(rows)}\n{"id":"bad"}\n`);
  writeFileSync(
    join(imports, 'beir', 'corpus.jsonl'),
    lines(rows.map(({ id, text }) => ({ _id: id, text }))),
  );
  writeFileSync(
    join(imports, 'beir', 'queries.jsonl'),
    lines([
      { _id: 'q1', text: 'parcel 7' },
      { _id: 'q2', text: 'number 9' },
    ]),
  );
  writeFileSync(
    join(imports, 'beir', 'qrels', 'test.tsv'),
    'query-id\tcorpus-id\tscore\nq1\tb7\t1\nq2\tb9\t1\n',
  );
  mkdirSync(join(imports, 'notes'));
  writeFileSync(join(imports, 'notes', 'one.md'), '# Harbour\n\nThe parcel arrives at the harbour.');
  symlinkSync('/', join(imports, 'everything'));
  return folder;
}

async function done(service: SearchService, request: TaskRequest): Promise<Task> {
  const { id } = service.addTask('books', request);
  await service.tasks.idle();
  return service.tasks.get(id);
}

const open = (folder: string, options: ServiceOptions = {}) =>
  SearchService.openFolder(folder, { evaluate: evaluateCollection, ...options });

test('a file and a folder are indexed, and bad rows are reported without paths of the machine', async () => {
  const folder = await dataFolder();
  const service = open(folder);
  const file = await done(service, { type: 'index-file', path: 'rows.jsonl' });
  assert.equal([file.status, file.result?.added, file.result?.badRows], ['succeeded', 300, 1]);
  assert.equal(file.progress.done, file.progress.total);
  assert.not.match(JSON.stringify(file), folder);
  const again = await done(service, { type: 'index-file', path: 'rows.jsonl' });
  assert.equal([again.result?.added, again.result?.unchanged], [0, 300]);
  const notes = await done(service, { type: 'index-folder', path: 'notes', deleteMissing: true });
  assert.equal([notes.result?.added, notes.result?.deleted], [1, 300]);
  assert.is((await service.search('books', { query: 'harbour' })).hits.length, 1);
  await service.close();
});

test('a collection is measured, copied and compacted', async () => {
  const folder = await dataFolder();
  const service = open(folder);
  await done(service, { type: 'index-file', path: 'rows.jsonl' });
  const measured = await done(service, { type: 'evaluate', path: 'beir' });
  assert.is(measured.error, undefined);
  assert.equal(measured.result?.measures, { 'ndcg@10': 1, 'recall@100': 1, 'mrr@10': 1, map: 1 });
  const copied = await done(service, { type: 'snapshot' });
  assert.is(copied.result?.documents, 300);
  const searches: Promise<unknown>[] = [];
  const compacting = done(service, { type: 'compact' });
  const timer = setInterval(() => searches.push(service.search('books', { query: 'parcel' })), 2);
  const compacted = await compacting;
  clearInterval(timer);
  assert.is(compacted.status, 'succeeded');
  assert.ok(searches.length > 0);
  await Promise.all(searches); // none was refused
  await service.writer('books').write([]).next();
  assert.is(await service.delete('books', ['b1']), 1);
  await service.close();
});

test('no other process may write to a collection after its compaction, before it is used again', async () => {
  const folder = await dataFolder();
  const service = open(folder);
  const collections = join(folder, 'collections');
  const index = join(collections, readdirSync(collections)[0]!);
  await done(service, { type: 'index-file', path: 'rows.jsonl' });
  assert.is((await done(service, { type: 'compact' })).status, 'succeeded');
  const { code, stderr } = await cli('index', join(folder, 'imports', 'rows.jsonl'), '--index', index);
  assert.is(code, 1, stderr);
  assert.match(stderr, /WINNOW_INDEX_IN_USE/);
  await service.close();
});

test('requests name only what is in the folder of imports, and only what their type takes', async () => {
  const service = open(await dataFolder());
  for (const [request, code] of [
    [{ type: 'index-folder', path: '../..' }, 'WINNOW_FORBIDDEN'],
    [{ type: 'index-folder', path: '/etc' }, 'WINNOW_FORBIDDEN'],
    [{ type: 'index-folder', path: 'everything/etc' }, 'WINNOW_FORBIDDEN'],
    [{ type: 'index-folder', path: 'notes\\..\\..' }, 'WINNOW_FORBIDDEN'],
    [{ type: 'index-file', path: 'absent.jsonl' }, 'WINNOW_NOT_FOUND'],
    [{ type: 'index-file', path: 'notes' }, 'WINNOW_BAD_ARGUMENT'],
    [{ type: 'index-file' }, 'WINNOW_BAD_ARGUMENT'],
    [{ type: 'compact', path: 'rows.jsonl' }, 'WINNOW_BAD_ARGUMENT'],
  ] as const)
    assert.throws(
      () => service.addTask('books', request),
      (error: { code: string }) => error.code === code,
      JSON.stringify(request),
    );
  assert.throws(
    () => service.addTask('films', { type: 'compact' }),
    (error: { code: string }) => error.code === 'WINNOW_NOT_FOUND',
  );
  assert.equal(service.tasks.list(), []);
  await service.close();
});

/** An evaluation that runs until it is stopped. */
function endless(): { options: ServiceOptions; started: Promise<void> } {
  let start = (): void => {};
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  return {
    started,
    options: {
      evaluate: (_backend, _request, { signal }) => {
        start();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    },
  };
}

test('waiting and running tasks are cancelled', async () => {
  const { options, started } = endless();
  const service = open(await dataFolder(), options);
  const running = service.addTask('books', { type: 'evaluate', path: 'beir' });
  const waiting = service.addTask('books', { type: 'compact' });
  await started;
  assert.equal(
    service.tasks.list().map(({ status }) => status),
    ['queued', 'running'],
  );
  assert.is((await service.tasks.cancel(waiting.id)).status, 'cancelled');
  assert.is((await service.tasks.cancel(running.id)).status, 'cancelled');
  assert.is((await service.tasks.cancel(running.id)).status, 'cancelled');
  await service.close();
});

test('closing queues the running task again, and it is done after the restart', async () => {
  const folder = await dataFolder();
  const { options, started } = endless();
  let service = open(folder, options);
  const { id } = service.addTask('books', { type: 'evaluate', path: 'beir' });
  const next = service.addTask('books', { type: 'index-file', path: 'rows.jsonl' });
  await started;
  await service.close();
  service = open(folder);
  await service.tasks.idle();
  assert.is(service.tasks.get(id).status, 'succeeded');
  assert.is(service.tasks.get(next.id).result?.added, 300);
  const { id: third } = service.addTask('books', { type: 'compact' });
  assert.ok(Number(third) > Number(next.id));
  await service.close();
});

/** A process that runs a task of the folder until it is killed. */
async function runUntilKilled(folder: string): Promise<void> {
  const entry = join(packageRoot, 'test/helpers/task-server.ts');
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', pathToFileURL(join(packageRoot, 'node_modules/tsx/dist/loader.mjs')).href, entry, folder],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(child.stdout!, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('a task that the process was killed with runs again, and is given up after the third time', async () => {
  const folder = await dataFolder();
  const statusOf = () => JSON.parse(readFileSync(join(folder, 'tasks.json'), 'utf8')).tasks[0] as Task;
  await runUntilKilled(folder);
  assert.equal([statusOf().status, statusOf().attempts], ['running', 1]);
  await runUntilKilled(folder);
  await runUntilKilled(folder);
  const service = open(folder);
  const task = service.tasks.get('1');
  assert.equal([task.status, task.error?.code, task.attempts], ['failed', 'WINNOW_TASK_INTERRUPTED', 3]);
  await service.close();
});

test('a task of a collection that is removed meanwhile fails with a code', async () => {
  const { options, started } = endless();
  const service = open(await dataFolder(), options);
  const first = service.addTask('books', { type: 'evaluate', path: 'beir' });
  const second = service.addTask('books', { type: 'compact' });
  await started;
  await service.collections.remove('books');
  await service.tasks.cancel(first.id);
  await service.tasks.idle();
  assert.is(service.tasks.get(second.id).error?.code, 'WINNOW_NOT_FOUND');
  await service.close();
});

test.run();
