import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { packageRoot } from '../../package-root.ts';
import type { KernelBackend } from './kernels.ts';
import type { KernelLibrary } from './library.ts';
import { matchesTable, type NativeModule, nativeLibrary, requireNativeModule } from './native-module.ts';
import { referenceLibrary } from './reference-module.ts';
import { wasmLibrary } from './wasm-module.ts';
import { hasRelaxedSimd } from './web-assembly.ts';

/** What `winnow doctor` prints. */
export interface KernelReport {
  readonly backend: KernelBackend;
  readonly instructions: string;
  /** Why not a better instruction set; absent when there is none. */
  readonly instructionsReason?: string;
  /** Why this backend: `WINNOW_KERNELS`, or the first of the order that loads. */
  readonly reason: string;
  /** What was loaded, relative to the package; absent for the reference. */
  readonly path?: string;
  readonly compiler?: string;
  readonly cpu: string;
  /** Backends that were tried first, and why they failed. */
  readonly failed: readonly { readonly backend: KernelBackend; readonly why: string }[];
}

const ORDER: readonly KernelBackend[] = ['native', 'wasm', 'reference'];
const NATIVE_PATH = 'kernels/native/build/winnow.node';
const WASM_ARENA = {
  'relaxed-simd': 'kernels/wasm/winnow-relaxed.wasm',
  simd128: 'kernels/wasm/winnow.wasm',
} as const;
const WASM_SEARCH = 'kernels/wasm/search.wasm';

interface Opened {
  readonly library: KernelLibrary;
  readonly path?: string;
  readonly compiler?: string;
  readonly instructionsReason?: string;
}

const opened = new Map<KernelBackend, Opened>();

/**
 * The kernels of `prefer`, or of environment variable WINNOW_KERNELS, or the best that loads: native, wasm, reference.
 * @throws WinnowError WINNOW_KERNEL_UNAVAILABLE when a backend that was named cannot run here
 */
export function loadKernels(prefer?: KernelBackend): KernelLibrary {
  return choose(prefer).opened.library;
}

/** The backends that load on this machine, best first. */
export function availableKernels(): KernelBackend[] {
  return ORDER.filter((backend) => {
    try {
      open(backend);
      return true;
    } catch {
      return false;
    }
  });
}

/** What {@link loadKernels} would use, and why. */
export function describeKernels(prefer?: KernelBackend): KernelReport {
  const { opened: chosen, reason, failed } = choose(prefer);
  return {
    backend: chosen.library.backend,
    instructions: chosen.library.instructions,
    reason,
    ...(chosen.instructionsReason ? { instructionsReason: chosen.instructionsReason } : {}),
    ...(chosen.path === undefined ? {} : { path: chosen.path }),
    ...(chosen.compiler === undefined ? {} : { compiler: chosen.compiler }),
    cpu: `${cpus()[0]?.model.trim() ?? 'unknown'} (${process.arch})`,
    failed,
  };
}

function choose(prefer: KernelBackend | undefined) {
  const named = prefer ?? readOverride();
  if (named !== undefined) {
    const reason = prefer === undefined ? `WINNOW_KERNELS=${named}` : 'chosen by the caller';
    return { opened: open(named), reason, failed: [] };
  }
  const failed: { backend: KernelBackend; why: string }[] = [];
  for (const backend of ORDER) {
    try {
      return { opened: open(backend), reason: 'first of native, wasm, reference that loads', failed };
    } catch (error) {
      failed.push({ backend, why: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new WinnowError('WINNOW_KERNEL_UNAVAILABLE', 'no kernel backend loads');
}

function readOverride(): KernelBackend | undefined {
  const value = process.env.WINNOW_KERNELS;
  if (value === undefined || value === '' || value === 'auto') return undefined;
  const backend = ORDER.find((name) => name === value);
  if (backend === undefined) {
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `WINNOW_KERNELS must be native, wasm or reference, not ${value}`,
      {
        place: 'WINNOW_KERNELS',
      },
    );
  }
  return backend;
}

function open(backend: KernelBackend): Opened {
  const known = opened.get(backend);
  if (known !== undefined) return known;
  const fresh = { native: openNative, wasm: openWasm, reference: () => ({ library: referenceLibrary() }) }[
    backend
  ]();
  opened.set(backend, fresh);
  return fresh;
}

function unavailable(backend: KernelBackend, why: string, hint: string, cause?: unknown): WinnowError {
  return new WinnowError('WINNOW_KERNEL_UNAVAILABLE', `${backend} kernels: ${why}`, { hint, cause });
}

function openNative(): Opened {
  const path = join(packageRoot, NATIVE_PATH);
  const hint = 'run: node kernels/native/build.mjs';
  if (!existsSync(path)) throw unavailable('native', 'not built on this machine', hint);
  let module: NativeModule;
  try {
    module = requireNativeModule(path);
  } catch (cause) {
    throw unavailable('native', `${NATIVE_PATH} does not load`, hint, cause);
  }
  if (!matchesTable(module)) throw unavailable('native', `${NATIVE_PATH} is of another version`, hint);
  return {
    library: nativeLibrary(module),
    path: NATIVE_PATH,
    compiler: module.compiler,
    instructionsReason: module.reason,
  };
}

function openWasm(): Opened {
  const hint = 'reinstall the package';
  const plainReason = whyPlainWasm();
  const instructions = plainReason === undefined ? 'relaxed-simd' : 'simd128';
  const paths = [WASM_ARENA[instructions], WASM_SEARCH] as const;
  const missing = paths.find((path) => !existsSync(join(packageRoot, path)));
  if (missing !== undefined) throw unavailable('wasm', `${missing} is missing`, hint);
  try {
    const [arena, search] = paths.map((path) => readFileSync(join(packageRoot, path)));
    return {
      library: wasmLibrary(arena!, search!, instructions),
      path: paths.join(', '),
      ...(plainReason === undefined ? {} : { instructionsReason: plainReason }),
    };
  } catch (cause) {
    throw unavailable('wasm', `${paths.join(' or ')} does not load`, hint, cause);
  }
}

/** Why not the module with relaxed SIMD; undefined when it runs here. */
function whyPlainWasm(): string | undefined {
  if (process.env.WINNOW_CPU === 'baseline') return 'relaxed-simd: WINNOW_CPU=baseline';
  return hasRelaxedSimd() ? undefined : 'relaxed-simd: this engine lacks it (Node 22 and later have it)';
}
