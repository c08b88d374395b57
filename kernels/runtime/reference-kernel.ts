import type { Arena } from './arena.ts';
import type { RawKernels } from './raw-kernels.ts';

/** The specification of a kernel in TypeScript: the arena, then the kernel's arguments. Offsets are in bytes. */
export type ReferenceKernel<Name extends keyof RawKernels> = (
  arena: Arena,
  call: Parameters<RawKernels[Name]>[0],
) => ReturnType<RawKernels[Name]>;
