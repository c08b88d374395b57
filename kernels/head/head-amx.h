// The maximum over the tokens of each document on AMX tiles.
#pragma once
#include "../dense/finish.h"

#if defined(VARIANT_AMX)
// Follows the rows of amx_product from document to document and keeps the best value of 32 outputs, and its row where
// `argmax_row` is not NULL.
struct amx_maximum {
  const float *x_scale, *x_minimum, *w_scale, *w_sum, *bias;
  const int32_t *starts;
  float *out;
  int32_t *argmax_row;
  size_t out_stride;
  int32_t documents, document;
  float best[AMX_COLUMNS];
  int32_t row[AMX_COLUMNS];
};
struct amx_best {
  vf value[2];
  vi row[2];
};
INLINE void amx_no_best(struct amx_best *best) {
  best->value[0] = best->value[1] = vf_set(-__builtin_inff());
  best->row[0] = best->row[1] = _mm512_set1_epi32(-1);
}
// Row t is the first that is not done. Writes the documents that end at or before it.
INLINE void amx_end_documents(struct amx_maximum *own, int32_t t, int32_t n, struct amx_best *best) {
  while (own->document < own->documents && own->starts[own->document + 1] - own->starts[0] <= t) {
    size_t at = (size_t)own->document * own->out_stride + n;
    for (int c = 0; c < 2; c++) {
      vf scale = vf_load(own->w_scale + n + 16 * c), bias = vf_load(own->bias + n + 16 * c);
      vf_store(own->out + at + 16 * c, vf_fma(best->value[c], scale, bias));
      if (own->argmax_row) vi_store(own->argmax_row + at + 16 * c, best->row[c]);
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
      best.row[c] = vi_load(own->row + 16 * c);
    }
  }
  vf sum[2] = {vf_load(own->w_sum + n), vf_load(own->w_sum + n + 16)};
  for (int r = 0; r < rows;) {
    amx_end_documents(own, t + r, n, &best);
    int32_t end = own->starts[own->document + 1] - own->starts[0] - t;
    if (end > rows) end = rows;
    for (; r < end; r++) {
      vf scale = vf_set(own->x_scale[t + r]), minimum = vf_set(own->x_minimum[t + r]);
      for (int c = 0; c < 2; c++) {
        vf value = vf_mul(vf_from_int(vi_load(acc + r * AMX_COLUMNS + 16 * c)), scale);
        value = vf_fma(sum[c], minimum, value);
        if (track) {
          __mmask16 better = _mm512_cmp_ps_mask(value, best.value[c], _CMP_GT_OQ);
          best.row[c] = _mm512_mask_mov_epi32(best.row[c], better, _mm512_set1_epi32(own->starts[0] + t + r));
        }
        best.value[c] = vf_max(best.value[c], value);
      }
    }
  }
  amx_end_documents(own, t + rows, n, &best);
  for (int c = 0; c < 2; c++) {
    vf_store(own->best + 16 * c, best.value[c]);
    vi_store(own->row + 16 * c, best.row[c]);
  }
}
INLINE void amx_keep_maximum(void *to, const int32_t *acc, int32_t t, int rows, int32_t n) {
  amx_keep_best(to, acc, t, rows, n, 0);
}
INLINE void amx_keep_argmax(void *to, const int32_t *acc, int32_t t, int rows, int32_t n) {
  amx_keep_best(to, acc, t, rows, n, 1);
}
#endif
