import { ARENA_KERNELS } from '../table.ts';

type Table = typeof ARENA_KERNELS;

/** Name of an arena kernel, as in C. */
export type KernelName = keyof Table;

/** The arguments of a kernel by name: numbers, and byte offsets into the arena, where 0 means absent. */
export type KernelCall<Name extends KernelName> = {
  readonly [Parameter in keyof Table[Name]['parameters']]: number;
};

/**
 * The kernels of one backend over one arena, unchecked. Nothing outside kernels/ calls these: {@link Kernels} checks
 * offsets and sizes first.
 */
export type RawKernels = {
  readonly [Name in KernelName]: Table[Name]['returns'] extends 'i32'
    ? (call: KernelCall<Name>) => number
    : (call: KernelCall<Name>) => void;
};

export const KERNEL_NAMES = Object.keys(ARENA_KERNELS) as readonly KernelName[];

/** The functions of a backend, which take their arguments in the order of the table. */
export type PositionalKernels = { readonly [Name in KernelName]: (...numbers: number[]) => number };
