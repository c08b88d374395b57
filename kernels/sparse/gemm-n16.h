// int8 products with N:16 sparse weights: of every 16 consecutive inputs of an output, at most 4 * passes weights are
// kept. The 16 inputs are one 128-bit lane, so a byte shuffle selects the kept ones, without gathers or moves across
// lanes. Packed: panels of 16 outputs; a panel is
//   [groups][passes]{ s8 weights[16 outputs][4], u8 inputs[16 outputs][4] (0..15) }
#pragma once
#include "../dense/finish.h"

#if defined(VARIANT_VNNI)
#define N16_TILE_ROWS 8
#define N16_TILE_COLUMNS 32
// Two panels at once: the broadcast of 16 activations is the scarce load.
INLINE void tile_n16(const uint8_t *a, size_t lda, int rows, const uint8_t *b, size_t groups, int passes,
                     int32_t *out) {
  __m512i acc[N16_TILE_ROWS][2];
  const uint8_t *b1 = b + groups * passes * 128;
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = _mm512_setzero_si512();
  for (size_t g = 0; g < groups; g++) {
    for (int p = 0; p < passes; p++, b += 128, b1 += 128) {
      __m512i w0 = _mm512_loadu_si512(b), pick0 = _mm512_loadu_si512(b + 64);
      __m512i w1 = _mm512_loadu_si512(b1), pick1 = _mm512_loadu_si512(b1 + 64);
#pragma GCC unroll 8
      for (int r = 0; r < rows; r++) {
        __m512i x = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(a + r * lda + 16 * g)));
        acc[r][0] = _mm512_dpbusd_epi32(acc[r][0], _mm512_shuffle_epi8(x, pick0), w0);
        acc[r][1] = _mm512_dpbusd_epi32(acc[r][1], _mm512_shuffle_epi8(x, pick1), w1);
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    _mm512_storeu_si512(out + 32 * r, acc[r][0]);
    _mm512_storeu_si512(out + 32 * r + 16, acc[r][1]);
  }
}

#elif defined(VARIANT_AVX2)
#define N16_TILE_ROWS 5
#define N16_TILE_COLUMNS 16
INLINE void tile_n16(const uint8_t *a, size_t lda, int rows, const uint8_t *b, size_t groups, int passes,
                     int32_t *out) {
  __m256i acc[N16_TILE_ROWS][2];
  const __m256i ones = _mm256_set1_epi16(1);
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  for (size_t g = 0; g < groups; g++) {
    for (int p = 0; p < passes; p++, b += 128) {
      __m256i w0 = _mm256_loadu_si256((const __m256i *)b), w1 = _mm256_loadu_si256((const __m256i *)(b + 32));
      __m256i pick0 = _mm256_loadu_si256((const __m256i *)(b + 64));
      __m256i pick1 = _mm256_loadu_si256((const __m256i *)(b + 96));
#pragma GCC unroll 5
      for (int r = 0; r < rows; r++) {
        __m256i x = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(a + r * lda + 16 * g)));
        __m256i low = _mm256_maddubs_epi16(_mm256_shuffle_epi8(x, pick0), w0);
        __m256i high = _mm256_maddubs_epi16(_mm256_shuffle_epi8(x, pick1), w1);
        acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(low, ones));
        acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(high, ones));
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    _mm256_storeu_si256((__m256i *)(out + 16 * r), acc[r][0]);
    _mm256_storeu_si256((__m256i *)(out + 16 * r + 8), acc[r][1]);
  }
}

#elif defined(__wasm_relaxed_simd__)
#define N16_TILE_ROWS 6
#define N16_TILE_COLUMNS 16
INLINE void tile_n16_half(const uint8_t *a, size_t lda, int rows, const uint8_t *b, size_t groups, int passes,
                          int32_t *out, int fused) {
  v128_t acc[N16_TILE_ROWS][2];
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = wasm_i32x4_splat(0);
  for (size_t g = 0; g < groups; g++) {
    for (int p = 0; p < passes; p++, b += 128) {
      v128_t w0 = wasm_v128_load(b), w1 = wasm_v128_load(b + 16);
      v128_t pick0 = wasm_v128_load(b + 64), pick1 = wasm_v128_load(b + 80);
      for (int r = 0; r < rows; r++) {
        // All picks are 0..15, for which every engine's swizzle is the same.
        v128_t x = wasm_v128_load(a + r * lda + 16 * g);
        acc[r][0] = dot_quads(acc[r][0], wasm_i8x16_relaxed_swizzle(x, pick0), w0, fused);
        acc[r][1] = dot_quads(acc[r][1], wasm_i8x16_relaxed_swizzle(x, pick1), w1, fused);
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    wasm_v128_store(out + r * 16, acc[r][0]);
    wasm_v128_store(out + r * 16 + 4, acc[r][1]);
  }
}
INLINE void tile_n16(const uint8_t *a, size_t lda, int rows, const uint8_t *b, size_t groups, int passes,
                     int32_t *out) {
  int fused = dot_is_fused();
  for (int half = 0; half < 2; half++) {
    if (fused) tile_n16_half(a, lda, rows, b + 32 * half, groups, passes, out + 8 * half, 1);
    else tile_n16_half(a, lda, rows, b + 32 * half, groups, passes, out + 8 * half, 0);
  }
}

#elif defined(VARIANT_WASM) || defined(__ARM_NEON)
#define N16_TILE_ROWS 4
#define N16_TILE_COLUMNS 16
#if defined(VARIANT_WASM)
INLINE v128 pick_bytes(v128 x, v128 pick) { return wasm_i8x16_swizzle(x, pick); }
INLINE v128 widen_low_u8(v128 x) { return wasm_u16x8_extend_low_u8x16(x); }
INLINE v128 widen_high_u8(v128 x) { return wasm_u16x8_extend_high_u8x16(x); }
#else
INLINE v128 pick_bytes(v128 x, v128 pick) {
  return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(x), vreinterpretq_u8_s32(pick)));
}
INLINE v128 widen_low_u8(v128 x) { return vreinterpretq_s32_u16(vmovl_u8(vget_low_u8(vreinterpretq_u8_s32(x)))); }
INLINE v128 widen_high_u8(v128 x) { return vreinterpretq_s32_u16(vmovl_u8(vget_high_u8(vreinterpretq_u8_s32(x)))); }
#endif
INLINE void tile_n16(const uint8_t *a, size_t lda, int rows, const uint8_t *b, size_t groups, int passes,
                     int32_t *out) {
  for (int quarter = 0; quarter < 4; quarter++) {
    v128 low[N16_TILE_ROWS], high[N16_TILE_ROWS];
    for (int r = 0; r < rows; r++) low[r] = high[r] = v128_zero();
    const uint8_t *block = b + 16 * quarter;
    for (size_t g = 0; g < groups; g++) {
      for (int p = 0; p < passes; p++, block += 128) {
        v128 w = v128_load(block), pick = v128_load(block + 64);
        v128 w0 = widen_low(w), w1 = widen_high(w);
        for (int r = 0; r < rows; r++) {
          v128 x = pick_bytes(v128_load(a + r * lda + 16 * g), pick);
          low[r] = dot_add(low[r], widen_low_u8(x), w0);
          high[r] = dot_add(high[r], widen_high_u8(x), w1);
        }
      }
    }
    for (int r = 0; r < rows; r++) v128_store(out + r * 16 + 4 * quarter, join_pairs(low[r], high[r]));
  }
}

#else
// SSE2 has no byte shuffle. Plain loops suffice for the few processors without AVX2.
#define N16_TILE_ROWS 4
#define N16_TILE_COLUMNS 16
INLINE void tile_n16(const uint8_t *a, size_t lda, int rows, const uint8_t *b, size_t groups, int passes,
                     int32_t *out) {
  for (int i = 0; i < 16 * rows; i++) out[i] = 0;
  for (size_t g = 0; g < groups; g++)
    for (int p = 0; p < passes; p++, b += 128)
      for (int r = 0; r < rows; r++)
        for (int i = 0; i < 64; i++) out[16 * r + i / 4] += a[r * lda + 16 * g + (b[64 + i] & 15)] * (int8_t)b[i];
}
#endif

#if defined(VARIANT_AMX)
struct amx_n16 {
  const uint8_t *w;
  size_t groups;
  int passes;
};
// Unpacks two panels to the dense layout. Tiles cannot skip known zeros, but they are faster than the shuffles, and
// unpacking costs as much as about 16 rows of the product.
INLINE const int8_t *amx_n16_panels(void *weights, int32_t n, int8_t *buffer) {
  const struct amx_n16 *own = weights;
  const uint8_t *record = own->w + (size_t)(n / 16) * own->groups * own->passes * 128;
  const __m512i first = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0x00000000);
  const __m512i inputs = _mm512_set1_epi32(0x03020100);
  int8_t *to = buffer;
  for (size_t i = 0; i < 2 * own->groups; i++, to += 256) {
    __m512i quad[4];
    for (int q = 0; q < 4; q++) quad[q] = _mm512_setzero_si512();
    for (int p = 0; p < own->passes; p++, record += 128) {
      __m512i w = _mm512_loadu_si512(record), pick = _mm512_loadu_si512(record + 64);
#pragma GCC unroll 4
      for (int slot = 0; slot < 4; slot++) {
        // The slot's weight and input, four times over in the four bytes of each output.
        __m512i spread = _mm512_add_epi8(first, _mm512_set1_epi8((char)slot));
        __m512i value = _mm512_shuffle_epi8(w, spread), input = _mm512_shuffle_epi8(pick, spread);
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++) {
          __mmask64 here = _mm512_cmpeq_epi8_mask(input, _mm512_add_epi8(inputs, _mm512_set1_epi8((char)(4 * q))));
          // Added, not moved: unused slots hold weight 0 at input 0.
          quad[q] = _mm512_mask_add_epi8(quad[q], here, quad[q], value);
        }
      }
    }
    for (int q = 0; q < 4; q++) _mm512_store_si512(to + 64 * q, quad[q]);
  }
  return buffer;
}
#endif

// As gemm_int8 with w in the layout above and passes 1 (4:16), 2 (8:16) or 3 (12:16).
void KERNEL(gemm_n16)(const uint8_t *x, const float *x_scale, const float *x_minimum, const uint8_t *w,
                      const float *w_scale, const float *w_sum, const float *bias, float *out, int32_t T,
                      int32_t stride, int32_t N, int32_t passes, int32_t out_stride) {
#if defined(VARIANT_AMX)
  if (amx_pays_unpacked(T, stride)) {
    int8_t buffer[2 * 16 * AMX_MOST_UNPACKED] __attribute__((aligned(64)));
    struct amx_n16 own = {w, (size_t)stride / 16, passes};
    struct amx_rows rows = {x_scale, x_minimum, w_scale, w_sum, bias, out, (size_t)out_stride, N};
    amx_product(x, T, stride, N, amx_n16_panels, &own, buffer, amx_finish, &rows);
    return;
  }
#endif
  int32_t acc[N16_TILE_ROWS * N16_TILE_COLUMNS];
  size_t groups = (size_t)stride / 16;
  for (int32_t n = 0; n < N; n += N16_TILE_COLUMNS) {
    const uint8_t *panel = w + (size_t)(n / 16) * groups * passes * 128;
    int columns = N - n < N16_TILE_COLUMNS ? N - n : N16_TILE_COLUMNS;
    for (int32_t t = 0; t < T; t += N16_TILE_ROWS) {
      int rows = T - t < N16_TILE_ROWS ? T - t : N16_TILE_ROWS;
      const uint8_t *tile = x + (size_t)t * stride;
      if (passes == 1) WITH_ROWS(N16_TILE_ROWS, rows, tile_n16(tile, stride, ROWS, panel, groups, 1, acc))
      else if (passes == 2) WITH_ROWS(N16_TILE_ROWS, rows, tile_n16(tile, stride, ROWS, panel, groups, 2, acc))
      else WITH_ROWS(N16_TILE_ROWS, rows, tile_n16(tile, stride, ROWS, panel, groups, 3, acc))
      finish_tile(acc, rows, columns, N16_TILE_COLUMNS, x_scale + t, x_minimum + t, w_scale + n, w_sum + n, bias + n,
                  out + (size_t)t * out_stride + n, out_stride);
    }
  }
}
