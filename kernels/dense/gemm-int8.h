// int8 dense product. T rows (tokens), K inputs, N outputs.
#pragma once
#include "finish.h"
#include "tile-int8.h"

// Rows of quantised activations: value = scale[t] * u7 + minimum[t]; `stride` = bytes per row, a multiple of 16 >= K.
// Weights: value = scale[n] * s8; sum[n] = sum over k of s8, as f32; panels padded to 32 outputs.
// out[t * out_stride + n] = w_scale[n] * (x_scale[t] * acc + x_minimum[t] * w_sum[n]) + bias[n]
void KERNEL(gemm_int8)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *w,
                       const float *w_scale, const float *w_sum, const float *bias, float *out, int32_t T,
                       int32_t stride, int32_t N, int32_t out_stride) {
#if defined(VARIANT_AMX)
  if (amx_pays(T, stride)) {
    struct amx_dense dense = {w, stride};
    struct amx_rows rows = {x_scale, x_minimum, w_scale, w_sum, bias, out, (size_t)out_stride, N};
    amx_product(x, T, stride, N, amx_dense_panels, &dense, NULL, amx_finish, &rows);
    return;
  }
#endif
  int32_t acc[INT8_TILE_ROWS * INT8_TILE_COLUMNS];
  size_t quads = (size_t)stride / 4;
  for (int32_t n = 0; n < N; n += INT8_TILE_COLUMNS) {
    const int8_t *panel = w + (size_t)n * stride;
    int columns = N - n < INT8_TILE_COLUMNS ? N - n : INT8_TILE_COLUMNS;
    for (int32_t t = 0; t < T; t += INT8_TILE_ROWS) {
      int rows = T - t < INT8_TILE_ROWS ? T - t : INT8_TILE_ROWS;
      const uint8_t *tile = x + (size_t)t * stride;
      TILE_INT8(tile, stride, rows, panel, quads, acc)
      finish_tile(acc, rows, columns, INT8_TILE_COLUMNS, x_scale + t, x_minimum + t, w_scale + n, w_sum + n, bias + n,
                  out + (size_t)t * out_stride + n, out_stride);
    }
  }
}
