import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';

const test = suite('kernels: committed WebAssembly');

/** Bytes are only comparable with the compiler that made the committed file. */
const COMPILER = /clang version 14\./;

test('winnow.wasm is what the C sources give', () => {
  const { stdout, status } = spawnSync('clang', ['--version'], { encoding: 'utf8' });
  if (status !== 0 || !COMPILER.test(stdout) || spawnSync('wasm-ld', ['--version']).status !== 0) {
    process.stdout.write('clang 14 with wasm-ld is not here: the committed WebAssembly is not rebuilt\n');
    return;
  }
  const check = spawnSync(process.execPath, [join(packageRoot, 'kernels/wasm/build.mjs'), '--check'], {
    encoding: 'utf8',
  });
  assert.is(check.status, 0, check.stdout + check.stderr);
});

test.run();
