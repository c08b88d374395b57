// One tile of the int8 product: out[rows][INT8_TILE_COLUMNS] (i32) = a[rows][4 * quads] (u8, 0..127) x b. b holds
// panels of 16 outputs, [quads][16 outputs][4 inputs] s8; a panel is 64 * quads bytes, panels follow each other.
// 0..127 x -127..127 keeps a sum of two products inside i16 (32,258), so every instruction set gives the same bits.
#pragma once
#include "../native/simd/tile-rows.h"
#include "../native/simd/vec.h"

INLINE uint32_t load_quad(const uint8_t *p) {
  uint32_t quad;
  memcpy(&quad, p, 4);
  return quad;
}

#if defined(VARIANT_VNNI)
#define INT8_TILE_ROWS 12
#define INT8_TILE_COLUMNS 32
INLINE void tile_int8(const uint8_t *a, size_t lda, int rows, const int8_t *b, size_t quads, int32_t *out) {
  __m512i acc[INT8_TILE_ROWS][2];
  const int8_t *b1 = b + 64 * quads;
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = _mm512_setzero_si512();
  for (size_t q = 0; q < quads; q++) {
    __m512i w0 = _mm512_loadu_si512(b + 64 * q), w1 = _mm512_loadu_si512(b1 + 64 * q);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
      __m512i x = _mm512_set1_epi32((int32_t)load_quad(a + r * lda + 4 * q));
      acc[r][0] = _mm512_dpbusd_epi32(acc[r][0], x, w0);
      acc[r][1] = _mm512_dpbusd_epi32(acc[r][1], x, w1);
    }
  }
  for (int r = 0; r < rows; r++) {
    _mm512_storeu_si512(out + r * 32, acc[r][0]);
    _mm512_storeu_si512(out + r * 32 + 16, acc[r][1]);
  }
}

#elif defined(VARIANT_AVX2)
#define INT8_TILE_ROWS 5
#define INT8_TILE_COLUMNS 16
INLINE void tile_int8(const uint8_t *a, size_t lda, int rows, const int8_t *b, size_t quads, int32_t *out) {
  __m256i acc[INT8_TILE_ROWS][2];
  const __m256i ones = _mm256_set1_epi16(1);
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  for (size_t q = 0; q < quads; q++) {
    __m256i w0 = _mm256_loadu_si256((const __m256i *)(b + 64 * q));
    __m256i w1 = _mm256_loadu_si256((const __m256i *)(b + 64 * q + 32));
#pragma GCC unroll 5
    for (int r = 0; r < rows; r++) {
      __m256i x = _mm256_set1_epi32((int32_t)load_quad(a + r * lda + 4 * q));
      acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w0), ones));
      acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w1), ones));
    }
  }
  for (int r = 0; r < rows; r++) {
    _mm256_storeu_si256((__m256i *)(out + r * 16), acc[r][0]);
    _mm256_storeu_si256((__m256i *)(out + r * 16 + 8), acc[r][1]);
  }
}

#elif defined(__wasm_relaxed_simd__)
// acc + four products of s8 weights and u7 activations in each lane. Every engine gives the same bits, because no sum of two
// products leaves i16. `fused` is what dot_is_fused gives.
INLINE v128_t dot_quads(v128_t acc, v128_t x, v128_t w, int fused) {
  if (fused) return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(w, x, acc);
  v128_t pairs = wasm_i16x8_relaxed_dot_i8x16_i7x16(w, x);
  return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(pairs, wasm_i16x8_splat(1)));
}
// Whether the dot with the addition is one instruction of the processor. Engines that lack it on x86 spend five or more, and three
// on the same in two steps. What operands beyond 7 bits give tells: VPDPBUSD takes one of them as u8, SDOT as s8, neither
// leaves out bits of a sum of two products. Any other answer is that of an engine where two steps are better, or safer.
INLINE int dot_is_fused(void) {
  v128_t sum = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_i8x16_splat(127), wasm_i8x16_splat(-1), wasm_i32x4_splat(0));
  int32_t answer = wasm_i32x4_extract_lane(sum, 0);
  return answer == 4 * 127 * 255 || answer == 4 * 127 * -1;
}

#define INT8_TILE_ROWS 6
#define INT8_TILE_COLUMNS 16
// Half a line of weights at a time, so that the sums of six rows fit in 16 registers. `b` moves: an address made from a counter
// costs engines an instruction a load, here a third of the speed.
INLINE void tile_int8_half(const uint8_t *a, size_t lda, int rows, const int8_t *b, size_t quads, int32_t *out,
                           int fused) {
  v128_t acc[INT8_TILE_ROWS][2];
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = wasm_i32x4_splat(0);
  for (size_t q = 0; q < quads; q++, b += 64) {
    v128_t w0 = wasm_v128_load(b), w1 = wasm_v128_load(b + 16);
    for (int r = 0; r < rows; r++) {
      v128_t x = wasm_v128_load32_splat(a + r * lda + 4 * q);
      acc[r][0] = dot_quads(acc[r][0], x, w0, fused);
      acc[r][1] = dot_quads(acc[r][1], x, w1, fused);
    }
  }
  for (int r = 0; r < rows; r++) {
    wasm_v128_store(out + r * 16, acc[r][0]);
    wasm_v128_store(out + r * 16 + 4, acc[r][1]);
  }
}
INLINE void tile_int8(const uint8_t *a, size_t lda, int rows, const int8_t *b, size_t quads, int32_t *out) {
  int fused = dot_is_fused();
  for (int half = 0; half < 2; half++) {
    if (fused) tile_int8_half(a, lda, rows, b + 32 * half, quads, out + 8 * half, 1);
    else tile_int8_half(a, lda, rows, b + 32 * half, quads, out + 8 * half, 0);
  }
}

#else
// 128-bit units: widen to i16 and multiply-add pairs, four outputs at a time; the two halves of a quad are joined last.
#define INT8_TILE_ROWS 6
#define INT8_TILE_COLUMNS 16
#if defined(VARIANT_WASM)
typedef v128_t v128;
INLINE v128 v128_zero(void) { return wasm_i32x4_splat(0); }
INLINE v128 v128_load(const void *p) { return wasm_v128_load(p); }
INLINE v128 widen_quad(uint32_t quad) { return wasm_u16x8_extend_low_u8x16(wasm_i32x4_splat((int32_t)quad)); }
INLINE v128 widen_low(v128 w) { return wasm_i16x8_extend_low_i8x16(w); }
INLINE v128 widen_high(v128 w) { return wasm_i16x8_extend_high_i8x16(w); }
INLINE v128 dot_add(v128 acc, v128 x, v128 w) { return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(x, w)); }
INLINE v128 join_pairs(v128 low, v128 high) {
  return wasm_i32x4_add(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), wasm_i32x4_shuffle(low, high, 1, 3, 5, 7));
}
INLINE void v128_store(void *p, v128 a) { wasm_v128_store(p, a); }
#elif defined(__SSE2__)
typedef __m128i v128;
INLINE v128 v128_zero(void) { return _mm_setzero_si128(); }
INLINE v128 v128_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE v128 widen_quad(uint32_t quad) { return _mm_unpacklo_epi8(_mm_set1_epi32((int32_t)quad), _mm_setzero_si128()); }
INLINE v128 widen_low(v128 w) { return _mm_srai_epi16(_mm_unpacklo_epi8(w, w), 8); }
INLINE v128 widen_high(v128 w) { return _mm_srai_epi16(_mm_unpackhi_epi8(w, w), 8); }
INLINE v128 dot_add(v128 acc, v128 x, v128 w) { return _mm_add_epi32(acc, _mm_madd_epi16(x, w)); }
INLINE v128 join_pairs(v128 low, v128 high) {
  __m128 l = _mm_castsi128_ps(low), h = _mm_castsi128_ps(high);
  return _mm_add_epi32(_mm_castps_si128(_mm_shuffle_ps(l, h, 0x88)), _mm_castps_si128(_mm_shuffle_ps(l, h, 0xdd)));
}
INLINE void v128_store(void *p, v128 a) { _mm_storeu_si128((__m128i *)p, a); }
#else
typedef int32x4_t v128;
INLINE v128 v128_zero(void) { return vdupq_n_s32(0); }
INLINE v128 v128_load(const void *p) { return vreinterpretq_s32_s8(vld1q_s8((const int8_t *)p)); }
INLINE v128 widen_quad(uint32_t quad) {
  return vreinterpretq_s32_u16(vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(quad))));
}
INLINE v128 widen_low(v128 w) { return vreinterpretq_s32_s16(vmovl_s8(vget_low_s8(vreinterpretq_s8_s32(w)))); }
INLINE v128 widen_high(v128 w) { return vreinterpretq_s32_s16(vmovl_s8(vget_high_s8(vreinterpretq_s8_s32(w)))); }
INLINE v128 dot_add(v128 acc, v128 x, v128 w) {
  int16x8_t xs = vreinterpretq_s16_s32(x), ws = vreinterpretq_s16_s32(w);
  int32x4_t low = vmull_s16(vget_low_s16(xs), vget_low_s16(ws));
  int32x4_t high = vmull_high_s16(xs, ws);
  return vaddq_s32(acc, vpaddq_s32(low, high));
}
INLINE v128 join_pairs(v128 low, v128 high) { return vpaddq_s32(low, high); }
INLINE void v128_store(void *p, v128 a) { vst1q_s32((int32_t *)p, a); }
#endif
#if defined(VARIANT_WASM)
// Engines spend an instruction on every widened operand and every address. So the activations of some quads are
// widened once for all four quarters and stored row beside row, so that one pointer reaches them all.
#define INT8_WIDE_QUADS 64
INLINE void widen_rows(const uint8_t *a, size_t lda, int rows, size_t quads, int16_t *to) {
  // Rows are padded to 16 inputs: quads come in fours.
  for (size_t q = 0; q < quads; q += 4)
    for (int r = 0; r < rows; r++) {
      v128 x = v128_load(a + r * lda + 4 * q);
      v128 low = wasm_u16x8_extend_low_u8x16(x), high = wasm_u16x8_extend_high_u8x16(x);
      int16_t *quad = to + 4 * (q * rows + r);
      wasm_v128_store64_lane(quad, low, 0);
      wasm_v128_store64_lane(quad + 4 * rows, low, 1);
      wasm_v128_store64_lane(quad + 8 * rows, high, 0);
      wasm_v128_store64_lane(quad + 12 * rows, high, 1);
    }
}
INLINE void tile_int8(const uint8_t *a, size_t lda, int rows, const int8_t *b, size_t quads, int32_t *out) {
  int16_t wide[4 * INT8_WIDE_QUADS * INT8_TILE_ROWS];
  v128 sums[4][2 * INT8_TILE_ROWS];
  for (size_t begin = 0; begin < quads; begin += INT8_WIDE_QUADS) {
    size_t count = quads - begin < INT8_WIDE_QUADS ? quads - begin : INT8_WIDE_QUADS;
    widen_rows(a + 4 * begin, lda, rows, count, wide);
    for (int quarter = 0; quarter < 4; quarter++) {
      v128 low[INT8_TILE_ROWS], high[INT8_TILE_ROWS];
      for (int r = 0; r < rows; r++) {
        low[r] = begin == 0 ? v128_zero() : sums[quarter][2 * r];
        high[r] = begin == 0 ? v128_zero() : sums[quarter][2 * r + 1];
      }
      const int8_t *w = b + 64 * begin + 16 * quarter;
      const int16_t *x = wide;
      for (size_t q = 0; q < count; q++, w += 64, x += 4 * rows) {
        v128 w0 = wasm_i16x8_load8x8(w), w1 = wasm_i16x8_load8x8(w + 8);
        for (int r = 0; r < rows; r++) {
          v128 quad = wasm_v128_load64_splat(x + 4 * r);
          low[r] = dot_add(low[r], quad, w0);
          high[r] = dot_add(high[r], quad, w1);
        }
      }
      for (int r = 0; r < rows; r++) {
        sums[quarter][2 * r] = low[r];
        sums[quarter][2 * r + 1] = high[r];
      }
    }
  }
  for (int quarter = 0; quarter < 4; quarter++)
    for (int r = 0; r < rows; r++)
      v128_store(out + r * 16 + 4 * quarter, join_pairs(sums[quarter][2 * r], sums[quarter][2 * r + 1]));
}
#else
INLINE void tile_int8(const uint8_t *a, size_t lda, int rows, const int8_t *b, size_t quads, int32_t *out) {
  for (int quarter = 0; quarter < 4; quarter++) {
    v128 low[INT8_TILE_ROWS], high[INT8_TILE_ROWS];
    for (int r = 0; r < rows; r++) low[r] = high[r] = v128_zero();
    for (size_t q = 0; q < quads; q++) {
      v128 w = v128_load(b + 64 * q + 16 * quarter);
      v128 w0 = widen_low(w), w1 = widen_high(w);
      for (int r = 0; r < rows; r++) {
        v128 x = widen_quad(load_quad(a + r * lda + 4 * q));
        low[r] = dot_add(low[r], x, w0);
        high[r] = dot_add(high[r], x, w1);
      }
    }
    for (int r = 0; r < rows; r++) v128_store(out + r * 16 + 4 * quarter, join_pairs(low[r], high[r]));
  }
}
#endif
#endif

// tile_int8 for 1..INT8_TILE_ROWS rows. Where registers are few, one copy serves all callers: inside their loops compilers would
// run out of them. Where there are 32, the call would cost more.
#if defined(VARIANT_VNNI)
#define TILE_INT8(a, lda, rows, b, quads, out) WITH_ROWS(INT8_TILE_ROWS, rows, tile_int8(a, lda, ROWS, b, quads, out))
#else
static __attribute__((noinline)) void tile_int8_rows(const uint8_t *a, size_t lda, int rows, const int8_t *b, size_t quads,
                                                     int32_t *out) {
  WITH_ROWS(INT8_TILE_ROWS, rows, tile_int8(a, lda, ROWS, b, quads, out))
}
#define TILE_INT8(a, lda, rows, b, quads, out) tile_int8_rows(a, lda, rows, b, quads, out);
#endif
