// Row-wise steps between the products: embedding sum, LayerNorm, GELU, each fused with the u7 quantisation that the
// next int8 product needs. T rows, K columns; `stride` = bytes per quantised row, a multiple of 16 >= K, padded with
// 0.
#pragma once
#include "../native/simd/vec.h"

// Columns that are spread over several bytes, so that a few outlying channels do not determine the step of a whole
// row. share[K] = 1 / copies of a column;
// splits = { count, then count x { column, copies, first extra byte } }; NULL = none.
// A column's extra bytes lie at K and beyond; the weights repeat its inputs there (spread.ts).
struct spread {
  const float *share;
  const int32_t *splits;
};

INLINE uint8_t quantize_copy(int32_t total, int32_t copies, int32_t copy) { return (uint8_t)((total + copy) / copies); }

// Each byte q of a column stands for scale * q + minimum, its copies are added up:
//   q = round_half_even((x - low) * (127 / (high - low))), 0..127, for a column of one byte;
//   copies c: the total round_half_even((x - c low) * ...), 0..127 c, is split as evenly as integers allow.
// A row whose range is under 1e-30 counts as constant: 127 / range would not be finite.
INLINE void quantize_row(const float *x, float low, float high, struct spread spread, uint8_t *out, float *scale,
                         float *minimum, int32_t K, int32_t stride) {
  float range = high - low;
  float inverse = range > 1e-30f ? 127.0f / range : 0.0f;
  *scale = range / 127.0f;
  *minimum = low;
  vf base = vf_set(low), factor = vf_set(inverse), bottom = vf_set(0), top = vf_set(127.0f);
  int32_t k = 0;
  for (; k + 4 * LANES <= K; k += 4 * LANES) {
    // Only columns that are spread lie outside the range: their bytes are written again below.
    vi bytes[4];
    for (int i = 0; i < 4; i++) bytes[i] = vf_round(vf_mul(vf_sub(vf_load(x + k + i * LANES), base), factor));
    vi_store_u8x4(out + k, bytes);
  }
  for (; k < K; k += LANES) {
    vf steps = vf_mul(vf_sub(vf_load_some(x + k, K - k, low), base), factor);
    vi bytes = vf_round(vf_max(vf_min(steps, top), bottom));
    if (K - k >= LANES) {
      vi_store_u8(out + k, bytes);
    } else {
      uint8_t tail[LANES];
      vi_store_u8(tail, bytes);
      memcpy(out + k, tail, (size_t)(K - k));
    }
  }
  if (stride > K) memset(out + K, 0, (size_t)(stride - K));
  if (spread.splits == NULL) return;
  for (int32_t i = 0; i < spread.splits[0]; i++) {
    const int32_t *split = spread.splits + 1 + 3 * i;
    int32_t column = split[0], copies = split[1];
    float steps = (x[column] - (float)copies * low) * inverse, most = 127.0f * (float)copies;
    steps = steps < most ? steps : most;
    steps = steps > 0 ? steps : 0;
    // Adding and taking away 2^23 rounds half to even, as the vector units do.
    int32_t total = (int32_t)((steps + 8388608.0f) - 8388608.0f);
    out[column] = quantize_copy(total, copies, 0);
    for (int32_t c = 1; c < copies; c++) out[split[2] + c - 1] = quantize_copy(total, copies, c);
  }
}

// The range of a row, outlying columns counted at their share. Four pairs of registers, because one pair would be a
// dependency chain.
struct range {
  vf low[4], high[4];
};
INLINE void range_start(struct range *range) {
  for (int i = 0; i < 4; i++) range->low[i] = vf_set(__builtin_inff()), range->high[i] = vf_set(-__builtin_inff());
}
INLINE void range_add(struct range *range, int i, vf v) {
  range->low[i] = vf_min(range->low[i], v);
  range->high[i] = vf_max(range->high[i], v);
}
INLINE float range_low(const struct range *range) {
  return vf_bottom(vf_min(vf_min(range->low[0], range->low[1]), vf_min(range->low[2], range->low[3])));
}
INLINE float range_high(const struct range *range) {
  return vf_top(vf_max(vf_max(range->high[0], range->high[1]), vf_max(range->high[2], range->high[3])));
}
INLINE void range_add_row(struct range *range, const float *row, const float *share, int32_t K) {
  int32_t k = 0;
  for (; k + 4 * LANES <= K; k += 4 * LANES)
    for (int i = 0; i < 4; i++) {
      vf v = vf_load(row + k + i * LANES);
      // The next row follows this one in memory: it is prefetched while this one is read.
      __builtin_prefetch(row + k + i * LANES + K);
      range_add(range, i, share ? vf_mul(v, vf_load(share + k + i * LANES)) : v);
    }
  if (k == K) return;
  float first = share ? row[0] * share[0] : row[0];
  for (; k < K; k += LANES) {
    vf v = vf_load_some(row + k, K - k, first);
    range_add(range, 0, share ? vf_mul(v, vf_load_some(share + k, K - k, 1.0f)) : v);
  }
}

// Quantises a finished f32 row.
INLINE void range_and_quantize(const float *row, struct spread spread, uint8_t *out, float *scale, float *minimum,
                               int32_t K, int32_t stride) {
  struct range range;
  range_start(&range);
  if (spread.share) range_add_row(&range, row, spread.share, K);
  else range_add_row(&range, row, NULL, K);
  quantize_row(row, range_low(&range), range_high(&range), spread, out, scale, minimum, K, stride);
}

void KERNEL(quantize_rows)(const float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K,
                           int32_t stride, const float *share, const int32_t *splits) {
  struct spread spread = {share, splits};
  for (int32_t t = 0; t < T; t++)
    range_and_quantize(x + (size_t)t * K, spread, out + (size_t)t * stride, scale + t, minimum + t, K, stride);
}

// x = GELU(x) in place, then quantised as quantize_rows does.
void KERNEL(gelu_quantize)(float *x, uint8_t *out, float *scale, float *minimum, int32_t T, int32_t K, int32_t stride,
                           const float *share, const int32_t *splits) {
  struct spread spread = {share, splits};
  for (int32_t t = 0; t < T; t++) {
    float *row = x + (size_t)t * K;
    struct range range;
    range_start(&range);
    int32_t k = 0;
    for (; k + 4 * LANES <= K; k += 4 * LANES)
      for (int i = 0; i < 4; i++) {
        vf v = vf_gelu(vf_load(row + k + i * LANES));
        vf_store(row + k + i * LANES, v);
        range_add(&range, i, share ? vf_mul(v, vf_load(share + k + i * LANES)) : v);
      }
    for (; k < K; k += LANES) vf_store_some(row + k, vf_gelu(vf_load_some(row + k, K - k, 0)), K - k);
    range_add_row(&range, row + K / (4 * LANES) * 4 * LANES, share ? share + K / (4 * LANES) * 4 * LANES : NULL,
                  K % (4 * LANES));
    quantize_row(row, range_low(&range), range_high(&range), spread, out + (size_t)t * stride, scale + t, minimum + t,
                 K, stride);
  }
}

// out = GELU(x); out may be x.
void KERNEL(gelu)(const float *x, float *out, int32_t count) {
  for (int32_t k = 0; k < count; k += LANES) {
    vf v = vf_gelu(vf_load_some(x + k, count - k, 0));
    vf_store_some(out + k, v, count - k);
  }
}

// out = LayerNorm(x + residual) * gamma + beta, quantised too. `residual` may be NULL; `out` may be x or residual.
// `quantized` may be NULL (then scale and minimum are not written).
void KERNEL(layer_norm_quantize)(const float *x, const float *residual, const float *gamma, const float *beta,
                                 float epsilon, float *out, uint8_t *quantized, float *scale, float *minimum, int32_t T,
                                 int32_t K, int32_t stride, const float *share, const int32_t *splits) {
  struct spread spread = {share, splits};
  for (int32_t t = 0; t < T; t++) {
    const float *row = x + (size_t)t * K;
    const float *other = residual ? residual + (size_t)t * K : NULL;
    float *to = out + (size_t)t * K;
    // Four sums, because one sum would be a dependency chain.
    vf total[4] = {vf_set(0), vf_set(0), vf_set(0), vf_set(0)};
    for (int32_t k = 0; k < K; k += 4 * LANES)
      for (int i = 0; i < 4 && k + i * LANES < K; i++) {
        int32_t at = k + i * LANES;
        vf v = vf_load_some(row + at, K - at, 0);
        if (other) v = vf_add(v, vf_load_some(other + at, K - at, 0));
        total[i] = vf_add(total[i], v);
        vf_store_some(to + at, v, K - at);
      }
    float mean = vf_sum(vf_add(vf_add(total[0], total[1]), vf_add(total[2], total[3]))) / (float)K;
    vf center = vf_set(mean), squares[4] = {vf_set(0), vf_set(0), vf_set(0), vf_set(0)};
    for (int32_t k = 0; k < K; k += 4 * LANES)
      for (int i = 0; i < 4 && k + i * LANES < K; i++) {
        int32_t at = k + i * LANES;
        vf d = vf_sub(vf_load_some(to + at, K - at, mean), center);
        squares[i] = vf_fma(d, d, squares[i]);
      }
    float square = vf_sum(vf_add(vf_add(squares[0], squares[1]), vf_add(squares[2], squares[3])));
    vf factor = vf_set(1.0f / __builtin_sqrtf(square / (float)K + epsilon));
    for (int32_t k = 0; k < K; k += LANES) {
      int left = K - k;
      vf normal = vf_mul(vf_sub(vf_load_some(to + k, left, 0), center), factor);
      vf_store_some(to + k, vf_fma(normal, vf_load_some(gamma + k, left, 0), vf_load_some(beta + k, left, 0)), left);
    }
    if (quantized)
      range_and_quantize(to, spread, quantized + (size_t)t * stride, scale + t, minimum + t, K, stride);
  }
}

// out[t] = words[ids[t]] + position_rows[positions[t]] + type_rows[types[t]]; words are packed int8 panels (see
// tile-int8.h).
void KERNEL(embed)(const int32_t *ids, const int32_t *positions, const int32_t *types, const int8_t *words,
                   const float *word_scale, const float *position_rows, const float *type_rows, float *out, int32_t T,
                   int32_t K, int32_t stride) {
  for (int32_t t = 0; t < T; t++) {
    size_t id = (size_t)ids[t];
    const int8_t *word = words + (id / 16) * 16 * (size_t)stride + (id % 16) * 4;
    const float *position = position_rows + (size_t)positions[t] * K, *type = type_rows + (size_t)types[t] * K;
    float scale = word_scale[id], *to = out + (size_t)t * K;
    // The packed row is gathered first, so that the compiler turns the plain loop over it into vector code.
    for (int32_t k = 0; k < K; k += 64) {
      int8_t bytes[64];
      int columns = K - k < 64 ? K - k : 64;
      for (int q = 0; q < (columns + 3) / 4; q++) memcpy(bytes + 4 * q, word + (k / 4 + q) * 64, 4);
      for (int i = 0; i < columns; i++) to[k + i] = scale * (float)bytes[i] + position[k + i] + type[k + i];
    }
  }
}

// Writes the indexes and values with values[i] > threshold, in ascending order; returns how many. indexes and kept
// have room for N.
int32_t KERNEL(collect_above)(const float *values, float threshold, int32_t *indexes, float *kept, int32_t N) {
  int32_t count = 0;
  for (int32_t n = 0; n < N; n++) {
    indexes[count] = n;
    kept[count] = values[n];
    count += values[n] > threshold;
  }
  return count;
}
