/** How are numbers crunched? The kernels of one backend over one arena; see README.md in this folder. */
export {
  ARENA_ALIGNMENT,
  Arena,
  ArenaLayout,
  type ArenaMemory,
} from './arena.ts';
export { type F32Matrix, fillF32Matrix, reserveF32Matrix } from './f32-matrix.ts';
export {
  fillInt8Matrix,
  type Int8Matrix,
  type Int8Rows,
  padTo,
  reserveInt8Matrix,
  unpackInt8Matrix,
} from './int8-matrix.ts';
export {
  attentionScratchBytes,
  type KernelBackend,
  Kernels,
  type QuantizedRows,
  reserveQuantizedRows,
} from './kernels.ts';
export type { KernelLibrary } from './library.ts';
export {
  availableKernels,
  describeKernels,
  type KernelReport,
  loadKernels,
} from './loader.ts';
