// The arena kernels: one function pointer each, filled once per instruction set (simd/all.c), called by module.c.
// A new kernel = KERNEL(name) in simd/, a field here, an entry in simd/all.c and module.c, a twin in ../reference/
// and a checked method in ../kernels.ts. Shapes and ranges are documented where the kernel is defined.
#pragma once
#include <stdint.h>

#include "posting-lists.h"

// Raised with every change of a kernel's parameters: the loader refuses a module that was built before it.
#define KERNELS_VERSION 3

struct kernels {
  void (*gemm_int8)(const uint8_t *x, const float *x_scale, const float *x_min, const int8_t *w, const float *w_scale,
                    const float *w_sum, const float *bias, float *out, int32_t T, int32_t stride, int32_t N,
                    int32_t out_stride);
  void (*gemm_int8_exact)(const uint8_t *x, const int8_t *w, int32_t *out, int32_t T, int32_t stride, int32_t N);
  void (*head_max_int8)(const uint8_t *x, const float *x_scale, const float *x_min, const int8_t *w,
                        const float *w_scale, const float *w_sum, const float *bias, const int32_t *starts, float *out,
                        int32_t documents, int32_t stride, int32_t N, int32_t out_stride);
  void (*quantize_rows)(const float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K,
                        int32_t stride, const float *share, const int32_t *splits);
  void (*gelu_quantize)(float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K, int32_t stride,
                        const float *share, const int32_t *splits);
  void (*gelu)(float *x, int32_t count);
  void (*layer_norm_quantize)(const float *x, const float *residual, const float *gamma, const float *beta,
                              float epsilon, float *out, uint8_t *quantized, float *scale, float *minimum, int32_t T,
                              int32_t K, int32_t stride, const float *share, const int32_t *splits);
  void (*embed)(const int32_t *ids, const int32_t *positions, const int32_t *types, const int8_t *words,
                const float *word_scale, const float *places, const float *kinds, float *out, int32_t T, int32_t K,
                int32_t stride);
  int32_t (*collect_above)(const float *values, float threshold, int32_t *indexes, float *kept, int32_t N);
  void (*gemm_f32)(const float *x, const float *w, const float *bias, float *out, int32_t T, int32_t K, int32_t N);
  void (*attention)(const float *qkv, const int32_t *starts, float *out, float *scratch, int32_t sequences,
                    int32_t heads, int32_t size);
  void (*gemm_n16)(const uint8_t *x, const float *x_scale, const float *x_min, const uint8_t *w, const float *w_scale,
                   const float *w_sum, const float *bias, float *out, int32_t T, int32_t stride, int32_t N,
                   int32_t passes, int32_t out_stride);
  void (*gemm_block4)(const uint8_t *x, const float *x_scale, const float *x_min, const int8_t *blocks,
                      const uint16_t *inputs, const int32_t *counts, const float *w_scale, const float *w_sum,
                      const float *bias, float *out, uint8_t *scratch, int32_t T, int32_t stride, int32_t N,
                      int32_t out_stride);
  void (*gemm_block4_f32)(const float *x, const float *blocks, const uint16_t *inputs, const int32_t *counts,
                          const float *bias, float *out, float *scratch, int32_t T, int32_t K, int32_t N);
  void (*head_argmax_int8)(const uint8_t *x, const float *x_scale, const float *x_min, const int8_t *w,
                           const float *w_scale, const float *w_sum, const float *bias, const int32_t *starts,
                           float *out, int32_t *winners, int32_t documents, int32_t stride, int32_t N,
                           int32_t out_stride);
  void (*head_argmax_f32)(const float *x, const float *w, const float *bias, const int32_t *starts, float *out,
                          int32_t *winners, int32_t documents, int32_t K, int32_t N, int32_t out_stride);
  void (*score_pairs_int8)(const float *x, const int8_t *w, const float *w_scale, const float *bias,
                           const int32_t *rows, const int32_t *terms, float *out, int32_t pairs, int32_t K,
                           int32_t stride);
  void (*head_backward)(const float *x, const float *w, const int32_t *rows, const int32_t *terms,
                        const float *gradients, float *dx, float *dw, int32_t pairs, int32_t K);
  int32_t (*gemv_thresholded)(const float *x, const float *norms, float threshold, const float *w, const float *bias,
                              float *out, int32_t *kept, int32_t K, int32_t N);
  uint32_t (*search_exact)(const struct posting_lists *lists, const uint32_t *query, const uint32_t *weights, uint32_t n,
                           uint32_t *cursors, uint32_t *scores, const uint8_t *accept, const uint32_t *ranks,
                           struct hit *heap, uint32_t k, uint32_t threshold);
  uint32_t (*search_pruned)(const struct posting_lists *lists, const struct block_maxima *maxima, const uint32_t *query,
                            const uint32_t *weights, uint32_t n, struct cursor *cursors, uint32_t *bounds, uint64_t *order,
                            uint32_t *scores, const uint8_t *accept, const uint32_t *ranks, struct hit *heap, uint32_t k,
                            uint32_t threshold, struct pruning *pruning);
  uint32_t (*search_lexical)(const struct posting_lists *lists, const uint32_t *query, const double *idf, uint32_t n,
                             const double *norms, uint32_t *cursors, double *scores, const uint8_t *accept,
                             const uint32_t *ranks, struct lexical_hit *heap, uint32_t k, double threshold);
};

// The table of the instruction set that module.c chose.
const struct kernels *kernels_in_use(void);
