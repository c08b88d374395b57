// One head of attention on AMX tiles, with f32 accuracy out of bf16 products: a value is the sum of two bf16 parts and
// x y = x.high y.high + x.high y.low + x.low y.high, which leaves out some 2^-16 of a product. Sums are f32.
#pragma once
#include "tile-amx.h"

#if defined(VARIANT_AMX)
// Shorter sequences do not fill a tile of queries.
#define ATTENTION_QUERIES 16

// 32 floats as bf16: *high + *low, both rounded to nearest.
INLINE void split_bf16(vf x0, vf x1, __m512i *high, __m512i *low) {
  const __m512i half = _mm512_set1_epi32(0x8000), top = _mm512_set1_epi32((int32_t)0xffff0000);
  const __m512i upper = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25, 23,
                                         21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
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
    __m512i even1 = _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0x88), odd1 = _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0xdd);
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

// One head of one sequence: `base` is its first query, keys and values lie H and 2 H floats further in each `row`; out[length][H].
// length >= ATTENTION_QUERIES. `factor` turns scores into exponents of 2. scratch as attention() documents it.
INLINE void attention_head_amx(const float *base, size_t row, size_t H, int32_t length, int32_t size, float factor,
                               float *out, float *scratch) {
  size_t padded = ((size_t)length + 31) / 32 * 32, wide = ((size_t)size + 31) / 32 * 32, depths = wide / 32;
  // Keys [16 keys][depth] {high, low} tiles of [16 pairs of columns][16 keys][2]; values [32 keys][16 columns] {high, low}
  // tiles of [16 pairs of keys][16 columns][2]. A tile is 1 KiB.
  uint8_t *keys = (uint8_t *)scratch, *values = keys + 4 * padded * wide;
  float *scores = (float *)(values + 4 * padded * wide);
  uint8_t *weights = (uint8_t *)(scores + ATTENTION_QUERIES * padded);
  size_t weights_row = 4 * padded; // high parts, then low parts
  for (size_t t = 0; t < padded; t += 16)
    for (size_t d = 0; d < depths; d++) {
      __m512i high[16], low[16], *to = (__m512i *)(keys + 2048 * (t / 16 * depths + d));
      for (int i = 0; i < 16; i++) {
        vf x0, x1;
        attention_load(base + H, row, (int32_t)t + i, length, (int32_t)(32 * d), size, &x0, &x1);
        split_bf16(x0, x1, high + i, low + i);
      }
      transpose_16x16(high, to);
      transpose_16x16(low, to + 16);
    }
  const __m512i pairs = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                         20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  for (size_t t = 0; t < padded; t += 2)
    for (size_t d = 0; d < depths; d++) {
      vf x[2][2];
      for (int i = 0; i < 2; i++)
        attention_load(base + 2 * H, row, (int32_t)t + i, length, (int32_t)(32 * d), size, &x[i][0], &x[i][1]);
      for (int half = 0; half < 2; half++) {
        __m512i high, low, *to = (__m512i *)(values + 2048 * (t / 32 * 2 * depths + 2 * d + half)) + t % 32 / 2;
        split_bf16(x[0][half], x[1][half], &high, &low);
        _mm512_store_si512(to, _mm512_permutexvar_epi16(pairs, high));
        _mm512_store_si512(to + 16, _mm512_permutexvar_epi16(pairs, low));
      }
    }
  for (int32_t begin = 0; begin < length; begin += ATTENTION_QUERIES) {
    // The last queries begin early enough to fill a tile: some are computed again, with the same result.
    int32_t t = length - begin < ATTENTION_QUERIES ? length - ATTENTION_QUERIES : begin;
    __m512i queries[2][ATTENTION_QUERIES];
    for (size_t n = 0; n < padded; n += 64) {
      int blocks = padded - n < 64 ? 2 : 4;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (size_t d = 0; d < depths; d++) {
        if (n == 0 || depths > 1) {
          for (int i = 0; i < ATTENTION_QUERIES; i++) {
            vf x0, x1;
            attention_load(base, row, t + i, length, (int32_t)(32 * d), size, &x0, &x1);
            split_bf16(vf_mul(x0, vf_set(factor)), vf_mul(x1, vf_set(factor)), &queries[0][i], &queries[1][i]);
          }
          _tile_loadd(4, queries[0], 64);
          _tile_loadd(5, queries[1], 64);
        }
        const uint8_t *key = keys + 2048 * (n / 16 * depths + d);
#define SCORES(block) \
  _tile_loadd(6, key + 2048 * depths * block, 64); \
  _tile_loadd(7, key + 2048 * depths * block + 1024, 64); \
  _tile_dpbf16ps(block, 4, 6); \
  _tile_dpbf16ps(block, 5, 6); \
  _tile_dpbf16ps(block, 4, 7);
        SCORES(0)
        SCORES(1)
        if (blocks == 4) {
          SCORES(2)
          SCORES(3)
        }
#undef SCORES
      }
      _tile_stored(0, scores + n, 4 * padded);
      _tile_stored(1, scores + n + 16, 4 * padded);
      if (blocks == 4) {
        _tile_stored(2, scores + n + 32, 4 * padded);
        _tile_stored(3, scores + n + 48, 4 * padded);
      }
    }
    float inverse[ATTENTION_QUERIES];
    __mmask32 last = length % 32 ? (1u << length % 32) - 1 : ~0u;
    for (int i = 0; i < ATTENTION_QUERIES; i++) {
      const float *score = scores + i * padded;
      vf low = vf_set(-__builtin_inff()), top0 = low, top1 = low;
      size_t n = 0;
      for (; n + 32 < padded; n += 32) {
        top0 = vf_max(top0, vf_load(score + n));
        top1 = vf_max(top1, vf_load(score + n + 16));
      }
      vf end0 = _mm512_mask_loadu_ps(low, (__mmask16)last, score + n);
      vf end1 = _mm512_mask_loadu_ps(low, (__mmask16)(last >> 16), score + n + 16);
      vf top = vf_set(vf_top(vf_max(vf_max(top0, top1), vf_max(end0, end1))));
      vf total0 = vf_set(0), total1 = vf_set(0);
      uint8_t *to = weights + i * weights_row;
      for (n = 0; n < padded; n += 32) {
        vf e0 = vf_exp2(vf_sub(vf_load(score + n), top)), e1 = vf_exp2(vf_sub(vf_load(score + n + 16), top));
        if (n + 32 == padded) {
          e0 = _mm512_maskz_mov_ps((__mmask16)last, e0);
          e1 = _mm512_maskz_mov_ps((__mmask16)(last >> 16), e1);
        }
        total0 = vf_add(total0, e0);
        total1 = vf_add(total1, e1);
        __m512i e_high, e_low;
        split_bf16(e0, e1, &e_high, &e_low);
        _mm512_store_si512(to + 2 * n, e_high);
        _mm512_store_si512(to + 2 * padded + 2 * n, e_low);
      }
      inverse[i] = 1.0f / vf_sum(vf_add(total0, total1));
    }
    for (size_t d = 0; d < depths; d++) {
      float mixed[4][ATTENTION_QUERIES * 16] __attribute__((aligned(64)));
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (size_t n = 0; n < padded; n += 32) {
        const uint8_t *value = values + 2048 * (n / 32 * 2 * depths + 2 * d);
        // The small terms have sums of their own, so that no sum waits for itself three times a step.
        _tile_loadd(4, weights + 2 * n, weights_row);
        _tile_loadd(6, value, 64);
        _tile_loadd(7, value + 2048, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, weights + 2 * padded + 2 * n, weights_row);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
        _tile_loadd(6, value + 1024, 64);
        _tile_loadd(7, value + 3072, 64);
        _tile_dpbf16ps(2, 4, 6);
        _tile_dpbf16ps(3, 4, 7);
      }
      _tile_stored(0, mixed[0], 64);
      _tile_stored(1, mixed[1], 64);
      _tile_stored(2, mixed[2], 64);
      _tile_stored(3, mixed[3], 64);
      for (int i = 0; i < ATTENTION_QUERIES; i++) {
        float *to = out + (size_t)(t + i) * H + 32 * d;
        vf scale = vf_set(inverse[i]);
        vf_store(to, vf_mul(vf_add(vf_load(mixed[0] + 16 * i), vf_load(mixed[2] + 16 * i)), scale));
        if (32 * d + 16 < (size_t)size)
          vf_store(to + 16, vf_mul(vf_add(vf_load(mixed[1] + 16 * i), vf_load(mixed[3] + 16 * i)), scale));
      }
    }
  }
}
#endif
