// Builds kernels/native/build/winnow.node with the system's C compiler; run by `npm install`. It never fails an
// install: without a compiler it prints one line, and the committed WebAssembly modules are used. simd/all.c is
// compiled once per instruction set; every *.c beside this file once, at the baseline of the platform. WINNOW_CFLAGS
// adds flags (sanitizers), CC names the compiler, WINNOW_KERNELS_BUILD=skip skips.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const output = join(folder, 'build');
const AVX512 = ['-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mavx512vnni'];
const VARIANTS = {
  baseline: [],
  avx2: ['-mavx2', '-mfma'],
  vnni: ['-mavx2', '-mfma', ...AVX512],
  amx: ['-mavx2', '-mfma', ...AVX512, '-mavx512bf16', '-mamx-tile', '-mamx-int8', '-mamx-bf16'],
};

function findCompiler() {
  const candidates = process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang'];
  return candidates.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

function findHeaders() {
  try {
    return createRequire(import.meta.url)('node-api-headers').include_dir;
  } catch {
    // Node's own distribution carries them too.
    const own = join(dirname(process.execPath), '..', 'include', 'node');
    return existsSync(join(own, 'node_api.h')) ? own : undefined;
  }
}

/** Resolves to the compiler's error output, or to undefined when it succeeded. */
function run(compiler, parameters) {
  return new Promise((resolve) => {
    const child = spawn(compiler, parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (chunk) => {
      complaint += chunk;
    });
    child.on('error', (error) => resolve(String(error)));
    child.on('close', (code) => resolve(code === 0 ? undefined : complaint || `exit code ${code}`));
  });
}

async function build() {
  if (process.env.WINNOW_KERNELS_BUILD === 'skip') return 'skipped by WINNOW_KERNELS_BUILD';
  const compiler = findCompiler();
  if (compiler === undefined) return 'no C compiler found';
  const headers = findHeaders();
  if (headers === undefined) return 'node_api.h not found';
  mkdirSync(output, { recursive: true });
  const common = [
    '-std=gnu11',
    '-O3',
    '-fPIC',
    '-ffp-contract=off',
    '-fvisibility=hidden',
    '-fno-math-errno',
  ];
  common.push(...(process.env.WINNOW_CFLAGS ?? '').split(' ').filter(Boolean));
  const objects = [];
  const compile = async (source, object, extra) => {
    const complaint = await run(compiler, [...common, ...extra, '-c', source, '-o', object]);
    if (complaint === undefined) objects.push(object);
    return complaint;
  };

  const wanted = process.arch === 'x64' ? Object.keys(VARIANTS) : ['baseline'];
  const complaints = await Promise.all(
    wanted.map((name) =>
      compile(join(folder, 'simd', 'all.c'), join(output, `simd-${name}.o`), [
        ...VARIANTS[name],
        `-DVARIANT=${name}`,
        `-DVARIANT_${name.toUpperCase()}`,
      ]),
    ),
  );
  if (complaints[0] !== undefined) return complaints[0];
  // An old compiler may not know an instruction set: the module is then built without it.
  const present = wanted.filter((_, index) => complaints[index] === undefined);
  const defines = present.map((name) => `-DWITH_${name.toUpperCase()}`);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.c'))) {
    const object = join(output, file.replace(/\.c$/, '.o'));
    const complaint = await compile(join(folder, file), object, [`-I${headers}`, ...defines]);
    if (complaint !== undefined) return complaint;
  }
  const link = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  const extra = (process.env.WINNOW_CFLAGS ?? '').split(' ').filter(Boolean);
  const fresh = join(output, `winnow-${process.pid}.node`);
  const complaint = await run(compiler, [...link, ...extra, ...objects, '-lm', '-o', fresh]);
  if (complaint !== undefined) return complaint;
  // A running process may have the old module mapped: replace the name, never the bytes.
  renameSync(fresh, join(output, 'winnow.node'));
  for (const object of objects) rmSync(object, { force: true });
  return undefined;
}

const failure = await build().catch((error) => String(error));
if (failure !== undefined) {
  const reason = failure.trim().split('\n').slice(0, 3).join(' | ');
  process.stdout.write(`winnow: native kernels not built (${reason}); the WebAssembly build will be used\n`);
}
