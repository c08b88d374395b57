import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';
import { ARENA_ALIGNMENT, Arena, type ArenaMemory } from './arena.ts';
import { type KernelBackend, Kernels } from './kernels.ts';
import type { KernelLibrary } from './library.ts';
import { RAW_KERNEL_NAMES, RAW_KERNELS_VERSION, type RawKernels } from './raw.ts';
import { referenceKernels } from './reference/reference.ts';
import { openWasm } from './wasm-module.ts';

/** What `winnow doctor` prints. */
export interface KernelReport {
  readonly backend: KernelBackend;
  readonly instructions: string;
  /** Why not a better instruction set; absent when there is none. */
  readonly instructionsReason?: string;
  /** Why this backend: `WINNOW_KERNELS`, or the first of the order that loads. */
  readonly reason: string;
  /** File that was loaded, relative to the package; absent for the reference. */
  readonly path?: string;
  readonly compiler?: string;
  readonly cpu: string;
  /** Backends that were tried before and why they failed. */
  readonly failed: readonly { readonly backend: KernelBackend; readonly why: string }[];
}

const ORDER: readonly KernelBackend[] = ['native', 'wasm', 'reference'];
const NATIVE_PATH = 'kernels/native/build/winnow.node';
const WASM_PATH = 'kernels/wasm/winnow.wasm';

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
    const reason = prefer === undefined ? `WINNOW_KERNELS=${named}` : 'asked for by the caller';
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
  const fresh = { native: openNative, wasm: openWasmFile, reference: openReference }[backend]();
  opened.set(backend, fresh);
  return fresh;
}

function unavailable(backend: KernelBackend, why: string, hint: string, cause?: unknown): WinnowError {
  return new WinnowError('WINNOW_KERNEL_UNAVAILABLE', `${backend} kernels: ${why}`, { hint, cause });
}

const newSharedMemory = (bytes: number): ArenaMemory => new SharedArrayBuffer(bytes);

function openNative(): Opened {
  const path = join(packageRoot, NATIVE_PATH);
  const hint = 'run: node kernels/native/build.mjs';
  if (!existsSync(path)) throw unavailable('native', 'not built on this machine', hint);
  type Addon = {
    instructions: string;
    reason: string;
    compiler: string;
    version: number;
    misalignment(view: Uint8Array): number;
  } & {
    [name in keyof RawKernels]: (arena: Uint8Array, ...numbers: number[]) => number;
  };
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    throw unavailable('native', `${NATIVE_PATH} does not load`, hint, cause);
  }
  const complete = RAW_KERNEL_NAMES.every((name) => typeof addon[name] === 'function');
  if (!complete || addon.version !== RAW_KERNELS_VERSION) {
    throw unavailable('native', `${NATIVE_PATH} is of another version`, hint);
  }
  const library: KernelLibrary = {
    backend: 'native',
    instructions: addon.instructions,
    skipsZeros: addon.instructions !== 'amx',
    arenaStart: 0,
    stackBytes: 0,
    // V8 aligns a SharedArrayBuffer to 16 bytes only. A vector or tile row that straddles two cache lines costs two loads,
    // which halved the speed of the int8 products: offset 0 is moved to the first whole line.
    newMemory: (bytes) => newSharedMemory(bytes + ARENA_ALIGNMENT),
    bind(memory) {
      const past = addon.misalignment(new Uint8Array(memory as SharedArrayBuffer));
      const arena = new Arena(memory, (ARENA_ALIGNMENT - past) % ARENA_ALIGNMENT);
      const raw = Object.fromEntries(
        RAW_KERNEL_NAMES.map((name) => {
          const kernel = addon[name];
          return [name, (...numbers: number[]) => kernel(arena.u8, ...numbers)];
        }),
      ) as unknown as RawKernels;
      return new Kernels('native', arena, raw);
    },
  };
  return {
    library,
    path: NATIVE_PATH,
    compiler: addon.compiler,
    instructionsReason: addon.reason,
  };
}

function openWasmFile(): Opened {
  const path = join(packageRoot, WASM_PATH);
  if (!existsSync(path)) throw unavailable('wasm', `${WASM_PATH} is missing`, 'reinstall the package');
  try {
    return { library: openWasm(readFileSync(path)), path: WASM_PATH };
  } catch (cause) {
    throw unavailable('wasm', `${WASM_PATH} does not load`, 'reinstall the package', cause);
  }
}

function openReference(): Opened {
  return {
    library: {
      backend: 'reference',
      instructions: 'typescript',
      skipsZeros: true,
      arenaStart: 0,
      stackBytes: 0,
      newMemory: newSharedMemory,
      bind(memory) {
        const arena = new Arena(memory);
        return new Kernels('reference', arena, referenceKernels(arena));
      },
    },
  };
}
