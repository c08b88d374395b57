// int8 dense product and the fused vocabulary head. Shapes: T rows (tokens), K inputs, N outputs.
#pragma once
#include "finish.h"
#include "tile-int8.h"

// Rows of quantised activations: value = scale[t] * u7 + minimum[t]; `stride` = bytes a row, a multiple of 16 >= K.
// Weights: value = scale[n] * s8; sum[n] = sum over k of s8, as f32; panels padded to 32 outputs.
// out[t * out_stride + n] = w_scale[n] * (x_scale[t] * acc + x_min[t] * w_sum[n]) + bias[n]
void KERNEL(gemm_int8)(const uint8_t *x, const float *x_scale, const float *x_min, const int8_t *w, const float *w_scale,
                       const float *w_sum, const float *bias, float *out, int32_t T, int32_t stride, int32_t N,
                       int32_t out_stride) {
#if defined(VARIANT_AMX)
  if (amx_pays(T, stride)) {
    struct amx_dense dense = {w, stride};
    struct amx_rows rows = {x_scale, x_min, w_scale, w_sum, bias, out, (size_t)out_stride, N};
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
      WITH_ROWS(INT8_TILE_ROWS, rows, tile_int8(tile, stride, ROWS, panel, quads, acc))
      finish_tile(acc, rows, columns, INT8_TILE_COLUMNS, x_scale + t, x_min + t, w_scale + n, w_sum + n, bias + n,
                  out + (size_t)t * out_stride + n, out_stride);
    }
  }
}

#if defined(VARIANT_AMX)
struct amx_integers {
  int32_t *out, N;
};
INLINE void amx_keep_integers(void *to, const int32_t *acc, int32_t t, int rows, int32_t n) {
  const struct amx_integers *own = to;
  int columns = own->N - n < AMX_COLUMNS ? own->N - n : AMX_COLUMNS;
  for (int r = 0; r < rows; r++)
    memcpy(own->out + (size_t)(t + r) * own->N + n, acc + r * AMX_COLUMNS, 4 * (size_t)columns);
}

// Follows the rows of amx_product from document to document and keeps the best value of 32 outputs, and its row where
// `winners` is not NULL.
struct amx_maximum {
  const float *x_scale, *x_min, *w_scale, *w_sum, *bias;
  const int32_t *starts;
  float *out;
  int32_t *winners;
  size_t out_stride;
  int32_t documents, document;
  float best[AMX_COLUMNS];
  int32_t winner[AMX_COLUMNS];
};
struct amx_best {
  vf value[2];
  vi winner[2];
};
INLINE void amx_no_best(struct amx_best *best) {
  best->value[0] = best->value[1] = vf_set(-__builtin_inff());
  best->winner[0] = best->winner[1] = _mm512_set1_epi32(-1);
}
// Row t is the first that is not done: writes out the documents that end at or before it.
INLINE void amx_end_documents(struct amx_maximum *own, int32_t t, int32_t n, struct amx_best *best) {
  while (own->document < own->documents && own->starts[own->document + 1] - own->starts[0] <= t) {
    size_t at = (size_t)own->document * own->out_stride + n;
    for (int c = 0; c < 2; c++) {
      vf scale = vf_load(own->w_scale + n + 16 * c), bias = vf_load(own->bias + n + 16 * c);
      vf_store(own->out + at + 16 * c, vf_fma(best->value[c], scale, bias));
      if (own->winners) vi_store(own->winners + at + 16 * c, best->winner[c]);
    }
    amx_no_best(best);
    own->document++;
  }
}
INLINE void amx_keep_best(struct amx_maximum *own, const int32_t *acc, int32_t t, int rows, int32_t n, int track) {
  struct amx_best best;
  if (t == 0) {
    own->document = 0;
    amx_no_best(&best);
  } else {
    for (int c = 0; c < 2; c++) {
      best.value[c] = vf_load(own->best + 16 * c);
      best.winner[c] = vi_load(own->winner + 16 * c);
    }
  }
  vf sum[2] = {vf_load(own->w_sum + n), vf_load(own->w_sum + n + 16)};
  for (int r = 0; r < rows;) {
    amx_end_documents(own, t + r, n, &best);
    int32_t end = own->starts[own->document + 1] - own->starts[0] - t;
    if (end > rows) end = rows;
    for (; r < end; r++) {
      vf scale = vf_set(own->x_scale[t + r]), minimum = vf_set(own->x_min[t + r]);
      for (int c = 0; c < 2; c++) {
        vf value = vf_mul(vf_from_int(vi_load(acc + r * AMX_COLUMNS + 16 * c)), scale);
        value = vf_fma(sum[c], minimum, value);
        if (track) {
          __mmask16 better = _mm512_cmp_ps_mask(value, best.value[c], _CMP_GT_OQ);
          best.winner[c] = _mm512_mask_mov_epi32(best.winner[c], better, _mm512_set1_epi32(own->starts[0] + t + r));
        }
        best.value[c] = vf_max(best.value[c], value);
      }
    }
  }
  amx_end_documents(own, t + rows, n, &best);
  for (int c = 0; c < 2; c++) {
    vf_store(own->best + 16 * c, best.value[c]);
    vi_store(own->winner + 16 * c, best.winner[c]);
  }
}
INLINE void amx_keep_maximum(void *to, const int32_t *acc, int32_t t, int rows, int32_t n) {
  amx_keep_best(to, acc, t, rows, n, 0);
}
INLINE void amx_keep_winners(void *to, const int32_t *acc, int32_t t, int rows, int32_t n) {
  amx_keep_best(to, acc, t, rows, n, 1);
}
#endif

// The integer part alone: out[t * N + n] = sum over k of x[t][k] * w[n][k]. What tests compare bit for bit.
void KERNEL(gemm_int8_exact)(const uint8_t *x, const int8_t *w, int32_t *out, int32_t T, int32_t stride, int32_t N) {
#if defined(VARIANT_AMX)
  if (amx_pays(T, stride)) {
    struct amx_dense dense = {w, stride};
    struct amx_integers integers = {out, N};
    amx_product(x, T, stride, N, amx_dense_panels, &dense, NULL, amx_keep_integers, &integers);
    return;
  }
#endif
  int32_t acc[INT8_TILE_ROWS * INT8_TILE_COLUMNS];
  for (int32_t n = 0; n < N; n += INT8_TILE_COLUMNS) {
    int columns = N - n < INT8_TILE_COLUMNS ? N - n : INT8_TILE_COLUMNS;
    for (int32_t t = 0; t < T; t += INT8_TILE_ROWS) {
      int rows = T - t < INT8_TILE_ROWS ? T - t : INT8_TILE_ROWS;
      const uint8_t *tile = x + (size_t)t * stride;
      const int8_t *panel = w + (size_t)n * stride;
      WITH_ROWS(INT8_TILE_ROWS, rows, tile_int8(tile, stride, ROWS, panel, (size_t)stride / 4, acc))
      for (int r = 0; r < rows; r++)
        memcpy(out + (size_t)(t + r) * N + n, acc + r * INT8_TILE_COLUMNS, 4 * (size_t)columns);
    }
  }
}

// The vocabulary product fused with the running maximum: no T x N buffer exists.
// Document d owns rows starts[d] .. starts[d + 1] - 1; an empty document gets -infinity.
// out[d * out_stride + n] = max over its rows of the gemm_int8 value; out_stride >= N padded to 32.
void KERNEL(head_max_int8)(const uint8_t *x, const float *x_scale, const float *x_min, const int8_t *w,
                           const float *w_scale, const float *w_sum, const float *bias, const int32_t *starts,
                           float *out, int32_t documents, int32_t stride, int32_t N, int32_t out_stride) {
#if defined(VARIANT_AMX)
  int32_t first = starts[0], T = starts[documents] - first;
  if (amx_pays(T, stride)) {
    struct amx_dense dense = {w, stride};
    struct amx_maximum best = {x_scale + first, x_min + first, w_scale, w_sum, bias, starts, out, NULL,
                               (size_t)out_stride, documents};
    amx_product(x + (size_t)first * stride, T, stride, N, amx_dense_panels, &dense, NULL, amx_keep_maximum, &best);
    return;
  }
#endif
  int32_t acc[INT8_TILE_ROWS * INT8_TILE_COLUMNS];
  size_t quads = (size_t)stride / 4;
  for (int32_t n = 0; n < N; n += INT8_TILE_COLUMNS) {
    const int8_t *panel = w + (size_t)n * stride;
    for (int32_t d = 0; d < documents; d++) {
      vf best[INT8_TILE_COLUMNS / LANES];
      for (int c = 0; c < INT8_TILE_COLUMNS / LANES; c++) best[c] = vf_set(-__builtin_inff());
      for (int32_t t = starts[d]; t < starts[d + 1]; t += INT8_TILE_ROWS) {
        int rows = starts[d + 1] - t < INT8_TILE_ROWS ? starts[d + 1] - t : INT8_TILE_ROWS;
        const uint8_t *tile = x + (size_t)t * stride;
        WITH_ROWS(INT8_TILE_ROWS, rows, tile_int8(tile, stride, ROWS, panel, quads, acc))
        for (int r = 0; r < rows; r++) {
          vf scale = vf_set(x_scale[t + r]), minimum = vf_set(x_min[t + r]);
          for (int c = 0; c < INT8_TILE_COLUMNS / LANES; c++) {
            vf value = vf_mul(vf_from_int(vi_load(acc + r * INT8_TILE_COLUMNS + c * LANES)), scale);
            best[c] = vf_max(best[c], vf_fma(vf_load(w_sum + n + c * LANES), minimum, value));
          }
        }
      }
      for (int c = 0; c < INT8_TILE_COLUMNS / LANES; c++) {
        int at = n + c * LANES;
        vf_store(out + (size_t)d * out_stride + at, vf_fma(best[c], vf_load(w_scale + at), vf_load(bias + at)));
      }
    }
  }
}
