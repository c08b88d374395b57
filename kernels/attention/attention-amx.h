// One head of attention on AMX tiles, with f32 accuracy out of bf16 products: a value is the sum of two bf16 parts and
// x y = x.high y.high + x.high y.low + x.low y.high, which omits about 2^-16 of a product. Sums are f32.
#pragma once
#include "../dense/tile-amx.h"

#if defined(VARIANT_AMX)
// Queries that are multiplied with the keys at once. The vector unit does sequences below half of it.
#define ATTENTION_QUERIES 32

// 32 floats as bf16: *high + *low, both rounded to nearest.
INLINE void split_bf16(vf x0, vf x1, __m512i *high, __m512i *low) {
  const __m512i half = _mm512_set1_epi32(0x8000), top = _mm512_set1_epi32((int32_t)0xffff0000);
  const __m512i upper = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25,
                                         23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  __m512i top0 = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x0), half), top);
  __m512i top1 = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x1), half), top);
  *high = _mm512_permutex2var_epi16(top0, upper, top1);
  *low = (__m512i)_mm512_cvtne2ps_pbh(vf_sub(x1, _mm512_castsi512_ps(top1)), vf_sub(x0, _mm512_castsi512_ps(top0)));
}

// to[16][16] = from[16] transposed, 32-bit elements.
INLINE void transpose_16x16(const __m512i from[16], __m512i *to) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(from[i], from[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(from[i], from[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  // Now b[4 i + j] holds column 4 lane + j of rows 4 i .. 4 i + 3 in each 128-bit lane.
  for (int j = 0; j < 4; j++) {
    __m512i even0 = _mm512_shuffle_i32x4(b[j], b[j + 4], 0x88), odd0 = _mm512_shuffle_i32x4(b[j], b[j + 4], 0xdd);
    __m512i even1 = _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0x88);
    __m512i odd1 = _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0xdd);
    to[j] = _mm512_shuffle_i32x4(even0, even1, 0x88);
    to[8 + j] = _mm512_shuffle_i32x4(even0, even1, 0xdd);
    to[4 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
    to[12 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0xdd);
  }
}

// 32 columns k.. of row t, zeros beyond `rows` and `columns`.
INLINE void attention_load(const float *from, size_t stride, int32_t t, int32_t rows, int32_t k, int32_t columns,
                           vf *x0, vf *x1) {
  const float *row = from + (size_t)t * stride + k;
  *x0 = t < rows ? vf_load(row) : vf_set(0);
  *x1 = t < rows && k + 16 < columns ? vf_load(row + 16) : vf_set(0);
}

// Sums 0..3, [queries 0..15 | 16..31] x [columns 0..15 | 16..31], += a x b in three bf16 products. Parts of a lie in
// tiles of 16 rows, those of b in tiles of their own; b_next is the distance from the first 16 columns to the next.
#define SPLIT_PRODUCT(a_high, a_low, a_row, b, b_next) \
  do { \
    _tile_loadd(4, a_low, a_row); \
    _tile_loadd(5, (a_low) + 16 * (a_row), a_row); \
    _tile_loadd(6, b, 64); \
    _tile_loadd(7, (b) + (b_next), 64); \
    SPLIT_TERM; \
    _tile_loadd(4, a_high, a_row); \
    _tile_loadd(5, (a_high) + 16 * (a_row), a_row); \
    SPLIT_TERM; \
    _tile_loadd(6, (b) + 1024, 64); \
    _tile_loadd(7, (b) + (b_next) + 1024, 64); \
    SPLIT_TERM; \
  } while (0)
#define SPLIT_TERM \
  _tile_dpbf16ps(0, 4, 6); \
  _tile_dpbf16ps(1, 4, 7); \
  _tile_dpbf16ps(2, 5, 6); \
  _tile_dpbf16ps(3, 5, 7)

INLINE void zero_sums(void) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}
// to[32][to_row bytes], columns 0..31.
INLINE void store_sums(void *to, size_t to_row) {
  _tile_stored(0, to, to_row);
  _tile_stored(1, (uint8_t *)to + 64, to_row);
  _tile_stored(2, (uint8_t *)to + 16 * to_row, to_row);
  _tile_stored(3, (uint8_t *)to + 16 * to_row + 64, to_row);
}

// Row score[padded] of exponents of 2 becomes weights, 32 at a time {high parts, low parts}, which overwrite the
// scores. Those past `length` become 0. Returns 1 / their sum.
INLINE float attention_weights(float *score, size_t length, size_t padded) {
  vf least = vf_set(-__builtin_inff()), top0 = least, top1 = least, total0 = vf_set(0), total1 = vf_set(0);
  __mmask32 last = length % 32 ? (1u << length % 32) - 1 : ~0u;
  size_t n = 0;
  for (; n + 32 < padded; n += 32) {
    top0 = vf_max(top0, vf_load(score + n));
    top1 = vf_max(top1, vf_load(score + n + 16));
  }
  top0 = vf_max(top0, _mm512_mask_loadu_ps(least, (__mmask16)last, score + n));
  top1 = vf_max(top1, _mm512_mask_loadu_ps(least, (__mmask16)(last >> 16), score + n + 16));
  vf top = vf_set(vf_top(vf_max(top0, top1)));
  for (n = 0; n < padded; n += 32) {
    vf e0 = vf_exp2(vf_sub(vf_load(score + n), top)), e1 = vf_exp2(vf_sub(vf_load(score + n + 16), top));
    if (n + 32 == padded) {
      e0 = _mm512_maskz_mov_ps((__mmask16)last, e0);
      e1 = _mm512_maskz_mov_ps((__mmask16)(last >> 16), e1);
    }
    total0 = vf_add(total0, e0);
    total1 = vf_add(total1, e1);
    __m512i high, low;
    split_bf16(e0, e1, &high, &low);
    _mm512_store_si512(score + n, high);
    _mm512_store_si512(score + n + 16, low);
  }
  return 1.0f / vf_sum(vf_add(total0, total1));
}

// Keys as tiles of 1 KiB, {high, low}: [16 keys][depth] of [16 pairs of columns][16 keys][2]. `base` is the first key.
INLINE void attention_key_tiles(const float *base, size_t row, int32_t length, int32_t size, uint8_t *keys) {
  size_t padded = ((size_t)length + 31) / 32 * 32, depths = ((size_t)size + 31) / 32;
  for (size_t t = 0; t < padded; t += 16)
    for (size_t d = 0; d < depths; d++) {
      __m512i high[16], low[16], *to = (__m512i *)(keys + 2048 * (t / 16 * depths + d));
      for (int i = 0; i < 16; i++) {
        vf x0, x1;
        attention_load(base, row, (int32_t)t + i, length, (int32_t)(32 * d), size, &x0, &x1);
        split_bf16(x0, x1, high + i, low + i);
      }
      transpose_16x16(high, to);
      transpose_16x16(low, to + 16);
    }
}

// Values as tiles of 1 KiB, {high, low}: [32 keys][16 columns] of [16 pairs of keys][16 columns][2]. `base` is the
// first value.
INLINE void attention_value_tiles(const float *base, size_t row, int32_t length, int32_t size, uint8_t *values) {
  size_t padded = ((size_t)length + 31) / 32 * 32, depths = ((size_t)size + 31) / 32;
  const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  for (size_t t = 0; t < padded; t += 2)
    for (size_t d = 0; d < depths; d++) {
      vf x[2][2];
      for (int i = 0; i < 2; i++)
        attention_load(base, row, (int32_t)t + i, length, (int32_t)(32 * d), size, &x[i][0], &x[i][1]);
      for (int half = 0; half < 2; half++) {
        __m512i high, low, *to = (__m512i *)(values + 2048 * (t / 32 * 2 * depths + 2 * d + half)) + t % 32 / 2;
        split_bf16(x[0][half], x[1][half], &high, &low);
        _mm512_store_si512(to, _mm512_permutexvar_epi16(pairs, high));
        _mm512_store_si512(to + 16, _mm512_permutexvar_epi16(pairs, low));
      }
    }
}

// Queries t .. t + 31, times `factor`, as tiles [depth] of [32 queries][32 columns]. `base` is the first query of the
// head.
INLINE void attention_query_tiles(const float *base, size_t row, int32_t t, int32_t length, int32_t size, float factor,
                                  uint8_t *queries) {
  for (size_t d = 0; d < ((size_t)size + 31) / 32; d++)
    for (int i = 0; i < ATTENTION_QUERIES; i++) {
      vf x0, x1;
      __m512i *to = (__m512i *)(queries + 4096 * d) + i;
      attention_load(base, row, t + i, length, (int32_t)(32 * d), size, &x0, &x1);
      split_bf16(vf_mul(x0, vf_set(factor)), vf_mul(x1, vf_set(factor)), to, to + ATTENTION_QUERIES);
    }
}

// One head of one sequence: `base` is its first query, keys and values lie H and 2 H floats further in each `row`;
// out[length][H]. length >= ATTENTION_QUERIES / 2; tiles are configured for min(length, ATTENTION_QUERIES) rows.
// `factor` turns scores into exponents of 2. scratch as attention() documents it.
INLINE void attention_head_amx(const float *base, size_t row, size_t H, int32_t length, int32_t size, float factor,
                               float *out, float *scratch) {
  size_t padded = ((size_t)length + 31) / 32 * 32, wide = ((size_t)size + 31) / 32 * 32, depths = wide / 32;
  uint8_t *keys = (uint8_t *)scratch, *values = keys + 4 * padded * wide, *queries = values + 4 * padded * wide;
  float *scores = (float *)(queries + 4 * ATTENTION_QUERIES * wide);
  attention_key_tiles(base + H, row, length, size, keys);
  attention_value_tiles(base + 2 * H, row, length, size, values);
  int32_t rows = length < ATTENTION_QUERIES ? length : ATTENTION_QUERIES;
  for (int32_t begin = 0; begin < length; begin += ATTENTION_QUERIES) {
    // The last queries begin early enough to fill the tiles: some are computed again, with the same result.
    int32_t t = length - begin < rows ? length - rows : begin;
    attention_query_tiles(base, row, t, length, size, factor, queries);
    for (size_t n = 0; n < padded; n += 32) {
      zero_sums();
      for (size_t d = 0; d < depths; d++)
        SPLIT_PRODUCT(queries + 4096 * d, queries + 4096 * d + 2048, 64, keys + 2048 * (n / 16 * depths + d),
                      2048 * depths);
      store_sums(scores + n, 4 * padded);
    }
    float inverse[ATTENTION_QUERIES];
    for (int i = 0; i < rows; i++) inverse[i] = attention_weights(scores + i * padded, (size_t)length, padded);
    for (size_t d = 0; d < depths; d++) {
      float mixed[ATTENTION_QUERIES * 32] __attribute__((aligned(64)));
      zero_sums();
      for (size_t n = 0; n < padded; n += 32) {
        const uint8_t *weights = (const uint8_t *)(scores + n);
        SPLIT_PRODUCT(weights, weights + 64, 4 * padded, values + 2048 * (n / 32 * 2 * depths + 2 * d), 2048);
      }
      store_sums(mixed, 128);
      for (int i = 0; i < rows; i++) {
        float *to = out + (size_t)(t + i) * H + 32 * d;
        vf scale = vf_set(inverse[i]);
        vf_store(to, vf_mul(vf_load(mixed + 32 * i), scale));
        if (32 * d + 16 < (size_t)size) vf_store(to + 16, vf_mul(vf_load(mixed + 32 * i + 16), scale));
      }
    }
  }
}
#endif
