import type { ArenaMemory } from './arena.ts';
import type { KernelBackend, Kernels } from './kernels.ts';

/** One backend, loaded once a process: makes arenas and binds the kernels to them. */
export interface KernelLibrary {
  readonly backend: KernelBackend;
  /** Instruction set in use: `amx`, `vnni`, `avx2`, `baseline`, `neon`, `simd128` or `typescript`. */
  readonly instructions: string;
  /** Whether zeros of N:16 weights save time; tiles compute them along, so weights are best packed dense. */
  readonly skipsZeros: boolean;
  /** Bytes at the front of every arena that belong to the backend; an ArenaLayout starts after them. */
  readonly arenaStart: number;
  /** Bytes of arena that each thread must reserve for its own call stack; 0 where the thread has one already. */
  readonly stackBytes: number;
  newMemory(bytes: number): ArenaMemory;
  /**
   * @param memory from newMemory of the same backend, possibly of another thread
   * @param stack offset of `stackBytes` reserved bytes that no other thread uses
   */
  bind(memory: ArenaMemory, stack?: number): Kernels;
}
