// The last step of every int8 product: i32 accumulators become f32 rows.
#pragma once
#include "vec.h"

// out[r][c] = w_scale[c] * (x_scale[r] * acc[r][c] + x_min[r] * w_sum[c]) + bias[c] for c < columns.
// Scales, sums and bias are padded with the panels, so whole vectors of them may be read.
INLINE void finish_tile(const int32_t *acc, int rows, int columns, int acc_stride, const float *x_scale,
                        const float *x_min, const float *w_scale, const float *w_sum, const float *bias, float *out,
                        size_t out_stride) {
  for (int r = 0; r < rows; r++) {
    vf scale = vf_set(x_scale[r]), minimum = vf_set(x_min[r]);
    for (int c = 0; c < columns; c += LANES) {
      vf value = vf_mul(vf_from_int(vi_load(acc + r * acc_stride + c)), scale);
      value = vf_fma(vf_load(w_sum + c), minimum, value);
      vf_store_some(out + r * out_stride + c, vf_fma(value, vf_load(w_scale + c), vf_load(bias + c)), columns - c);
    }
  }
}

// to[4][4] = from[4][4] transposed, 32-bit elements, strides in elements.
INLINE void transpose_4x4(const int32_t *from, size_t from_stride, int32_t *to, size_t to_stride) {
#if defined(__SSE2__)
  __m128 a = _mm_loadu_ps((const float *)from), b = _mm_loadu_ps((const float *)(from + from_stride));
  __m128 c = _mm_loadu_ps((const float *)(from + 2 * from_stride)), d = _mm_loadu_ps((const float *)(from + 3 * from_stride));
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps((float *)to, a);
  _mm_storeu_ps((float *)(to + to_stride), b);
  _mm_storeu_ps((float *)(to + 2 * to_stride), c);
  _mm_storeu_ps((float *)(to + 3 * to_stride), d);
#else
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) to[j * to_stride + i] = from[i * from_stride + j];
#endif
}
