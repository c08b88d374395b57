import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadKernels } from '../../kernels/index.ts';
import { matchesTable, requireNativeModule } from '../../kernels/runtime/native-module.ts';
import { wasmLibrary } from '../../kernels/runtime/wasm-module.ts';
import { KERNEL_ABI } from '../../kernels/table.ts';
import { packageRoot } from '../../package-root.ts';
import { libraries } from './helpers.ts';

const test = suite('kernels: table');

const inPackage = (path: string) => join(packageRoot, path);
const wasm = (name: string) => readFileSync(inPackage(`kernels/wasm/${name}.wasm`));

test('the generated headers are what the table gives', () => {
  const check = spawnSync(
    process.execPath,
    ['--import', 'tsx', inPackage('scripts/generate-kernels.ts'), '--check'],
    { encoding: 'utf8', cwd: packageRoot },
  );
  assert.is(check.status, 0, check.stdout + check.stderr);
});

const hasNative = libraries.some(({ backend }) => backend === 'native');
(hasNative ? test : test.skip)(
  'a native module of another table, or that lacks a function, does not match',
  () => {
    const built = requireNativeModule(inPackage('kernels/native/build/winnow.node'));
    assert.ok(matchesTable(built));
    assert.not(matchesTable({ ...built, abi: (KERNEL_ABI + 1) >>> 0 }));
    for (const name of ['gemm_int8', 'searchPruned'] as const) {
      assert.not(matchesTable({ ...built, [name]: undefined as never }), name);
    }
  },
);

test('a WebAssembly module of another table is refused when it is opened', () => {
  const [arena, search] = [wasm('winnow'), wasm('search')];
  const open = (arena: Buffer, search: Buffer) => wasmLibrary(arena, search, 'simd128');
  assert.is(open(arena, search).backend, 'wasm');
  /** The module as it would be exported by another table: only the digits of its ABI differ. */
  const ofAnotherTable = (module: Buffer) => {
    const other = Buffer.from(module);
    const at = other.indexOf(`abi_${KERNEL_ABI.toString(16)}`);
    assert.ok(at > 0);
    other.write(other[at + 4] === 48 ? '1' : '0', at + 4);
    return other;
  };
  assert.throws(() => open(ofAnotherTable(arena), search), /another table/);
  assert.throws(() => open(arena, ofAnotherTable(search)), /another table/);
  assert.throws(() => open(search, arena), /another table/);
});

test('arena kernels and searches come from the same backend', () => {
  for (const { backend, search } of libraries) {
    assert.is(loadKernels(backend).search, search);
    assert.is(search?.kind, backend === 'reference' ? undefined : backend);
  }
});

test.run();
