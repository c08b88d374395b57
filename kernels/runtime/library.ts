import type { BuildFunctions, NativeSearch, WasmSearch } from '../search/search-call.ts';
import type { ArenaMemory } from './arena.ts';
import type { KernelBackend, Kernels } from './kernels.ts';

/** One backend, loaded once per process: makes arenas and binds the kernels to them. */
export interface KernelLibrary {
  readonly backend: KernelBackend;
  /** Instruction set in use: `amx`, `vnni`, `avx2`, `baseline`, `neon`, `relaxed-simd`, `simd128` or `typescript`. */
  readonly instructions: string;
  /**
   * Which kernels for sparse weights are faster here than the dense one on the same weights, as measured. The others are
   * there and give the same bits. AMX tiles compute zeros too, and SSE2 has no byte shuffle for N:16.
   */
  readonly skipsZeros: { readonly n16: boolean; readonly block4: boolean };
  /** Bytes at the front of every arena that belong to the backend; an ArenaLayout starts after them. */
  readonly arenaStart: number;
  /** Bytes of arena that each thread must reserve for its own call stack; 0 where threads have one anyway. */
  readonly stackBytes: number;
  /** The posting searches; undefined where the TypeScript scans in query/ are used. */
  readonly search: NativeSearch | WasmSearch | undefined;
  /** What builds posting lists, and CRC-32; absent where TypeScript and zlib do it. */
  readonly build?: BuildFunctions;
  /** Lets other threads of the machine run before the calling one, for good; absent where a backend cannot. */
  lowerPriority?(): void;
  newMemory(bytes: number): ArenaMemory;
  /**
   * @param memory from newMemory of the same backend, possibly of another thread
   * @param stack offset of `stackBytes` reserved bytes that no other thread uses
   */
  bind(memory: ArenaMemory, stack?: number): Kernels;
}
