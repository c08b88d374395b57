import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';
import { tempFolder } from '../helpers/temp-folder.ts';
import { storedXz } from '../helpers/xz.ts';

/** The package as npm packs it, run by Node alone: what passes from source may fail once compiled. */
const test = suite('packed package');

const run = promisify(execFile);
let installed: string;
let work: string;

test.before(() => {
  work = tempFolder();
  const npm = ['pack', '--silent', '--pack-destination', work];
  const archive = execFileSync('npm', npm, { cwd: packageRoot, encoding: 'utf8' }).trim().split('\n').at(-1)!;
  installed = join(work, 'node_modules', 'winnow');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(work, archive), '-C', installed, '--strip-components=1']);
  // The dependencies as they are installed here: the test needs no network.
  symlinkSync(join(packageRoot, 'node_modules'), join(installed, 'node_modules'));
});

const plainEnvironment = { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '' };

async function winnow(...parameters: string[]) {
  const main = join(installed, 'dist', 'cli', 'main.js');
  const options = { cwd: work, env: plainEnvironment, maxBuffer: 1 << 26 };
  try {
    return { code: 0, ...(await run(process.execPath, [main, ...parameters], options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

/** Runs a command that must end with 0. @returns what it printed */
async function succeeds(...parameters: string[]): Promise<string> {
  const { code, stdout, stderr } = await winnow(...parameters);
  assert.is(code, 0, `winnow ${parameters.join(' ')}: ${stderr}`);
  return stdout;
}

function put(name: string, content: string | Uint8Array): string {
  const file = join(work, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

const ROWS = '{"_id":"v","title":"Volcano","text":"lava flows"}\n{"_id":"r","text":"a river runs"}\n';

test('every loader reads plain, .gz and .xz files', async () => {
  const table = 'id;text\nv;lava flows\nr;a river runs\n';
  const page = '<title>Volcano</title><p>lava flows</p>';
  const plain: [name: string, content: string, ids: string[]][] = [
    ['rows.jsonl', ROWS, ['v', 'r']],
    ['table.csv', table, ['v', 'r']],
    ['table.tsv', table.replaceAll(';', '\t'), ['v', 'r']],
    ['beir/corpus.jsonl', ROWS, ['v', 'r']],
    ['guide.md', '# Volcano\n\nlava flows', ['guide.md']],
    ['page.html', page, ['page.html']],
    ['words.txt', 'lava flows', ['words.txt']],
  ];
  const cases = plain.flatMap(([name, content, ids]): [path: string, ids: string[]][] => {
    const isText = ids[0] === name;
    return ['', '.gz', '.xz'].map((ending) => {
      const bytes = ending === '' ? content : ending === '.gz' ? gzipSync(content) : storedXz(content);
      const file = put(`loaders${ending}/${name}${ending}`, bytes);
      return [name.startsWith('beir/') ? dirname(file) : file, isText ? [`${name}${ending}`] : ids];
    });
  });
  const script = put(
    'load.mjs',
    `import { openCorpus } from 'winnow';
    const found = [];
    for (const path of ${JSON.stringify(cases.map(([path]) => path))}) {
      const ids = [];
      for await (const item of await openCorpus(path)) ids.push(item.document?.id ?? String(item.error));
      found.push(ids);
    }
    console.log(JSON.stringify(found));`,
  );
  const { stdout } = await run(process.execPath, [script], { cwd: work, env: plainEnvironment });
  assert.equal(
    JSON.parse(stdout),
    cases.map(([, ids]) => ids),
  );
});

test('every command works', async () => {
  const index = join(work, 'index');
  assert.match(await succeeds('index', put('rows.jsonl.xz', storedXz(ROWS)), '--index', index), /2 added/);
  assert.match(await succeeds('search', 'volcano', '--index', index), /^1\. .*Volcano v/m);
  assert.is(JSON.parse(await succeeds('explain', 'volcano', 'v', '--index', index, '--json')).rank, 1);
  assert.match(await succeeds('stats', '--index', index, '--verify'), /all checksums match/);
  assert.match(await succeeds('snapshot', join(work, 'copy'), '--index', index), /2 documents/);
  await succeeds('restore', join(work, 'copy'), '--index', join(work, 'restored'));
  await succeeds('compact', '--index', join(work, 'restored'));
  const vectors = await succeeds('export', '-', '--index', join(work, 'restored'));
  assert.is(vectors.trim().split('\n').length, 2);
  const file = put('vectors.jsonl.xz', storedXz(vectors));
  assert.match(await succeeds('import', file, '--index', join(work, 'imported')), /2 documents imported/);
  assert.match(await succeeds('doctor'), /^kernels\s+(native|wasm)/m);
  assert.match(await succeeds('bench', '--help'), /Usage: winnow bench/);
  for (const [name, content] of Object.entries({
    'corpus.jsonl': ROWS,
    'queries.jsonl': '{"_id":"1","text":"volcano"}\n',
    'qrels/test.tsv': 'query-id\tcorpus-id\tscore\n1\tv\t1\n',
    'run.trec': '1 Q0 v 1 2.5 other\n',
  }))
    put(`set/${name}.xz`, storedXz(content));
  const results = await succeeds(
    ...['eval', join(work, 'set'), '--run', join(work, 'set', 'run.trec.xz'), '--json'],
    ...['--cache', join(work, 'cache'), '--html', join(work, 'report.html')],
  );
  for (const line of results.trim().split('\n')) assert.is(JSON.parse(line)['ndcg@10'], 1);
  assert.match(readFileSync(join(work, 'report.html'), 'utf8'), /<\/html>/);
  assert.match(await succeeds('demo', '--index', join(work, 'demo')), /OpenStax/);
});

test('serve answers and stops when told to', async () => {
  const main = join(installed, 'dist', 'cli', 'main.js');
  const child = spawn(process.execPath, [main, 'serve', '--index', join(work, 'index'), '--port', '0'], {
    cwd: work,
    env: plainEnvironment,
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let output = '';
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const found = /http:\/\/[^\s/]+:\d+/.exec(output)?.[0];
      if (found) resolve(found);
    });
    child.once('exit', () => reject(new Error(`ended: ${output}`)));
  });
  const answer = await fetch(`${address}/search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"query":"volcano"}',
  });
  assert.is(((await answer.json()) as { hits: { id: string }[] }).hits[0]!.id, 'v');
  child.kill('SIGTERM');
  assert.is(await ended, 0);
});

test.run();
