/** How are numbers crunched? The kernels of one backend over one arena; see README.md in this folder. */

export { attentionScratchBytes } from './attention/attention-kernels.ts';
export { type F32Matrix, fillF32Matrix, reserveF32Matrix } from './dense/f32-matrix.ts';
export {
  fillInt8Matrix,
  gatherOutputs,
  type Int8Matrix,
  type Int8Rows,
  padTo,
  reserveInt8Matrix,
  unpackInt8Matrix,
} from './dense/int8-matrix.ts';
export { type QuantizedRows, reserveQuantizedRows } from './rows/quantized-rows.ts';
export {
  type ColumnSpread,
  chooseCopies,
  fillSpread,
  repeatInputs,
  reserveSpread,
} from './rows/spread.ts';
export {
  Arena,
  ArenaLayout,
  type ArenaMemory,
} from './runtime/arena.ts';
export { type KernelBackend, Kernels } from './runtime/kernels.ts';
export type { KernelLibrary } from './runtime/library.ts';
export {
  availableKernels,
  describeKernels,
  loadKernels,
} from './runtime/loader.ts';
export {
  type Block4Matrix,
  block4ScratchBytes,
  countBlocks4,
  fillBlock4Matrix,
  reserveBlock4Matrix,
  unpackBlock4Matrix,
} from './sparse/block-matrix.ts';
export {
  decodeN16,
  detectN16,
  encodeN16,
  fillN16Matrix,
  type N16Matrix,
  reserveN16Matrix,
  unpackN16Matrix,
} from './sparse/n16-matrix.ts';
export {
  attentionBackwardScratchBytes,
  GEMM_SCRATCH_BYTES,
  rowMajor,
  transposed,
} from './training/training-kernels.ts';
