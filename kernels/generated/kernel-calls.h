// Generated from kernels/table.ts by `npm run generate:kernels`. Do not edit.
#pragma once
#include "kernels.h"

// Parameter i of a call, from an array `a` of numbers: an offset into the arena `m` (0 = NULL), an integer, a
// float.
#define P(i) (a[i] == 0 ? NULL : (void *)(m + (size_t)a[i]))
#define I(i) ((int32_t)a[i])
#define F(i) ((float)a[i])

static double call_gemm_int8(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gemm_int8(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), I(8), I(9), I(10), I(11));
  return 0;
}
static double call_gemm_f32(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gemm_f32(P(0), P(1), P(2), P(3), I(4), I(5), I(6));
  return 0;
}
static double call_quantize_rows(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->quantize_rows(P(0), P(1), P(2), P(3), I(4), I(5), I(6), P(7), P(8));
  return 0;
}
static double call_gelu_quantize(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gelu_quantize(P(0), P(1), P(2), P(3), I(4), I(5), I(6), P(7), P(8));
  return 0;
}
static double call_gelu(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gelu(P(0), P(1), I(2));
  return 0;
}
static double call_layer_norm_quantize(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->layer_norm_quantize(P(0), P(1), P(2), P(3), F(4), P(5), P(6), P(7), P(8), I(9), I(10), I(11), P(12), P(13));
  return 0;
}
static double call_embed(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->embed(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), I(8), I(9), I(10));
  return 0;
}
static double call_collect_above(const struct kernels *kernels, uint8_t *m, const double *a) {
  return kernels->collect_above(P(0), F(1), P(2), P(3), I(4));
}
static double call_attention(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->attention(P(0), P(1), P(2), P(3), I(4), I(5), I(6), I(7));
  return 0;
}
static double call_attention_int16(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->attention_int16(P(0), P(1), P(2), P(3), I(4), I(5), I(6), I(7));
  return 0;
}
static double call_gemm_n16(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gemm_n16(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), I(8), I(9), I(10), I(11), I(12));
  return 0;
}
static double call_gemm_block4(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gemm_block4(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), P(8), P(9), P(10), I(11), I(12), I(13), I(14));
  return 0;
}
static double call_gemv_thresholded(const struct kernels *kernels, uint8_t *m, const double *a) {
  return kernels->gemv_thresholded(P(0), P(1), F(2), P(3), P(4), P(5), P(6), I(7), I(8));
}
static double call_head_argmax_int8(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->head_argmax_int8(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), P(8), P(9), I(10), I(11), I(12), I(13));
  return 0;
}
static double call_head_argmax_f32(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->head_argmax_f32(P(0), P(1), P(2), P(3), P(4), P(5), I(6), I(7), I(8), I(9));
  return 0;
}
static double call_score_pairs_int8(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->score_pairs_int8(P(0), P(1), P(2), P(3), P(4), P(5), P(6), I(7), I(8), I(9));
  return 0;
}
static double call_head_backward(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->head_backward(P(0), P(1), P(2), P(3), P(4), P(5), P(6), I(7), I(8));
  return 0;
}
static double call_gemm_strided(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gemm_strided(P(0), P(1), P(2), P(3), P(4), I(5), I(6), I(7), I(8), I(9), I(10), I(11), I(12), I(13));
  return 0;
}
static double call_layer_norm_forward(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->layer_norm_forward(P(0), P(1), P(2), P(3), F(4), P(5), P(6), P(7), I(8), I(9));
  return 0;
}
static double call_layer_norm_backward(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->layer_norm_backward(P(0), P(1), P(2), P(3), P(4), I(5), I(6));
  return 0;
}
static double call_gelu_backward(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->gelu_backward(P(0), P(1), P(2), I(3));
  return 0;
}
static double call_attention_backward(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->attention_backward(P(0), P(1), P(2), P(3), P(4), I(5), I(6), I(7));
  return 0;
}
static double call_column_sums(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->column_sums(P(0), P(1), P(2), I(3), I(4), I(5));
  return 0;
}
static double call_sum_squares(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->sum_squares(P(0), P(1), I(2));
  return 0;
}
static double call_adamw(const struct kernels *kernels, uint8_t *m, const double *a) {
  kernels->adamw(P(0), P(1), P(2), P(3), I(4), I(5), I(6), F(7), F(8), F(9), F(10), F(11), F(12), F(13));
  return 0;
}

#undef P
#undef I
#undef F

struct arena_function {
  const char *name;
  int parameters;
  double (*call)(const struct kernels *kernels, uint8_t *m, const double *a);
};
enum { MAX_PARAMETERS = 15 };
static const struct arena_function ARENA_FUNCTIONS[] = {
    {"gemm_int8", 12, call_gemm_int8},
    {"gemm_f32", 7, call_gemm_f32},
    {"quantize_rows", 9, call_quantize_rows},
    {"gelu_quantize", 9, call_gelu_quantize},
    {"gelu", 3, call_gelu},
    {"layer_norm_quantize", 14, call_layer_norm_quantize},
    {"embed", 11, call_embed},
    {"collect_above", 5, call_collect_above},
    {"attention", 8, call_attention},
    {"attention_int16", 8, call_attention_int16},
    {"gemm_n16", 13, call_gemm_n16},
    {"gemm_block4", 15, call_gemm_block4},
    {"gemv_thresholded", 9, call_gemv_thresholded},
    {"head_argmax_int8", 14, call_head_argmax_int8},
    {"head_argmax_f32", 10, call_head_argmax_f32},
    {"score_pairs_int8", 10, call_score_pairs_int8},
    {"head_backward", 9, call_head_backward},
    {"gemm_strided", 14, call_gemm_strided},
    {"layer_norm_forward", 10, call_layer_norm_forward},
    {"layer_norm_backward", 7, call_layer_norm_backward},
    {"gelu_backward", 4, call_gelu_backward},
    {"attention_backward", 8, call_attention_backward},
    {"column_sums", 6, call_column_sums},
    {"sum_squares", 3, call_sum_squares},
    {"adamw", 14, call_adamw},
};
