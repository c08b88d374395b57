import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';

const test = suite('kernels: committed WebAssembly');

/** Bytes are only comparable with the compiler that made the committed files. */
const COMPILER = /clang version 14\./;

const { stdout: compiler } = spawnSync('clang', ['--version'], { encoding: 'utf8' });
const canBuild = COMPILER.test(compiler ?? '') && spawnSync('wasm-ld', ['--version']).status === 0;

(canBuild ? test : test.skip)(
  'the committed modules are what the C sources give (needs clang 14 and wasm-ld)',
  () => {
    const check = spawnSync(process.execPath, [join(packageRoot, 'kernels/wasm/build.mjs'), '--check'], {
      encoding: 'utf8',
    });
    assert.is(check.status, 0, check.stdout + check.stderr);
  },
);

test.run();
