// One translation unit a variant: every kernel family, then the table that ../module.c picks from.
#include "attention.h"
#include "gemm-f32.h"
#include "gemm-int8.h"
#include "gemv.h"
#include "head.h"
#include "rows.h"
#include "sparse-blocks.h"
#include "sparse-n16.h"
#ifndef __wasm__
#include "lexical-search.h"
#include "posting-search.h" // WebAssembly has it in a module of its own: wasm/search.c

#include "../kernels.h"
#define ENTRY(name) .name = JOIN(name, VARIANT)
const struct kernels JOIN(kernels, VARIANT) = {
    ENTRY(gemm_int8),     ENTRY(gemm_int8_exact), ENTRY(head_max_int8), ENTRY(quantize_rows),
    ENTRY(gelu_quantize), ENTRY(gelu),            ENTRY(embed),         ENTRY(layer_norm_quantize),
    ENTRY(collect_above), ENTRY(gemm_f32),        ENTRY(attention),     ENTRY(gemm_n16),
    ENTRY(gemm_block4),   ENTRY(gemm_block4_f32), ENTRY(head_backward), ENTRY(head_argmax_int8),
    ENTRY(head_argmax_f32), ENTRY(score_pairs_int8), ENTRY(gemv_thresholded),
    ENTRY(search_exact),  ENTRY(search_pruned),  ENTRY(search_lexical),
};
#endif
