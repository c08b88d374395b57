import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../package-root.ts';
import { tempFolder } from './helpers/temp-folder.ts';

const test = suite('examples');
const folder = join(packageRoot, 'examples');
const programs = readdirSync(folder).filter((name) => name.endsWith('.ts'));

/** What each program prints, where it says that the program does what its page promises. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  'library.ts': /^car \(Automobile\): \d+\.\d\d, matched by (?:vehicle, motor|motor, vehicle), \d+ µs\n$/,
  'filters.ts': /^3 of 1937, 2 of 1890\nen: 2, es: 1\n$/,
  'passages.ts':
    /^best passage of guide: number \d+\n\d+ characters: This chapter is about .*\nthe document has \d passages\n$/,
  'explain.ts': /^score \d+\.\d\d, rank 1\n(?:.* = \d+\.\d\d, (?:text|added|missing)\n)+$/,
  'folder.ts': /^2 added, 0 replaced, 0 unchanged\n0 added, 1 replaced, 1 unchanged\ntea\.txt\n$/,
  'server.ts': /^sky \d+\.\d\d\n$/,
  'backend.ts': /^"beacon at the coast": 1 hits\n$/,
};

for (const name of programs)
  test(`examples/${name} runs and prints what it should`, () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', join('examples', name)],
      { cwd: packageRoot, encoding: 'utf8' },
    );
    assert.is(status, 0, stderr);
    assert.match(stdout, PRINTED[name]!);
  });

test('the first example of the README runs as it stands there', () => {
  const [, program] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(packageRoot, 'README.md'), 'utf8'))!;
  const place = tempFolder();
  writeFileSync(join(place, 'example.mts'), `${program}console.log(hits.map(({ id }) => id).join());\n`);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), 'example.mts'],
    {
      cwd: place,
      encoding: 'utf8',
      env: { ...process.env, TSX_TSCONFIG_PATH: join(packageRoot, 'tsconfig.json') },
    },
  );
  assert.is(status, 0, stderr);
  assert.is(stdout, 'sky\n');
});

test('the page of the examples lists all of them', () => {
  const page = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const name of programs) assert.ok(page.includes(`[${name}](${name})`), name);
});

test.run();
