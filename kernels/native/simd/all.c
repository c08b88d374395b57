// One translation unit per variant: every kernel family, then the table that ../module.c picks from.
#include "vec.h"
#include "../../generated/kernels.h"

#include "../../attention/attention.h"
#include "../../dense/gemm-f32.h"
#include "../../dense/gemm-int8.h"
#include "../../head/head.h"
#include "../../rows/rows.h"
#include "../../sparse/gemm-blocks.h"
#include "../../sparse/gemm-n16.h"
#include "../../sparse/gemv.h"
#include "../../training/training.h"
#ifdef __wasm__
// The search kernels are a module of their own: wasm/search.c.
__attribute__((export_name(KERNEL_ABI_EXPORT))) void kernel_abi(void) {}
#else
#include "../../search/block-max-search.h"
#include "../../search/exact-search.h"
#include "../../search/lexical-search.h"

#define ENTRY(name) .name = JOIN(name, VARIANT),
const struct kernels JOIN(kernels, VARIANT) = {ARENA_KERNELS(ENTRY) SEARCH_KERNELS(ENTRY)};
#endif
