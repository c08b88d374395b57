import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../../package-root.ts';

const test = suite('kernels: committed WebAssembly');

const hasClang19 = ['clang-19', 'clang'].some((name) =>
  /clang version 19\./.test(spawnSync(name, ['--version'], { encoding: 'utf8' }).stdout ?? ''),
);

(hasClang19 ? test : test.skip)(
  'the committed modules are what the C sources give (needs clang 19 and its wasm-ld)',
  () => {
    const check = spawnSync(process.execPath, [join(packageRoot, 'kernels/wasm/build.mjs'), '--check'], {
      encoding: 'utf8',
    });
    assert.is(check.status, 0, check.stdout + check.stderr);
  },
);

test.run();
