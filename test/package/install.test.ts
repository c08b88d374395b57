import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';
import { tempFolder } from '../helpers/temp-folder.ts';

/**
 * The package as a stranger gets it: packed, then installed by npm from a registry into an empty project. Needs a registry,
 * so it runs where CI is set and is skipped elsewhere.
 */
const test = suite('installed package');
const wanted = process.env.CI !== undefined;
if (!wanted) process.stderr.write('skipped: installed package: it asks a registry (set CI=1 to run it)\n');
const check = wanted ? test : test.skip;

let project: string;
let installOutput: string;

test.before(() => {
  if (!wanted) return;
  project = join(tempFolder(), 'project');
  mkdirSync(project);
  const pack = ['pack', '--silent', '--pack-destination', project];
  const archive = execFileSync('npm', pack, { cwd: packageRoot, encoding: 'utf8' })
    .trim()
    .split('\n')
    .at(-1)!;
  put('package.json', '{"name":"stranger","version":"1.0.0"}');
  const install = spawnSync('npm', ['install', '--no-audit', '--no-fund', `./${archive}`], {
    cwd: project,
    encoding: 'utf8',
  });
  installOutput = install.stdout + install.stderr;
  assert.is(install.status, 0, installOutput);
});

function put(name: string, content: string): void {
  writeFileSync(join(project, name), content);
}

function node(...parameters: string[]): string {
  const run = spawnSync(process.execPath, parameters, { cwd: project, encoding: 'utf8' });
  assert.is(run.status, 0, run.stderr);
  return run.stdout.trim();
}

const PROGRAM = `
const index = openIndex('index', { create: true });
await index.add([{ id: 'sky', text: 'Air scatters short wavelengths of sunlight.' }]);
console.log(index.search('why is the sky blue').hits[0].id);
await index.close();
`;

check('needs no package that wants another Node, and less than 150 MB', () => {
  assert.not.match(installOutput, /EBADENGINE/);
  const size = execFileSync('du', ['-sm', 'node_modules'], { cwd: project, encoding: 'utf8' });
  assert.ok(Number.parseInt(size, 10) < 150, size);
});

check('is imported by ESM and required by CommonJS', () => {
  put('esm.mjs', `import { openIndex } from 'winnow';\n${PROGRAM}`);
  assert.is(node('esm.mjs'), 'sky');
  rmSync(join(project, 'index'), { recursive: true });
  put('common.cjs', `const { openIndex } = require('winnow');\n(async () => {${PROGRAM}})();\n`);
  assert.is(node('common.cjs'), 'sky');
});

check('the command runs and tells which kernels do', () => {
  const doctor = node(join('node_modules', 'winnow', 'dist', 'cli', 'main.js'), 'doctor');
  assert.match(doctor, /kernels +(native|wasm)/);
});

for (const format of ['esm', 'cjs'] as const) {
  check(`a bundle of esbuild (${format}) works beside the installed package`, () => {
    put(
      'bundled.mjs',
      `import { openIndex } from 'winnow';\nexport async function main() {${PROGRAM}}\nvoid main();\n`,
    );
    const out = `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`;
    const esbuild = join(packageRoot, 'node_modules', 'esbuild', 'bin', 'esbuild');
    const options = [
      '--bundle',
      '--platform=node',
      `--format=${format}`,
      `--outfile=${out}`,
      '--log-level=error',
    ];
    // A CommonJS bundle has no import.meta; esbuild's documented way is to define it.
    if (format === 'cjs')
      options.push(
        '--define:import.meta.url=here',
        '--banner:js=const here = require("node:url").pathToFileURL(__filename).href;',
      );
    execFileSync(esbuild, ['bundled.mjs', ...options], { cwd: project });
    rmSync(join(project, 'index'), { recursive: true, force: true });
    assert.is(node(out), 'sky');
  });
}

check('its types hold in a strict program', () => {
  put(
    'strict.ts',
    `import { openIndex, type SearchIndex } from 'winnow';\nexport const open = (folder: string): SearchIndex => openIndex(folder);\n`,
  );
  const tsc = join(packageRoot, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = [
    '--strict',
    '--noEmit',
    '--pretty',
    'false',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--types',
    'node',
    '--typeRoots',
    join(packageRoot, 'node_modules', '@types'),
    'strict.ts',
  ];
  const run = spawnSync(process.execPath, [tsc, ...options, '--skipLibCheck', 'false'], {
    cwd: project,
    encoding: 'utf8',
  });
  const own = run.stdout
    .split('\n')
    .filter((line) => /error/.test(line) && !/^node_modules\/(lmdb|@types)\//.test(line));
  assert.equal(own, []);
});

test('package.json promises what the dependencies ask for', () => {
  const { packages } = JSON.parse(readFileSync(join(packageRoot, 'package-lock.json'), 'utf8'));
  const newer = Object.entries<{
    dev?: boolean;
    devOptional?: boolean;
    optional?: boolean;
    engines?: { node?: string };
  }>(packages)
    .filter(([, { dev, devOptional, optional }]) => !dev && !devOptional && !optional)
    .filter(([, { engines }]) => /^>= ?(2[1-9]|[3-9]\d)/.test(engines?.node ?? ''))
    .map(([name]) => name);
  assert.equal(newer, []);
});

test.run();
