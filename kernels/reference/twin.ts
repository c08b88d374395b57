import type { Arena } from '../arena.ts';
import type { RawKernels } from '../raw.ts';

/** A reference kernel: the raw kernel's parameters after the arena, and its result. */
export type Twin<Name extends keyof RawKernels> = (
  arena: Arena,
  ...call: Parameters<RawKernels[Name]>
) => ReturnType<RawKernels[Name]>;
