// The vocabulary head of a masked-language model: the maximum over the tokens of each document, the exact value of
// chosen pairs, and the exact sparse backward step. T tokens, K hidden, N terms. Document d owns rows starts[d] ..
// starts[d + 1] - 1.
#pragma once
#include "../dense/gemm-f32.h"
#include "../dense/gemm-int8.h"
#include "head-amx.h"

// best[columns] is the largest value of each output of a tile so far, row[columns] the first row that has it.
INLINE void argmax_start(float *best, int32_t *row, int columns) {
  for (int c = 0; c < columns; c++) best[c] = -__builtin_inff(), row[c] = -1;
}
INLINE void argmax_offer(float *best, int32_t *row, float value, int32_t t) {
  *row = value > *best ? t : *row;
  *best = value > *best ? value : *best;
}

// The same for a whole tile, without rows.
INLINE void maximum_offer(float *best, const int32_t *acc, int rows, const float *x_scale, const float *x_minimum,
                          const float *w_sum) {
  for (int c = 0; c < INT8_TILE_COLUMNS; c += LANES) {
    vf most = vf_load(best + c), sum = vf_load(w_sum + c);
    for (int r = 0; r < rows; r++) {
      vf value = vf_mul(vf_from_int(vi_load(acc + r * INT8_TILE_COLUMNS + c)), vf_set(x_scale[r]));
      most = vf_max(most, vf_fma(sum, vf_set(x_minimum[r]), value));
    }
    vf_store(best + c, most);
  }
}

// Without rows where `track` is 0. A constant, so that the two loops are compiled apart.
INLINE void head_argmax_int8_rows(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *w,
                                  const float *w_scale, const float *w_sum, const float *bias, const int32_t *starts,
                                  float *out, int32_t *argmax_row, int32_t documents, int32_t stride, int32_t N,
                                  int32_t out_stride, int track) {
  int32_t acc[INT8_TILE_ROWS * INT8_TILE_COLUMNS];
  for (int32_t n = 0; n < N; n += INT8_TILE_COLUMNS) {
    int columns = N - n < INT8_TILE_COLUMNS ? N - n : INT8_TILE_COLUMNS;
    const int8_t *panel = w + (size_t)n * stride;
    for (int32_t d = 0; d < documents; d++) {
      float best[INT8_TILE_COLUMNS];
      int32_t row[INT8_TILE_COLUMNS];
      argmax_start(best, row, INT8_TILE_COLUMNS);
      for (int32_t t = starts[d]; t < starts[d + 1]; t += INT8_TILE_ROWS) {
        int rows = starts[d + 1] - t < INT8_TILE_ROWS ? starts[d + 1] - t : INT8_TILE_ROWS;
        const uint8_t *tile = x + (size_t)t * stride;
        TILE_INT8(tile, stride, rows, panel, (size_t)stride / 4, acc)
        if (!track) maximum_offer(best, acc, rows, x_scale + t, x_minimum + t, w_sum + n);
        for (int r = 0; track && r < rows; r++) {
          float scale = x_scale[t + r], minimum = x_minimum[t + r];
          for (int c = 0; c < INT8_TILE_COLUMNS; c++) {
            float value = scale * (float)acc[r * INT8_TILE_COLUMNS + c] + minimum * w_sum[n + c];
            argmax_offer(best + c, row + c, value, t + r);
          }
        }
      }
      size_t at = (size_t)d * out_stride + n;
      for (int c = 0; c < columns; c++) out[at + c] = best[c] * w_scale[n + c] + bias[n + c];
      if (track) memcpy(argmax_row + at, row, 4 * (size_t)columns);
    }
  }
}

// out[d * out_stride + n] = the maximum of the gemm_int8 value over the rows of document d, -infinity when it has none;
// argmax_row: the first row that reaches it, -1 when there is none; NULL = not wanted. out_stride >= N padded to 32.
// No T x N buffer exists (the idea of Cut Cross-Entropy, Wijmans et al., arXiv 2411.09009, for a maximum).
void KERNEL(head_argmax_int8)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *w,
                              const float *w_scale, const float *w_sum, const float *bias, const int32_t *starts,
                              float *out, int32_t *argmax_row, int32_t documents, int32_t stride, int32_t N,
                              int32_t out_stride) {
#if defined(VARIANT_AMX)
  int32_t first = starts[0], T = starts[documents] - first;
  if (amx_pays(T, stride)) {
    struct amx_dense dense = {w, stride};
    struct amx_maximum best = {x_scale + first, x_minimum + first, w_scale, w_sum, bias, starts, out, argmax_row,
                               (size_t)out_stride, documents, 0};
    const uint8_t *rows = x + (size_t)first * stride;
    if (argmax_row) amx_product(rows, T, stride, N, amx_dense_panels, &dense, NULL, amx_keep_argmax, &best);
    else amx_product(rows, T, stride, N, amx_dense_panels, &dense, NULL, amx_keep_maximum, &best);
    return;
  }
#endif
#define ROWS_OF_HEAD(track) \
  head_argmax_int8_rows(x, x_scale, x_minimum, w, w_scale, w_sum, bias, starts, out, argmax_row, documents, stride, N, \
                        out_stride, track)
  if (argmax_row) ROWS_OF_HEAD(1);
  else ROWS_OF_HEAD(0);
#undef ROWS_OF_HEAD
}

// The same in f32, with x [T][K] and w packed as gemm_f32 takes it; argmax_row is not NULL.
void KERNEL(head_argmax_f32)(const float *x, const float *w, const float *bias, const int32_t *starts, float *out,
                             int32_t *argmax_row, int32_t documents, int32_t K, int32_t N, int32_t out_stride) {
  float acc[F32_TILE_ROWS * F32_TILE_COLUMNS];
  for (int32_t n = 0; n < N; n += F32_TILE_COLUMNS) {
    int columns = N - n < F32_TILE_COLUMNS ? N - n : F32_TILE_COLUMNS;
    for (int32_t d = 0; d < documents; d++) {
      float best[F32_TILE_COLUMNS];
      int32_t row[F32_TILE_COLUMNS];
      argmax_start(best, row, F32_TILE_COLUMNS);
      for (int32_t t = starts[d]; t < starts[d + 1]; t += F32_TILE_ROWS) {
        int rows = starts[d + 1] - t < F32_TILE_ROWS ? starts[d + 1] - t : F32_TILE_ROWS;
        const float *tile = x + (size_t)t * K;
        WITH_ROWS(F32_TILE_ROWS, rows, tile_f32(tile, (size_t)K, ROWS, w, (size_t)K, (size_t)n, acc, F32_TILE_COLUMNS))
        for (int r = 0; r < rows; r++)
          for (int c = 0; c < F32_TILE_COLUMNS; c++)
            argmax_offer(best + c, row + c, acc[r * F32_TILE_COLUMNS + c], t + r);
      }
      size_t at = (size_t)d * out_stride + n;
      for (int c = 0; c < columns; c++) out[at + c] = best[c] + bias[n + c];
      memcpy(argmax_row + at, row, 4 * (size_t)columns);
    }
  }
}

// out[i] = x[rows[i]] . w[terms[i]] + bias[terms[i]] with f32 x [T][K] and packed int8 w: it is free of the
// quantisation of x, which is too coarse for the few terms that matter.
void KERNEL(score_pairs_int8)(const float *x, const int8_t *w, const float *w_scale, const float *bias,
                              const int32_t *rows, const int32_t *terms, float *out, int32_t pairs, int32_t K,
                              int32_t stride) {
  for (int32_t i = 0; i < pairs; i++) {
    size_t term = (size_t)terms[i];
    const int8_t *column = w + (term / 16) * 16 * (size_t)stride + (term % 16) * 4;
    const float *row = x + (size_t)rows[i] * K;
    vf sum[4] = {vf_set(0), vf_set(0), vf_set(0), vf_set(0)};
    for (int32_t k = 0; k < K; k += 4 * LANES) {
      int columns = K - k < 4 * LANES ? K - k : 4 * LANES;
      int8_t bytes[4 * LANES] = {0};
      for (int q = 0; q < (columns + 3) / 4; q++) memcpy(bytes + 4 * q, column + (k / 4 + q) * 64, 4);
      float weights[4 * LANES];
      for (int c = 0; c < 4 * LANES; c++) weights[c] = (float)bytes[c];
      for (int c = 0; c < 4 && c * LANES < columns; c++)
        sum[c] = vf_fma(vf_load_some(row + k + c * LANES, columns - c * LANES, 0), vf_load(weights + c * LANES), sum[c]);
    }
    out[i] = vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3]))) * w_scale[term] + bias[term];
  }
}

// Exact gradient of the head, for pairs (argmax row, term) with gradient g of the pair's logit:
//   dx[row] += g * w[term],  dw[term] += g * x[row]
// All f32 and row-major: x, dx [T][K]; w, dw [N][K]; dw NULL: w is frozen. Every other pair has gradient 0, so nothing is left out.
void KERNEL(head_backward)(const float *x, const float *w, const int32_t *rows, const int32_t *terms,
                           const float *gradients, float *dx, float *dw, int32_t pairs, int32_t K) {
  for (int32_t i = 0; i < pairs; i++) {
    const float *row = x + (size_t)rows[i] * K, *term = w + (size_t)terms[i] * K;
    float *d_row = dx + (size_t)rows[i] * K, *d_term = dw ? dw + (size_t)terms[i] * K : NULL;
    vf g = vf_set(gradients[i]);
    for (int32_t k = 0; k < K; k += LANES) {
      int left = K - k;
      vf_store_some(d_row + k, vf_fma(g, vf_load_some(term + k, left, 0), vf_load_some(d_row + k, left, 0)), left);
      if (d_term) vf_store_some(d_term + k, vf_fma(g, vf_load_some(row + k, left, 0), vf_load_some(d_term + k, left, 0)), left);
    }
  }
}
