// Generated from kernels/table.ts by `npm run generate:kernels`. Do not edit.
#pragma once
#include "../search/search-kernels.h"

// Identifies the table that a module was built from; the loader rejects any other.
#define KERNEL_ABI 0xc084fb07u
#define KERNEL_ABI_EXPORT "abi_c084fb07"

// The kernels of one instruction set. They are documented where they are defined.
struct kernels {
  void (*gemm_int8)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *w,
                    const float *w_scale, const float *w_sum, const float *bias, float *out, int32_t T, int32_t stride,
                    int32_t N, int32_t out_stride);
  void (*gemm_f32)(const float *x, const float *w, const float *bias, float *out, int32_t T, int32_t K, int32_t N);
  void (*quantize_rows)(const float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K,
                        int32_t stride, const float *share, const int32_t *splits);
  void (*gelu_quantize)(float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K, int32_t stride,
                        const float *share, const int32_t *splits);
  void (*gelu)(const float *x, float *out, int32_t count);
  void (*layer_norm_quantize)(const float *x, const float *residual, const float *gamma, const float *beta,
                              float epsilon, float *out, uint8_t *quantized, float *scale, float *minimum, int32_t T,
                              int32_t K, int32_t stride, const float *share, const int32_t *splits);
  void (*embed)(const int32_t *ids, const int32_t *positions, const int32_t *types, const int8_t *words,
                const float *word_scale, const float *position_rows, const float *type_rows, float *out, int32_t T,
                int32_t K, int32_t stride);
  int32_t (*collect_above)(const float *values, float threshold, int32_t *indexes, float *kept, int32_t N);
  void (*attention)(const float *qkv, const int32_t *starts, float *out, float *scratch, int32_t sequences,
                    int32_t queries, int32_t heads, int32_t size);
  void (*attention_int16)(const float *qkv, const int32_t *starts, float *out, float *scratch, int32_t sequences,
                          int32_t queries, int32_t heads, int32_t size);
  void (*gemm_n16)(const uint8_t *x, const float *x_scale, const float *x_minimum, const uint8_t *w,
                   const float *w_scale, const float *w_sum, const float *bias, float *out, int32_t T, int32_t stride,
                   int32_t N, int32_t passes, int32_t out_stride);
  void (*gemm_block4)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *blocks,
                      const uint16_t *inputs, const int32_t *counts, const float *w_scale, const float *w_sum,
                      const float *bias, float *out, uint8_t *scratch, int32_t T, int32_t stride, int32_t N,
                      int32_t out_stride);
  int32_t (*gemv_thresholded)(const float *x, const float *norms, float threshold, const float *w, const float *bias,
                              float *out, int32_t *kept, int32_t K, int32_t N);
  void (*head_argmax_int8)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *w,
                           const float *w_scale, const float *w_sum, const float *bias, const int32_t *starts,
                           float *out, int32_t *argmax_row, int32_t documents, int32_t stride, int32_t N,
                           int32_t out_stride);
  void (*head_argmax_f32)(const float *x, const float *w, const float *bias, const int32_t *starts, float *out,
                          int32_t *argmax_row, int32_t documents, int32_t K, int32_t N, int32_t out_stride);
  void (*score_pairs_int8)(const float *x, const int8_t *w, const float *w_scale, const float *bias,
                           const int32_t *rows, const int32_t *terms, float *out, int32_t pairs, int32_t K,
                           int32_t stride);
  void (*head_backward)(const float *x, const float *w, const int32_t *rows, const int32_t *terms,
                        const float *gradients, float *dx, float *dw, int32_t pairs, int32_t K);
  void (*gemm_strided)(const float *a, const float *b, const float *bias, float *c, float *scratch, int32_t M,
                       int32_t N, int32_t K, int32_t a_row, int32_t a_column, int32_t b_row, int32_t b_column,
                       int32_t c_row, int32_t accumulate);
  void (*layer_norm_forward)(const float *x, const float *residual, const float *gamma, const float *beta,
                             float epsilon, float *normal, float *inverse, float *out, int32_t T, int32_t K);
  void (*layer_norm_backward)(const float *d_out, const float *normal, const float *inverse, const float *gamma,
                              float *dx, int32_t T, int32_t K);
  void (*gelu_backward)(const float *x, const float *d_out, float *dx, int32_t count);
  void (*attention_backward)(const float *qkv, const int32_t *starts, const float *d_out, float *d_qkv, float *scratch,
                             int32_t sequences, int32_t heads, int32_t size);
  void (*column_sums)(const float *x, const float *other, float *out, int32_t T, int32_t K, int32_t stride);
  void (*sum_squares)(const float *x, float *out, int32_t count);
  void (*adamw)(float *w, const float *g, float *first, float *second, int32_t rows, int32_t K, int32_t stride,
                float clip, float rate, float decay, float beta1, float beta2, float root_correction, float epsilon);
  search_exact_kernel *search_exact;
  search_pruned_kernel *search_pruned;
  search_lexical_kernel *search_lexical;
};

// The kernels of the instruction set that native/module.c chose.
const struct kernels *kernels_in_use(void);

#define ARENA_KERNELS(_) \
  _(gemm_int8) \
  _(gemm_f32) \
  _(quantize_rows) \
  _(gelu_quantize) \
  _(gelu) \
  _(layer_norm_quantize) \
  _(embed) \
  _(collect_above) \
  _(attention) \
  _(attention_int16) \
  _(gemm_n16) \
  _(gemm_block4) \
  _(gemv_thresholded) \
  _(head_argmax_int8) \
  _(head_argmax_f32) \
  _(score_pairs_int8) \
  _(head_backward) \
  _(gemm_strided) \
  _(layer_norm_forward) \
  _(layer_norm_backward) \
  _(gelu_backward) \
  _(attention_backward) \
  _(column_sums) \
  _(sum_squares) \
  _(adamw)
#define SEARCH_KERNELS(_) _(search_exact) _(search_pruned) _(search_lexical)

// A definition that differs from the table does not compile.
#ifdef KERNEL
void KERNEL(gemm_int8)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *w,
                       const float *w_scale, const float *w_sum, const float *bias, float *out, int32_t T,
                       int32_t stride, int32_t N, int32_t out_stride);
void KERNEL(gemm_f32)(const float *x, const float *w, const float *bias, float *out, int32_t T, int32_t K, int32_t N);
void KERNEL(quantize_rows)(const float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K,
                           int32_t stride, const float *share, const int32_t *splits);
void KERNEL(gelu_quantize)(float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K, int32_t stride,
                           const float *share, const int32_t *splits);
void KERNEL(gelu)(const float *x, float *out, int32_t count);
void KERNEL(layer_norm_quantize)(const float *x, const float *residual, const float *gamma, const float *beta,
                                 float epsilon, float *out, uint8_t *quantized, float *scale, float *minimum,
                                 int32_t T, int32_t K, int32_t stride, const float *share, const int32_t *splits);
void KERNEL(embed)(const int32_t *ids, const int32_t *positions, const int32_t *types, const int8_t *words,
                   const float *word_scale, const float *position_rows, const float *type_rows, float *out, int32_t T,
                   int32_t K, int32_t stride);
int32_t KERNEL(collect_above)(const float *values, float threshold, int32_t *indexes, float *kept, int32_t N);
void KERNEL(attention)(const float *qkv, const int32_t *starts, float *out, float *scratch, int32_t sequences,
                       int32_t queries, int32_t heads, int32_t size);
void KERNEL(attention_int16)(const float *qkv, const int32_t *starts, float *out, float *scratch, int32_t sequences,
                             int32_t queries, int32_t heads, int32_t size);
void KERNEL(gemm_n16)(const uint8_t *x, const float *x_scale, const float *x_minimum, const uint8_t *w,
                      const float *w_scale, const float *w_sum, const float *bias, float *out, int32_t T,
                      int32_t stride, int32_t N, int32_t passes, int32_t out_stride);
void KERNEL(gemm_block4)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *blocks,
                         const uint16_t *inputs, const int32_t *counts, const float *w_scale, const float *w_sum,
                         const float *bias, float *out, uint8_t *scratch, int32_t T, int32_t stride, int32_t N,
                         int32_t out_stride);
int32_t KERNEL(gemv_thresholded)(const float *x, const float *norms, float threshold, const float *w,
                                 const float *bias, float *out, int32_t *kept, int32_t K, int32_t N);
void KERNEL(head_argmax_int8)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *w,
                              const float *w_scale, const float *w_sum, const float *bias, const int32_t *starts,
                              float *out, int32_t *argmax_row, int32_t documents, int32_t stride, int32_t N,
                              int32_t out_stride);
void KERNEL(head_argmax_f32)(const float *x, const float *w, const float *bias, const int32_t *starts, float *out,
                             int32_t *argmax_row, int32_t documents, int32_t K, int32_t N, int32_t out_stride);
void KERNEL(score_pairs_int8)(const float *x, const int8_t *w, const float *w_scale, const float *bias,
                              const int32_t *rows, const int32_t *terms, float *out, int32_t pairs, int32_t K,
                              int32_t stride);
void KERNEL(head_backward)(const float *x, const float *w, const int32_t *rows, const int32_t *terms,
                           const float *gradients, float *dx, float *dw, int32_t pairs, int32_t K);
void KERNEL(gemm_strided)(const float *a, const float *b, const float *bias, float *c, float *scratch, int32_t M,
                          int32_t N, int32_t K, int32_t a_row, int32_t a_column, int32_t b_row, int32_t b_column,
                          int32_t c_row, int32_t accumulate);
void KERNEL(layer_norm_forward)(const float *x, const float *residual, const float *gamma, const float *beta,
                                float epsilon, float *normal, float *inverse, float *out, int32_t T, int32_t K);
void KERNEL(layer_norm_backward)(const float *d_out, const float *normal, const float *inverse, const float *gamma,
                                 float *dx, int32_t T, int32_t K);
void KERNEL(gelu_backward)(const float *x, const float *d_out, float *dx, int32_t count);
void KERNEL(attention_backward)(const float *qkv, const int32_t *starts, const float *d_out, float *d_qkv,
                                float *scratch, int32_t sequences, int32_t heads, int32_t size);
void KERNEL(column_sums)(const float *x, const float *other, float *out, int32_t T, int32_t K, int32_t stride);
void KERNEL(sum_squares)(const float *x, float *out, int32_t count);
void KERNEL(adamw)(float *w, const float *g, float *first, float *second, int32_t rows, int32_t K, int32_t stride,
                   float clip, float rate, float decay, float beta1, float beta2, float root_correction,
                   float epsilon);
#endif
