// Runs the kernel tests on a native module built with the address and undefined-behaviour sanitizers, once per
// instruction set of this machine. node kernels/native/sanitize.mjs   (needs gcc or clang with libasan; some 2 min)
// The ordinary module is built again at the end.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const root = join(folder, '..', '..');
const compiler = process.env.CC ?? 'gcc';
const flags = '-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer';

function run(command, parameters, env = {}) {
  const { status, error } = spawnSync(command, parameters, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw error ?? new Error(`${command} ${parameters.join(' ')} ended with ${status}`);
}

// Node itself is not instrumented, so the runtime must be loaded first.
const runtime = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim();
try {
  run('node', ['kernels/native/build.mjs'], { WINNOW_CFLAGS: flags, CC: compiler });
  run('node', ['scripts/test-variants.mjs', 'kernels/.*\\.test\\.ts$'], {
    LD_PRELOAD: runtime,
    // Node leaks on purpose at exit; only memory errors count.
    ASAN_OPTIONS: 'detect_leaks=0',
  });
} finally {
  run('node', ['kernels/native/build.mjs']);
}
