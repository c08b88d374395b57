// Builds winnow.wasm and winnow-relaxed.wasm (arena kernels, without and with relaxed SIMD) and search.wasm (posting
// searches) from the same C as the native module. The results are committed, so users need no compiler. It must be clang 19
// with the wasm32 target and wasm-ld, because another version gives other bytes (Debian: apt install clang-19 lld-19).
//   node kernels/wasm/build.mjs           writes the modules
//   node kernels/wasm/build.mjs --check   exits 1 when a committed module is not what the sources give
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const COMMON = [
  '--target=wasm32',
  '-std=gnu11',
  '-O3',
  '-msimd128',
  '-mbulk-memory',
  '-mmutable-globals',
  '-nostdlib',
  '-ffreestanding',
  '-fvisibility=hidden',
  '-fno-math-errno',
  '-ffp-contract=off',
  '-Wl,--no-entry,--strip-all,--stack-first,-z,stack-size=32768',
];
const ARENA_KERNELS = [
  join(folder, '..', 'native', 'simd', 'all.c'),
  '-matomics',
  '-DVARIANT=wasm',
  '-DVARIANT_WASM',
  // The stack lies below the data, all within the first 64 KiB page that arenas leave to the module.
  '-Wl,--shared-memory,--import-memory,--initial-memory=65536,--max-memory=4294967296',
  '-Wl,--export=__stack_pointer',
];
const MODULES = {
  'winnow.wasm': ARENA_KERNELS,
  'winnow-relaxed.wasm': ['-mrelaxed-simd', ...ARENA_KERNELS],
  // Each block of posting lists gets an instance with a memory of its own, so nothing is imported.
  'search.wasm': [
    join(folder, 'search.c'),
    '-DVARIANT=wasm',
    '-DVARIANT_WASM',
    '-Wl,--initial-memory=65536,--max-memory=4294967296',
  ],
};

const VERSION = /clang version 19\./;
const clang = ['clang-19', 'clang'].find((name) =>
  VERSION.test(spawnSync(name, ['--version'], { encoding: 'utf8' }).stdout ?? ''),
);
if (clang === undefined) throw new Error('clang 19 is needed: apt install clang-19 lld-19');

const scratch = mkdtempSync(join(tmpdir(), 'winnow-wasm-'));
try {
  for (const [name, flags] of Object.entries(MODULES)) {
    const output = join(scratch, name);
    const target = join(folder, name);
    const { status, error } = spawnSync(clang, [...COMMON, ...flags, '-o', output], { stdio: 'inherit' });
    if (status !== 0) throw error ?? new Error(`clang ended with ${status}`);
    const built = readFileSync(output);
    if (!process.argv.includes('--check')) writeFileSync(target, built);
    else if (!built.equals(readFileSync(target))) {
      process.stdout.write(
        `kernels/wasm/${name} is older than its sources: run node kernels/wasm/build.mjs\n`,
      );
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
