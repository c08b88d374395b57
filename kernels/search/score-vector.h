// Vectors of u32 scores: the few operations that the scans need, once per instruction set.
#pragma once
#include "../native/simd/vec.h"

#if defined(__AVX2__)
typedef __m256i vs; // 8 scores
#define SCORES 8
#define vs_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define vs_store(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define vs_zero() _mm256_setzero_si256()
#define vs_set(x) _mm256_set1_epi32((int)(x))
#define vs_greater(a, b) _mm256_cmpgt_epi32(a, b)
#define vs_or(a, b) _mm256_or_si256(a, b)
#define vs_mask(v) ((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(v)))
#elif defined(__SSE2__)
#include <emmintrin.h>
typedef __m128i vs; // 4 scores
#define SCORES 4
#define vs_load(p) _mm_loadu_si128((const __m128i *)(p))
#define vs_store(p, v) _mm_storeu_si128((__m128i *)(p), v)
#define vs_zero() _mm_setzero_si128()
#define vs_set(x) _mm_set1_epi32((int)(x))
#define vs_greater(a, b) _mm_cmpgt_epi32(a, b)
#define vs_or(a, b) _mm_or_si128(a, b)
#define vs_mask(v) ((unsigned)_mm_movemask_ps(_mm_castsi128_ps(v)))
#define vs_add(a, b) _mm_add_epi32(a, b)
#define vs_interleave_low8(a, b) _mm_unpacklo_epi8(a, b)
#define vs_interleave_high8(a, b) _mm_unpackhi_epi8(a, b)
#define vs_madd16(a, b) _mm_madd_epi16(a, b)
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
typedef v128_t vs;
#define SCORES 4
#define vs_load(p) wasm_v128_load(p)
#define vs_store(p, v) wasm_v128_store(p, v)
#define vs_zero() wasm_i32x4_splat(0)
#define vs_set(x) wasm_i32x4_splat((int)(x))
#define vs_greater(a, b) wasm_i32x4_gt(a, b)
#define vs_or(a, b) wasm_v128_or(a, b)
#define vs_mask(v) ((unsigned)wasm_i32x4_bitmask(v))
#define vs_add(a, b) wasm_i32x4_add(a, b)
#define vs_interleave_low8(a, b) wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define vs_interleave_high8(a, b) wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define vs_madd16(a, b) wasm_i32x4_dot_i16x8(a, b)
#elif defined(__aarch64__)
#include <arm_neon.h>
typedef uint8x16_t vs;
#define SCORES 4
#define vs_load(p) vld1q_u8((const uint8_t *)(p))
#define vs_store(p, v) vst1q_u8((uint8_t *)(p), v)
#define vs_zero() vdupq_n_u8(0)
#define vs_set(x) vreinterpretq_u8_u32(vdupq_n_u32(x))
#define vs_greater(a, b) vreinterpretq_u8_u32(vcgtq_s32(vreinterpretq_s32_u8(a), vreinterpretq_s32_u8(b)))
#define vs_or(a, b) vorrq_u8(a, b)
INLINE unsigned vs_mask(vs v) {
  static const uint32_t bits[4] = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(vreinterpretq_u32_u8(v), vld1q_u32(bits)));
}
#define vs_add(a, b) vreinterpretq_u8_u32(vaddq_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)))
#define vs_interleave_low8(a, b) vzip1q_u8(a, b)
#define vs_interleave_high8(a, b) vzip2q_u8(a, b)
INLINE vs vs_madd16(vs a, vs b) {
  const int16x8_t x = vreinterpretq_s16_u8(a), y = vreinterpretq_s16_u8(b);
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
  return vreinterpretq_u8_s32(vpaddq_s32(low, high));
}
#else
#error "posting kernels need SSE2, NEON or WebAssembly SIMD"
#endif
