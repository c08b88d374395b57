// Runs the kernel and encoder suites once for each instruction set of this machine: npm run test:variants
// WINNOW_CPU can only lower the choice, so an instruction set that the processor or the compiler lacks is skipped, with a line that says why.
import { spawnSync } from 'node:child_process';

const pattern = process.argv[2] ?? '(kernels|encoder)/.*\\.test\\.ts$';
const ask = `import { describeKernels } from './kernels/index.ts';
  const { instructions, instructionsReason } = describeKernels('native');
  console.log(JSON.stringify({ instructions, instructionsReason }));`;

let failed = false;
for (const cpu of ['baseline', 'avx2', 'vnni', 'amx']) {
  const env = { ...process.env, WINNOW_CPU: cpu };
  const answer = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', ask], {
    env,
    encoding: 'utf8',
  });
  if (answer.status !== 0) {
    console.error(answer.stderr);
    process.exit(1);
  }
  const { instructions, instructionsReason } = JSON.parse(answer.stdout);
  if (instructions !== cpu) {
    console.log(`${cpu}: skipped, ${instructionsReason ?? `this machine uses ${instructions}`}`);
    continue;
  }
  const { status, stdout } = spawnSync(process.execPath, ['scripts/run-tests.mjs', pattern], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) console.log(stdout);
  console.log(`${cpu}: ${stdout.trim().split('\n').at(-1)}`);
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
