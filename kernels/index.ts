/** How are numbers crunched? The kernels of one backend over one arena; see README.md in this folder. */
export {
  ARENA_ALIGNMENT,
  Arena,
  ArenaLayout,
  type ArenaMemory,
} from './arena.ts';
export {
  type Block4F32Matrix,
  type Block4Matrix,
  block4ScratchBytes,
  countBlocks4,
  countBlocks4F32,
  fillBlock4F32Matrix,
  fillBlock4Matrix,
  reserveBlock4F32Matrix,
  reserveBlock4Matrix,
  unpackBlock4Matrix,
} from './block-matrix.ts';
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
} from './kernels.ts';
export type { KernelLibrary } from './library.ts';
export {
  availableKernels,
  describeKernels,
  type KernelReport,
  loadKernels,
} from './loader.ts';
export {
  decodeN16,
  detectN16,
  encodeN16,
  fillN16Matrix,
  type N16Matrix,
  reserveN16Matrix,
  unpackN16Matrix,
} from './n16-matrix.ts';
export { type QuantizedRows, reserveQuantizedRows } from './quantized-rows.ts';
export {
  type ColumnSpread,
  chooseCopies,
  fillSpread,
  repeatInputs,
  reserveSpread,
} from './spread.ts';
