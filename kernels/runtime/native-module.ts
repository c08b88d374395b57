import { createRequire } from 'node:module';
import { byName } from '../generated/by-name.ts';
import { BUILD_FUNCTIONS } from '../search/build-functions.ts';
import type { BuildFunctions, NativeSearchFunctions } from '../search/search-call.ts';
import { KERNEL_ABI, SEARCH_FUNCTIONS } from '../table.ts';
import { ARENA_ALIGNMENT, Arena, newSharedMemory } from './arena.ts';
import { Kernels } from './kernels.ts';
import type { KernelLibrary } from './library.ts';
import { KERNEL_NAMES, type KernelName, type PositionalKernels } from './raw-kernels.ts';

type ArenaFunctions = { readonly [Name in KernelName]: (arena: Uint8Array, ...numbers: number[]) => number };

/** What native/module.c exports. */
export interface NativeModule extends ArenaFunctions, NativeSearchFunctions, BuildFunctions {
  /** {@link KERNEL_ABI} of the table that it was built from. */
  readonly abi: number;
  readonly instructions: string;
  /** Why not a better instruction set; empty when there is none. */
  readonly reason: string;
  readonly compiler: string;
  /** Bytes that the view's first byte lies past a cache line. */
  misalignment(view: Uint8Array): number;
  lowerPriority(): void;
}

/** @throws the system's error when the file is not a module for this machine */
export function requireNativeModule(path: string): NativeModule {
  return createRequire(import.meta.url)(path) as NativeModule;
}

/** Whether a module was built from this table of kernels, and whole. */
export function matchesTable(module: NativeModule): boolean {
  const names = [
    ...KERNEL_NAMES,
    ...(Object.keys(SEARCH_FUNCTIONS) as (keyof NativeSearchFunctions)[]),
    ...(Object.keys(BUILD_FUNCTIONS) as (keyof BuildFunctions)[]),
    'lowerPriority' as const,
  ];
  return module.abi === KERNEL_ABI && names.every((name) => typeof module[name] === 'function');
}

export function nativeLibrary(module: NativeModule): KernelLibrary {
  return {
    backend: 'native',
    instructions: module.instructions,
    skipsZeros: {
      n16: module.instructions !== 'amx' && module.instructions !== 'baseline',
      block4: module.instructions !== 'amx',
    },
    arenaStart: 0,
    stackBytes: 0,
    search: { kind: 'native', functions: module },
    build: module,
    lowerPriority: () => module.lowerPriority(),
    // V8 aligns a SharedArrayBuffer to 16 bytes only. A vector or tile row that straddles two cache lines costs two
    // loads, which halved the speed of the int8 products: offset 0 is moved to the first whole line.
    newMemory: (bytes) => newSharedMemory(bytes + ARENA_ALIGNMENT),
    bind(memory) {
      const past = module.misalignment(new Uint8Array(memory as SharedArrayBuffer));
      const arena = new Arena(memory, (ARENA_ALIGNMENT - past) % ARENA_ALIGNMENT);
      const bound = KERNEL_NAMES.map((name): [string, PositionalKernels[KernelName]] => {
        const kernel = module[name];
        return [name, (...numbers) => kernel(arena.u8, ...numbers)];
      });
      return new Kernels('native', arena, byName(Object.fromEntries(bound) as unknown as PositionalKernels));
    },
  };
}
