import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { describeKernels, loadKernels } from '../../kernels/index.ts';
import { hasRelaxedSimd } from '../../kernels/runtime/web-assembly.ts';
import { packageRoot } from '../../package-root.ts';
import { runScript } from './helpers.ts';

const test = suite('kernels: relaxed SIMD');

// Where the engine has relaxed SIMD, every kernel test of this folder runs on both WebAssembly modules (helpers.ts). V8 has it
// behind a flag before version 11.4: there a process with the flag runs the tests of integer kernels.

/** The flags with which this Node has relaxed SIMD; undefined where it has none at all. */
const flags = [[], ['--experimental-wasm-relaxed-simd']].find((own) => {
  const ask = `process.exit(WebAssembly.validate(new Uint8Array([0,97,115,109,1,0,0,0,1,8,1,96,3,123,123,123,1,123,3,2,1,0,10,13,1,11,0,32,0,32,1,32,2,253,147,2,11])) ? 0 : 1)`;
  return spawnSync(process.execPath, [...own, '-e', ask]).status === 0;
});
const behindFlag = flags !== undefined && flags.length > 0;

test('the module is chosen by what the engine can do, and the report says why', () => {
  const { instructions, instructionsReason, path } = describeKernels('wasm');
  const relaxed = hasRelaxedSimd() && process.env.WINNOW_CPU !== 'baseline';
  assert.is(instructions, relaxed ? 'relaxed-simd' : 'simd128');
  assert.is(loadKernels('wasm').instructions, instructions);
  assert.match(path!, relaxed ? 'winnow-relaxed.wasm' : 'winnow.wasm');
  assert.is(instructionsReason === undefined, relaxed);
});

test('WINNOW_CPU=baseline takes the module without relaxed SIMD', () => {
  const script = `import { describeKernels } from './kernels/index.ts';
    const { instructions, instructionsReason } = describeKernels('wasm');
    console.log(instructions, instructionsReason);`;
  assert.is(
    runScript(script, { WINNOW_CPU: 'baseline' }).trim(),
    'simd128 relaxed-simd: WINNOW_CPU=baseline',
  );
});

(behindFlag ? test : test.skip)(
  `behind V8's flag: integer kernels give the bits of the reference (${flags === undefined ? 'this Node has no relaxed SIMD' : 'without the flag, where the engine has it'})`,
  () => {
    for (const name of ['int8', 'sparse', 'head', 'float']) {
      const script = `import { loadKernels } from './kernels/index.ts';
        if (loadKernels('wasm').instructions !== 'relaxed-simd') throw new Error('the wrong module');
        await import('./test/kernels/${name}.test.ts');`;
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [...flags!, '--import', 'tsx', '--input-type=module', '-e', script],
        { cwd: packageRoot, encoding: 'utf8', env: { ...process.env, WINNOW_CPU: '' } },
      );
      assert.is(status, 0, `${name}: ${stdout}${stderr}`);
      assert.match(stdout, /Passed:\s+[1-9]/);
    }
  },
);

test.run();
