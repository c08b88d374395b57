import type { Arena } from '../arena.ts';
import type { RawKernels } from '../raw.ts';
import { attention } from './attention.ts';
import { gemvThresholded } from './gemv.ts';
import { headArgmaxF32, headArgmaxInt8, headBackward, headMaxInt8, scorePairsInt8 } from './head.ts';
import { embed, gemmF32, gemmInt8, gemmInt8Exact } from './products.ts';
import { collectAbove, gelu, geluQuantize, layerNormQuantize, quantizeRows } from './rows.ts';
import { gemmBlock4, gemmBlock4F32, gemmN16 } from './sparse.ts';

/**
 * The specification of the kernels in plain TypeScript: the oracle of the tests and the last fallback.
 * Integers are exact; f32 steps are computed in double and stored as f32, so they are the better value.
 */
export function referenceKernels(arena: Arena): RawKernels {
  return {
    gemm_int8: (...call) => gemmInt8(arena, ...call),
    gemm_int8_exact: (...call) => gemmInt8Exact(arena, ...call),
    head_max_int8: (...call) => headMaxInt8(arena, ...call),
    quantize_rows: (...call) => quantizeRows(arena, ...call),
    gelu_quantize: (...call) => geluQuantize(arena, ...call),
    gelu: (...call) => gelu(arena, ...call),
    layer_norm_quantize: (...call) => layerNormQuantize(arena, ...call),
    embed: (...call) => embed(arena, ...call),
    collect_above: (...call) => collectAbove(arena, ...call),
    gemm_f32: (...call) => gemmF32(arena, ...call),
    attention: (...call) => attention(arena, ...call),
    gemm_n16: (...call) => gemmN16(arena, ...call),
    gemm_block4: (...call) => gemmBlock4(arena, ...call),
    gemm_block4_f32: (...call) => gemmBlock4F32(arena, ...call),
    head_argmax_int8: (...call) => headArgmaxInt8(arena, ...call),
    head_argmax_f32: (...call) => headArgmaxF32(arena, ...call),
    score_pairs_int8: (...call) => scorePairsInt8(arena, ...call),
    head_backward: (...call) => headBackward(arena, ...call),
    gemv_thresholded: (...call) => gemvThresholded(arena, ...call),
  };
}
