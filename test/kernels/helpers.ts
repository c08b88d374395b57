import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ArenaLayout,
  availableKernels,
  type KernelLibrary,
  type Kernels,
  loadKernels,
} from '../../kernels/index.ts';
import { wasmLibrary } from '../../kernels/runtime/wasm-module.ts';
import { packageRoot } from '../../package-root.ts';

/** Seed of every property in these suites; a failure prints it together with the shrunk example. */
const seed = Number(process.env.WINNOW_TEST_SEED ?? 20261123);
export const runs = (numRuns: number) => ({ seed, numRuns });

/** The reference first: it is what the others are compared with. */
export const libraries: KernelLibrary[] = ['reference' as const, 'native' as const, 'wasm' as const]
  .filter((backend) => availableKernels().includes(backend))
  .map((backend) => loadKernels(backend));

const wasmFile = (name: string) => readFileSync(join(packageRoot, `kernels/wasm/${name}.wasm`));

/** {@link libraries}, and where the engine runs the module with relaxed SIMD, the one without as well. */
const variants: KernelLibrary[] = libraries.some(({ instructions }) => instructions === 'relaxed-simd')
  ? [...libraries, wasmLibrary(wasmFile('winnow'), wasmFile('search'), 'simd128')]
  : libraries;

const GAP = 0xa5;

/** Records its regions, so that a write between two of them is found: sanitizers see the arena as one block. */
class RecordingLayout extends ArenaLayout {
  readonly #regions: { start: number; end: number }[] = [];

  override reserve(bytes: number): number {
    const start = super.reserve(bytes);
    this.#regions.push({ start, end: start + bytes });
    return start;
  }

  #gaps(kernels: Kernels): Uint8Array[] {
    const ends = [...this.#regions.slice(1).map(({ start }) => start), this.sizeBytes];
    return this.#regions.map(({ end }, i) => kernels.arena.u8.subarray(end, ends[i]));
  }

  markGaps(kernels: Kernels): void {
    for (const gap of this.#gaps(kernels)) gap.fill(GAP);
  }

  checkGaps(kernels: Kernels): void {
    this.#gaps(kernels).forEach((gap, i) => {
      if (gap.some((byte) => byte !== GAP)) {
        throw new Error(`${kernels.backend}: bytes after region ${i} of the plan were written`);
      }
    });
  }
}

/** Runs `body` on every backend that loads and both WebAssembly modules, each with an arena that `plan` laid out. */
export function onEveryBackend<Plan, Result>(
  plan: (layout: ArenaLayout) => Plan,
  body: (kernels: Kernels, plan: Plan) => Result,
): { backend: string; result: Result }[] {
  return variants.map((library) => {
    const layout = new RecordingLayout(library.arenaStart);
    const planned = plan(layout);
    const kernels = library.bind(library.newMemory(layout.sizeBytes));
    layout.markGaps(kernels);
    const result = body(kernels, planned);
    layout.checkGaps(kernels);
    return { backend: `${library.backend} (${library.instructions})`, result };
  });
}

export { randomSource } from '../../random.ts';

export function randomFloats(count: number, random: () => number, width = 2): Float32Array {
  return Float32Array.from({ length: count }, () => (random() - 0.5) * width);
}

export function randomInt8(count: number, random: () => number): Int8Array {
  return Int8Array.from({ length: count }, () => Math.floor(random() * 255) - 127);
}

/** Largest |a - b| relative to the largest |a|. */
export function relativeError(expected: ArrayLike<number>, actual: ArrayLike<number>): number {
  let top = 1e-30;
  let error = 0;
  for (let i = 0; i < expected.length; i++) {
    top = Math.max(top, Math.abs(expected[i]!));
    error = Math.max(error, Math.abs(expected[i]! - actual[i]!));
  }
  return error / top;
}

/** Runs a script of this repository in a fresh process, so that WINNOW_CPU and the like take effect. */
export function runScript(script: string, env: Record<string, string>): string {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    { env: { ...process.env, ...env }, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
