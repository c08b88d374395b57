import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';
import { programArguments } from '../helpers/built.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

/** The commands of "Ten minutes" and the programs of docs/client.md, as a stranger runs them: one block after another, in one folder. */
const test = suite('README: ten minutes');

const canRun = ['bash', 'curl'].every((name) => spawnSync(name, ['--version']).status === 0);
if (!canRun) process.stderr.write('skipped: README: ten minutes: it needs bash and curl\n');
const check = canRun ? test : test.skip;

const read = (name: string): string => readFileSync(join(packageRoot, name), 'utf8');
const [section] = /^## Ten minutes\n[\s\S]*?(?=^## )/m.exec(read('README.md'))!;
const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block!);

/** A process that a block leaves running, and what it printed. */
interface Running {
  readonly child: ChildProcess;
  readonly printed: () => string;
}

const place = tempFolder();
const winnow = join(tempFolder(), 'winnow');
const running: Running[] = [];
let environment: NodeJS.ProcessEnv;
let port: number;

test.before(async () => {
  const program = programArguments().join(' ');
  writeFileSync(winnow, `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, { mode: 0o755 });
  port = await freePort();
  environment = {
    ...process.env,
    // Programs print without colours, also where the runner of the tests asks for them.
    FORCE_COLOR: '0',
    PATH: `${join(winnow, '..')}:${process.env.PATH}`,
    NO_COLOR: '1',
    WINNOW_PORT: String(port),
    XDG_CACHE_HOME: join(place, 'cache'),
    TSX_TSCONFIG_PATH: join(packageRoot, 'tsconfig.json'),
  };
});
test.after(endAll);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Commands that are left running, and what they print when they are ready. */
const STAYS: Readonly<Record<string, string>> = { serve: 'winnow is listening on', watch: 'watching ' };

/** Runs a block as a person would: what stays is left running, the rest runs to its end. @returns what the rest printed */
async function runBlock(block: string): Promise<string> {
  let printed = '';
  let commands = '';
  for (const line of block.replaceAll('localhost:7700', `127.0.0.1:${port}`).split('\n')) {
    const [, name] = /^winnow (\w+)/.exec(line) ?? [];
    if (!name || !STAYS[name]) {
      commands += `${line}\n`;
      continue;
    }
    printed += await runToEnd(commands);
    commands = '';
    await leaveRunning(line, STAYS[name]);
  }
  return printed + (await runToEnd(commands));
}

async function runToEnd(commands: string): Promise<string> {
  const child = spawn('bash', ['--norc', '-euo', 'pipefail', '-c', commands], {
    cwd: place,
    env: environment,
  });
  let [printed, complaints] = ['', ''];
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const [code] = await once(child, 'close');
  assert.is(code, 0, `${commands}\n${printed}\n${complaints}`);
  return printed;
}

async function leaveRunning(line: string, ready: string): Promise<void> {
  const child = spawn('bash', ['--norc', '-c', `exec ${line.replace(/#.*/, '')}`], {
    cwd: place,
    env: environment,
  });
  let printed = '';
  running.push({ child, printed: () => printed });
  await new Promise<void>((resolve, reject) => {
    const take = (chunk: Buffer) => {
      printed += chunk;
      if (printed.includes(ready)) resolve();
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('exit', () => reject(new Error(`${line}\n${printed}`)));
  });
}

/** Ctrl-C in all terminals. */
async function endAll(): Promise<void> {
  for (const { child } of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGINT');
    await once(child, 'exit');
  }
}

/** The block that contains a text. */
function blockWith(text: string): string {
  const found = blocks.filter((block) => block.includes(text));
  assert.is(found.length, 1, text);
  return found[0]!;
}

test('every block of the section is run below, but the installation', () => {
  assert.is(blocks.length, 6);
  assert.match(blocks[0]!, /^npm ci && npm run build && npm install --global \.\n$/);
  for (const script of ['build', 'install']) assert.ok(JSON.parse(read('package.json')).scripts[script]);
});

check('a folder is indexed, searched and explained', async () => {
  const printed = await runBlock(blockWith('winnow index'));
  assert.match(printed, /1\. +\d+\.\d+ .*monday\.md/);
  assert.match(printed, /added by the model: .*automobile/);
  assert.match(printed, /automobile .*added/);
});

check('it is served: page, search and explanation', async () => {
  const printed = await runBlock(blockWith('/v1/collections/default/search'));
  assert.match(printed, /^{"hits":\[{"id":"monday\.md"/);
  assert.match(printed, /{"id":"monday\.md","score":\d.*"rank":1/);
  const page = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal([page.status, page.headers.get('content-type')?.split(';')[0]], [200, 'text/html']);
  await endAll();
});

check('it is measured with judged questions', async () => {
  const printed = await runBlock(blockWith('winnow eval'));
  assert.match(printed, /sparse .*1\.000?/);
  assert.match(printed, /bm25 .*0?\.000/);
});

check('a data folder takes collections and documents', async () => {
  const printed = await runBlock(blockWith('winnow serve data'));
  assert.match(printed, /"name":"diary"/);
  assert.match(printed, /"line":1,"id":"monday","status":"added"/);
  assert.match(printed, /{"hits":\[{"id":"monday"/);
});

check('the programs of docs/client.md run against it', async () => {
  const [program] = /(?<=```ts\n)[\s\S]*?(?=```)/.exec(read('docs/client.md'))!;
  // The collection of the block before.
  const here = program.replace('localhost:7700', `127.0.0.1:${port}`).replaceAll("'diary'", "'days'");
  assert.is(
    runProgram('client.mts', here),
    '2 failed WINNOW_EMPTY_TEXT\n1 added \nmonday\nsucceeded\nWINNOW_FILTER_FIELD filter.colour\n',
  );
});

check('the program of the section on HTTP runs', async () => {
  await endAll();
  await leaveRunning('winnow serve notes-index', STAYS.serve!);
  const [program] = /import { WinnowClient[\s\S]*?(?=```)/.exec(read('README.md'))!;
  const here = program.replace('localhost:7700', `127.0.0.1:${port}`);
  assert.is(runProgram('http.mts', `${here}console.log(hits[0]?.id);`), 'monday.md\n');
  await endAll();
});

check('the index is kept in step with the folder, and read beside it', async () => {
  await endAll();
  const block = blockWith('winnow watch');
  const [before, search] = block.split(/(?=^winnow search)/m);
  await runBlock(before!);
  const { printed } = running[0]!;
  // "A moment later": when the watcher says so.
  while (!/1 added, 0 replaced, 0 deleted; the index holds 3/.test(printed()))
    await once(running[0]!.child.stdout!, 'data');
  assert.match(await runBlock(search!), /1\. +\d+\.\d+ .*wednesday\.md/);
  await endAll();
});

check('an editor starts the tools with the file that the section shows', async () => {
  for (const page of ['README.md', 'docs/mcp.md']) {
    const [json] = /(?<=```json\n)[^`]*mcpServers[^`]*(?=```)/.exec(read(page))!;
    const { command, args } = JSON.parse(json).mcpServers.notes as { command: string; args: string[] };
    const here = args.map((one) => one.replace('/home/me', place));
    const client = new Client({ name: 'test', version: '1' });
    const env = Object.fromEntries(
      Object.entries(environment).filter((pair): pair is [string, string] => pair[1] !== undefined),
    );
    await client.connect(new StdioClientTransport({ command, args: here, env, cwd: place }));
    const { structuredContent } = await client.callTool({
      name: 'search',
      arguments: { query: 'automobile trouble' },
    });
    assert.is((structuredContent as { hits: { id: string }[] }).hits[0]!.id, 'monday.md');
    await client.close();
  }
});

function runProgram(name: string, program: string): string {
  writeFileSync(join(place, name), program);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), name],
    { cwd: place, encoding: 'utf8', env: environment },
  );
  assert.is(status, 0, stderr);
  return stdout;
}

test.run();
