// The last step of every int8 product: i32 accumulators become f32 rows.
#pragma once
#include "tile-amx.h"

// out[r][c] = w_scale[c] * (x_scale[r] * acc[r][c] + x_minimum[r] * w_sum[c]) + bias[c] for c < columns.
// Scales, sums and bias are padded with the panels, so whole vectors of them may be read.
INLINE void finish_tile(const int32_t *acc, int rows, int columns, int acc_stride, const float *x_scale,
                        const float *x_minimum, const float *w_scale, const float *w_sum, const float *bias, float *out,
                        size_t out_stride) {
  for (int r = 0; r < rows; r++) {
    vf scale = vf_set(x_scale[r]), minimum = vf_set(x_minimum[r]);
    for (int c = 0; c < columns; c += LANES) {
      vf value = vf_mul(vf_from_int(vi_load(acc + r * acc_stride + c)), scale);
      value = vf_fma(vf_load(w_sum + c), minimum, value);
      vf_store_some(out + r * out_stride + c, vf_fma(value, vf_load(w_scale + c), vf_load(bias + c)), columns - c);
    }
  }
}

#if defined(VARIANT_AMX)
// Where amx_product leaves f32 rows: the parameters of finish_tile for a whole matrix, out[T][out_stride] of N outputs.
struct amx_rows {
  const float *x_scale, *x_minimum, *w_scale, *w_sum, *bias;
  float *out;
  size_t out_stride;
  int32_t N;
};

// finish_tile with the scales of 32 outputs held in registers over the rows.
INLINE void amx_finish(void *to, const int32_t *acc, int32_t t, int rows, int32_t n) {
  const struct amx_rows *own = to;
  int left = own->N - n;
  __mmask16 low = left >= 16 ? 0xffff : (__mmask16)((1 << left) - 1);
  __mmask16 high = left >= 32 ? 0xffff : left > 16 ? (__mmask16)((1 << (left - 16)) - 1) : 0;
  vf sum0 = vf_load(own->w_sum + n), sum1 = vf_load(own->w_sum + n + 16);
  vf scale0 = vf_load(own->w_scale + n), scale1 = vf_load(own->w_scale + n + 16);
  vf bias0 = vf_load(own->bias + n), bias1 = vf_load(own->bias + n + 16);
  float *out = own->out + (size_t)t * own->out_stride + n;
  for (int r = 0; r < rows; r++, out += own->out_stride) {
    vf scale = vf_set(own->x_scale[t + r]), minimum = vf_set(own->x_minimum[t + r]);
    vf value0 = vf_mul(vf_from_int(vi_load(acc + r * AMX_COLUMNS)), scale);
    vf value1 = vf_mul(vf_from_int(vi_load(acc + r * AMX_COLUMNS + 16)), scale);
    value0 = vf_fma(vf_fma(sum0, minimum, value0), scale0, bias0);
    value1 = vf_fma(vf_fma(sum1, minimum, value1), scale1, bias1);
    _mm512_mask_storeu_ps(out, low, value0);
    _mm512_mask_storeu_ps(out + 16, high, value1);
  }
}
#endif

// to[4][4] = from[4][4] transposed, 32-bit elements, strides in elements.
INLINE void transpose_4x4(const int32_t *from, size_t from_stride, int32_t *to, size_t to_stride) {
#if defined(__SSE2__)
  __m128 a = _mm_loadu_ps((const float *)from), b = _mm_loadu_ps((const float *)(from + from_stride));
  __m128 c = _mm_loadu_ps((const float *)(from + 2 * from_stride));
  __m128 d = _mm_loadu_ps((const float *)(from + 3 * from_stride));
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
