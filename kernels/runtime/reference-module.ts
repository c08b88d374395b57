import { attention } from '../attention/attention.reference.ts';
import { gemmF32, gemmInt8 } from '../dense/dense.reference.ts';
import { headArgmaxF32, headArgmaxInt8, headBackward, scorePairsInt8 } from '../head/head.reference.ts';
import {
  collectAbove,
  embed,
  gelu,
  geluBackward,
  geluQuantize,
  layerNormQuantize,
  quantizeRows,
} from '../rows/rows.reference.ts';
import { gemmBlock4, gemmN16, gemvThresholded } from '../sparse/sparse.reference.ts';
import {
  adamw,
  attentionBackward,
  columnSums,
  gemmStrided,
  layerNormBackward,
  layerNormForward,
  sumSquares,
} from '../training/training.reference.ts';
import { Arena, newSharedMemory } from './arena.ts';
import { Kernels } from './kernels.ts';
import type { KernelLibrary } from './library.ts';
import type { RawKernels } from './raw-kernels.ts';

/**
 * The specification of the kernels in plain TypeScript: the oracle of the tests and the last fallback. Integers are
 * exact. f32 steps are computed in double precision and stored as f32, so they are the more accurate value.
 */
function referenceKernels(arena: Arena): RawKernels {
  return {
    gemm_int8: (call) => gemmInt8(arena, call),
    gemm_f32: (call) => gemmF32(arena, call),
    quantize_rows: (call) => quantizeRows(arena, call),
    gelu_quantize: (call) => geluQuantize(arena, call),
    gelu: (call) => gelu(arena, call),
    layer_norm_quantize: (call) => layerNormQuantize(arena, call),
    embed: (call) => embed(arena, call),
    collect_above: (call) => collectAbove(arena, call),
    attention: (call) => attention(arena, call),
    attention_int16: (call) => attention(arena, call),
    gemm_n16: (call) => gemmN16(arena, call),
    gemm_block4: (call) => gemmBlock4(arena, call),
    gemv_thresholded: (call) => gemvThresholded(arena, call),
    head_argmax_int8: (call) => headArgmaxInt8(arena, call),
    head_argmax_f32: (call) => headArgmaxF32(arena, call),
    score_pairs_int8: (call) => scorePairsInt8(arena, call),
    head_backward: (call) => headBackward(arena, call),
    gemm_strided: (call) => gemmStrided(arena, call),
    layer_norm_forward: (call) => layerNormForward(arena, call),
    layer_norm_backward: (call) => layerNormBackward(arena, call),
    gelu_backward: (call) => geluBackward(arena, call),
    attention_backward: (call) => attentionBackward(arena, call),
    column_sums: (call) => columnSums(arena, call),
    sum_squares: (call) => sumSquares(arena, call),
    adamw: (call) => adamw(arena, call),
  };
}

export function referenceLibrary(): KernelLibrary {
  return {
    backend: 'reference',
    instructions: 'typescript',
    skipsZeros: { n16: true, block4: true },
    arenaStart: 0,
    stackBytes: 0,
    search: undefined,
    newMemory: newSharedMemory,
    bind(memory) {
      const arena = new Arena(memory);
      return new Kernels('reference', arena, referenceKernels(arena));
    },
  };
}
