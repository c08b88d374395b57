// Row-wise steps between the products: embedding sum, LayerNorm, GELU, each fused with the u7 quantisation that the next
// int8 product needs. T rows, K columns; `stride` = bytes of a quantised row, a multiple of 16 >= K, padded with 0.
#pragma once
#include "vec.h"

// u7 = round_half_even((x - low) * (127 / (high - low))), so x is about scale * u7 + minimum. A row whose
// range is under 1e-30 counts as constant: 127 / range would not be finite.
INLINE void quantize_row(const float *x, float low, float high, uint8_t *out, float *scale, float *minimum, int32_t K,
                         int32_t stride) {
  float range = high - low;
  float inverse = range > 1e-30f ? 127.0f / range : 0.0f;
  *scale = range / 127.0f;
  *minimum = low;
  vf base = vf_set(low), factor = vf_set(inverse), top = vf_set(127.0f);
  int32_t k = 0;
  for (; k + LANES <= K; k += LANES)
    vi_store_u8(out + k, vf_round(vf_min(vf_mul(vf_sub(vf_load(x + k), base), factor), top)));
  if (k < K) {
    uint8_t tail[LANES];
    vf part = vf_load_part(x + k, K - k, low);
    vi_store_u8(tail, vf_round(vf_min(vf_mul(vf_sub(part, base), factor), top)));
    memcpy(out + k, tail, (size_t)(K - k));
  }
  if (stride > K) memset(out + K, 0, (size_t)(stride - K));
}

void KERNEL(quantize_rows)(const float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K,
                           int32_t stride) {
  for (int32_t t = 0; t < T; t++) {
    const float *row = x + (size_t)t * K;
    vf low = vf_set(row[0]), high = low;
    for (int32_t k = 0; k < K; k += LANES) {
      vf v = vf_load_some(row + k, K - k, row[0]);
      low = vf_min(low, v);
      high = vf_max(high, v);
    }
    quantize_row(row, vf_bottom(low), vf_top(high), out + (size_t)t * stride, scale + t, minimum + t, K, stride);
  }
}

// x = GELU(x) in place, then quantised as quantize_rows does.
void KERNEL(gelu_quantize)(float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K, int32_t stride) {
  for (int32_t t = 0; t < T; t++) {
    float *row = x + (size_t)t * K;
    vf low = vf_set(__builtin_inff()), high = vf_set(-__builtin_inff());
    for (int32_t k = 0; k < K; k += LANES) {
      vf v = vf_gelu(vf_load_some(row + k, K - k, row[k]));
      low = vf_min(low, v);
      high = vf_max(high, v);
      vf_store_some(row + k, v, K - k);
    }
    quantize_row(row, vf_bottom(low), vf_top(high), out + (size_t)t * stride, scale + t, minimum + t, K, stride);
  }
}

void KERNEL(gelu)(float *x, int32_t count) {
  for (int32_t k = 0; k < count; k += LANES) {
    vf v = vf_gelu(vf_load_some(x + k, count - k, 0));
    vf_store_some(x + k, v, count - k);
  }
}

// out = LayerNorm(x + residual) * gamma + beta, quantised too. `residual` may be NULL; `out` may be x or residual.
// `quantized` may be NULL (then scale and minimum are not written).
void KERNEL(layer_norm_quantize)(const float *x, const float *residual, const float *gamma, const float *beta,
                                 float epsilon, float *out, uint8_t *quantized, float *scale, float *minimum, int32_t T,
                                 int32_t K, int32_t stride) {
  for (int32_t t = 0; t < T; t++) {
    const float *row = x + (size_t)t * K;
    const float *other = residual ? residual + (size_t)t * K : NULL;
    float *to = out + (size_t)t * K;
    vf total = vf_set(0);
    for (int32_t k = 0; k < K; k += LANES) {
      vf v = vf_load_some(row + k, K - k, 0);
      if (other) v = vf_add(v, vf_load_some(other + k, K - k, 0));
      total = vf_add(total, v);
      vf_store_some(to + k, v, K - k);
    }
    float mean = vf_sum(total) / (float)K;
    vf center = vf_set(mean), squares = vf_set(0);
    for (int32_t k = 0; k < K; k += LANES) {
      vf d = vf_sub(vf_load_some(to + k, K - k, mean), center);
      squares = vf_fma(d, d, squares);
    }
    vf factor = vf_set(1.0f / __builtin_sqrtf(vf_sum(squares) / (float)K + epsilon));
    vf low = vf_set(__builtin_inff()), high = vf_set(-__builtin_inff());
    for (int32_t k = 0; k < K; k += LANES) {
      int left = K - k;
      vf normal = vf_mul(vf_sub(vf_load_some(to + k, left, to[k]), center), factor);
      vf v = vf_fma(normal, vf_load_some(gamma + k, left, gamma[k]), vf_load_some(beta + k, left, beta[k]));
      low = vf_min(low, v);
      high = vf_max(high, v);
      vf_store_some(to + k, v, left);
    }
    if (quantized == NULL) continue;
    // The missing lanes of a tail computed another weight pair: take the range from the row itself then.
    if (K % LANES) {
      low = high = vf_set(to[0]);
      for (int32_t k = 0; k < K; k += LANES) {
        vf v = vf_load_some(to + k, K - k, to[0]);
        low = vf_min(low, v);
        high = vf_max(high, v);
      }
    }
    quantize_row(to, vf_bottom(low), vf_top(high), quantized + (size_t)t * stride, scale + t, minimum + t, K, stride);
  }
}

// out[t] = words[ids[t]] + places[positions[t]] + kinds[types[t]]; words are packed int8 panels (see tile-int8.h).
void KERNEL(embed)(const int32_t *ids, const int32_t *positions, const int32_t *types, const int8_t *words,
                   const float *word_scale, const float *places, const float *kinds, float *out, int32_t T, int32_t K,
                   int32_t stride) {
  for (int32_t t = 0; t < T; t++) {
    size_t id = (size_t)ids[t];
    const int8_t *word = words + (id / 16) * 16 * (size_t)stride + (id % 16) * 4;
    const float *place = places + (size_t)positions[t] * K, *kind = kinds + (size_t)types[t] * K;
    float scale = word_scale[id], *to = out + (size_t)t * K;
    for (int32_t k = 0; k < K; k++) to[k] = scale * (float)word[(k / 4) * 64 + k % 4] + place[k] + kind[k];
  }
}

// Writes the indexes and values with values[i] > threshold, rising; returns how many. Room for N is the caller's duty.
int32_t KERNEL(collect_above)(const float *values, float threshold, int32_t *indexes, float *kept, int32_t N) {
  int32_t count = 0;
  for (int32_t n = 0; n < N; n++) {
    indexes[count] = n;
    kept[count] = values[n];
    count += values[n] > threshold;
  }
  return count;
}
