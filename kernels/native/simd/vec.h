// The only vocabulary that the kernels use for f32 and i32 vectors, once per instruction set.
// A file of this folder is compiled once per VARIANT (see ../build.mjs): amx, vnni, avx2, baseline (SSE2), neon, wasm.
// LANES is the number of 32-bit lanes; every load and store may be unaligned.
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __wasm__
// No C library: both become memory.copy and memory.fill instructions.
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#else
#include <string.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#ifdef __wasm__
#define KERNEL(name) __attribute__((export_name(#name))) JOIN(name, VARIANT)
#else
#define KERNEL(name) JOIN(name, VARIANT)
#endif

#if defined(VARIANT_AMX)
// Processors with AMX have all of AVX-512 VNNI: what is not written for tiles takes that form.
#define VARIANT_VNNI
#endif

#if defined(VARIANT_VNNI)
#include <immintrin.h>
#define LANES 16
typedef __m512 vf;
typedef __m512i vi;
INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE vf vf_set(float a) { return _mm512_set1_ps(a); }
INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
// Within 2 ulps for a finite, normal b; the instruction for exact division takes 16 cycles, a third of a GELU.
INLINE vf vf_div(vf a, vf b) {
  vf inverse = _mm512_rcp14_ps(b);
  return _mm512_mul_ps(a, _mm512_mul_ps(inverse, _mm512_fnmadd_ps(b, inverse, _mm512_set1_ps(2.0f))));
}
INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vi vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
INLINE void vi_store(int32_t *p, vi a) { _mm512_storeu_si512(p, a); }
INLINE vf vf_from_int(vi a) { return _mm512_cvtepi32_ps(a); }
INLINE vi vf_round(vf a) { return _mm512_cvtps_epi32(a); }
INLINE vi vi_set(int32_t a) { return _mm512_set1_epi32(a); }
// As an instruction and not as the intrinsic: in a loop over many sums, gcc 12 copies each sum before the intrinsic adds to it, and
// runs out of registers.
INLINE vi vi_dot_pairs(vi acc, vi a, vi b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
  return acc;
}
INLINE vi vi_pairs(vi low, vi high) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_slli_epi32(high, 16));
}
INLINE void vi_store_i16(int16_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtsepi32_epi16(a)); }
INLINE vf vf_pow2(vi n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(127)), 23)); }
INLINE float vf_sum(vf a) { return _mm512_reduce_add_ps(a); }
INLINE float vf_top(vf a) { return _mm512_reduce_max_ps(a); }
INLINE float vf_bottom(vf a) { return _mm512_reduce_min_ps(a); }
// Stores lane values 0..127 as bytes.
INLINE void vi_store_u8(uint8_t *p, vi a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
// The same for four vectors at once.
INLINE void vi_store_u8x4(uint8_t *p, const vi a[4]) {
  vi words0 = _mm512_packs_epi32(a[0], a[1]), words1 = _mm512_packs_epi32(a[2], a[3]);
  const vi order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(p, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(words0, words1)));
}

#elif defined(VARIANT_AVX2)
#include <immintrin.h>
#define LANES 8
typedef __m256 vf;
typedef __m256i vi;
INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
INLINE vf vf_set(float a) { return _mm256_set1_ps(a); }
INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vi vi_load(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE void vi_store(int32_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, a); }
INLINE vf vf_from_int(vi a) { return _mm256_cvtepi32_ps(a); }
INLINE vi vf_round(vf a) { return _mm256_cvtps_epi32(a); }
INLINE vi vi_set(int32_t a) { return _mm256_set1_epi32(a); }
INLINE vi vi_dot_pairs(vi acc, vi a, vi b) { return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)); }
INLINE vi vi_pairs(vi low, vi high) { return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa); }
INLINE void vi_store_i16(int16_t *p, vi a) {
  _mm_storeu_si128((__m128i *)p, _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}
INLINE vf vf_pow2(vi n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
INLINE void vi_store_u8(uint8_t *p, vi a) {
  __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
}

#elif defined(VARIANT_BASELINE) && defined(__SSE2__)
#include <emmintrin.h>
#define LANES 4
typedef __m128 vf;
typedef __m128i vi;
INLINE vf vf_load(const float *p) { return _mm_loadu_ps(p); }
INLINE void vf_store(float *p, vf a) { _mm_storeu_ps(p, a); }
INLINE vf vf_set(float a) { return _mm_set1_ps(a); }
INLINE vf vf_add(vf a, vf b) { return _mm_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm_mul_ps(a, b); }
INLINE vf vf_div(vf a, vf b) { return _mm_div_ps(a, b); }
INLINE vf vf_max(vf a, vf b) { return _mm_max_ps(a, b); }
INLINE vf vf_min(vf a, vf b) { return _mm_min_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
INLINE vi vi_load(const int32_t *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE void vi_store(int32_t *p, vi a) { _mm_storeu_si128((__m128i *)p, a); }
INLINE vf vf_from_int(vi a) { return _mm_cvtepi32_ps(a); }
INLINE vi vf_round(vf a) { return _mm_cvtps_epi32(a); }
INLINE vi vi_set(int32_t a) { return _mm_set1_epi32(a); }
INLINE vi vi_dot_pairs(vi acc, vi a, vi b) { return _mm_add_epi32(acc, _mm_madd_epi16(a, b)); }
INLINE vi vi_pairs(vi low, vi high) {
  return _mm_or_si128(_mm_and_si128(low, _mm_set1_epi32(0xffff)), _mm_slli_epi32(high, 16));
}
INLINE void vi_store_i16(int16_t *p, vi a) { _mm_storel_epi64((__m128i *)p, _mm_packs_epi32(a, a)); }
INLINE vf vf_pow2(vi n) { return _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(n, _mm_set1_epi32(127)), 23)); }
INLINE void vi_store_u8(uint8_t *p, vi a) {
  __m128i words = _mm_packs_epi32(a, a);
  int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  memcpy(p, &bytes, 4);
}

#elif defined(VARIANT_WASM)
#include <wasm_simd128.h>
#define LANES 4
typedef v128_t vf;
typedef v128_t vi;
INLINE vf vf_load(const float *p) { return wasm_v128_load(p); }
INLINE void vf_store(float *p, vf a) { wasm_v128_store(p, a); }
INLINE vf vf_set(float a) { return wasm_f32x4_splat(a); }
INLINE vf vf_add(vf a, vf b) { return wasm_f32x4_add(a, b); }
INLINE vf vf_sub(vf a, vf b) { return wasm_f32x4_sub(a, b); }
INLINE vf vf_mul(vf a, vf b) { return wasm_f32x4_mul(a, b); }
INLINE vf vf_div(vf a, vf b) { return wasm_f32x4_div(a, b); }
INLINE vf vf_max(vf a, vf b) { return wasm_f32x4_pmax(a, b); }
INLINE vf vf_min(vf a, vf b) { return wasm_f32x4_pmin(a, b); }
#ifdef __wasm_relaxed_simd__
// One instruction each where engines would otherwise spend several; nothing out of range gets here.
INLINE vf vf_fma(vf a, vf b, vf c) { return wasm_f32x4_relaxed_madd(a, b, c); }
INLINE vi vf_round(vf a) { return wasm_i32x4_relaxed_trunc_f32x4(wasm_f32x4_nearest(a)); }
#else
INLINE vf vf_fma(vf a, vf b, vf c) { return wasm_f32x4_add(wasm_f32x4_mul(a, b), c); }
INLINE vi vf_round(vf a) { return wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_nearest(a)); }
#endif
INLINE vi vi_load(const int32_t *p) { return wasm_v128_load(p); }
INLINE void vi_store(int32_t *p, vi a) { wasm_v128_store(p, a); }
INLINE vf vf_from_int(vi a) { return wasm_f32x4_convert_i32x4(a); }
INLINE vi vi_set(int32_t a) { return wasm_i32x4_splat(a); }
INLINE vi vi_dot_pairs(vi acc, vi a, vi b) { return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(a, b)); }
INLINE vi vi_pairs(vi low, vi high) {
  return wasm_v128_or(wasm_v128_and(low, wasm_i32x4_splat(0xffff)), wasm_i32x4_shl(high, 16));
}
INLINE void vi_store_i16(int16_t *p, vi a) { wasm_v128_store64_lane(p, wasm_i16x8_narrow_i32x4(a, a), 0); }
INLINE vf vf_pow2(vi n) { return wasm_i32x4_shl(wasm_i32x4_add(n, wasm_i32x4_splat(127)), 23); }
INLINE void vi_store_u8(uint8_t *p, vi a) {
  v128_t words = wasm_i16x8_narrow_i32x4(a, a);
  int32_t bytes = wasm_i32x4_extract_lane(wasm_u8x16_narrow_i16x8(words, words), 0);
  memcpy(p, &bytes, 4);
}

#elif defined(VARIANT_BASELINE) && defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#define LANES 4
typedef float32x4_t vf;
typedef int32x4_t vi;
INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
INLINE vf vf_set(float a) { return vdupq_n_f32(a); }
INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
INLINE vf vf_max(vf a, vf b) { return vmaxq_f32(a, b); }
INLINE vf vf_min(vf a, vf b) { return vminq_f32(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
INLINE vi vi_load(const int32_t *p) { return vld1q_s32(p); }
INLINE void vi_store(int32_t *p, vi a) { vst1q_s32(p, a); }
INLINE vf vf_from_int(vi a) { return vcvtq_f32_s32(a); }
INLINE vi vf_round(vf a) { return vcvtnq_s32_f32(a); }
INLINE vi vi_set(int32_t a) { return vdupq_n_s32(a); }
INLINE vi vi_dot_pairs(vi acc, vi a, vi b) {
  int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
  return vaddq_s32(acc, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
}
INLINE vi vi_pairs(vi low, vi high) { return vbslq_s32(vdupq_n_u32(0xffff), low, vshlq_n_s32(high, 16)); }
INLINE void vi_store_i16(int16_t *p, vi a) { vst1_s16(p, vqmovn_s32(a)); }
INLINE vf vf_pow2(vi n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)); }
INLINE void vi_store_u8(uint8_t *p, vi a) {
  uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(a));
  uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
  vst1_lane_u32((uint32_t *)p, vreinterpret_u32_u8(bytes), 0);
}

#else
#error "no vector unit known for this target: the WASM build serves it"
#endif

// Two neighbouring i16 in every lane.
INLINE vi vi_load_pair(const int16_t *p) {
#if defined(VARIANT_WASM)
  return wasm_v128_load32_splat(p);
#else
  int32_t pair;
  memcpy(&pair, p, 4);
  return vi_set(pair);
#endif
}

#if LANES != 16
INLINE float vf_sum(vf a) {
  float lanes[LANES], total = 0;
  vf_store(lanes, a);
  for (int i = 0; i < LANES; i++) total += lanes[i];
  return total;
}
INLINE float vf_top(vf a) {
  float lanes[LANES];
  vf_store(lanes, a);
  float top = lanes[0];
  for (int i = 1; i < LANES; i++) top = lanes[i] > top ? lanes[i] : top;
  return top;
}
INLINE float vf_bottom(vf a) {
  float lanes[LANES];
  vf_store(lanes, a);
  float bottom = lanes[0];
  for (int i = 1; i < LANES; i++) bottom = lanes[i] < bottom ? lanes[i] : bottom;
  return bottom;
}
#endif

// Loads or stores the first `count` (1..LANES) lanes and touches no other memory; missing lanes read as `fill`.
INLINE vf vf_load_part(const float *p, int count, float fill) {
  float lanes[LANES];
  for (int i = 0; i < LANES; i++) lanes[i] = i < count ? p[i] : fill;
  return vf_load(lanes);
}
INLINE void vf_store_part(float *p, vf a, int count) {
  float lanes[LANES];
  vf_store(lanes, a);
  for (int i = 0; i < count; i++) p[i] = lanes[i];
}

#if LANES != 16
INLINE void vi_store_u8x4(uint8_t *p, const vi a[4]) {
  for (int i = 0; i < 4; i++) vi_store_u8(p + i * LANES, a[i]);
}
#endif

// 2^x within 3e-7 (relative) for x in [-126, 126]; smaller x gives at most 2^-126. A polynomial through Chebyshev's
// points on |f| <= 1/2.
INLINE vf vf_exp2(vf x) {
#if LANES == 16
  vf f = _mm512_reduce_ps(x, 0), n = vf_sub(x, f);
#else
  x = vf_max(x, vf_set(-126.0f));
  vi n = vf_round(x);
  vf f = vf_sub(x, vf_from_int(n));
#endif
  vf p = vf_set(1.3390863e-3f);
  p = vf_fma(p, f, vf_set(9.6760319e-3f));
  p = vf_fma(p, f, vf_set(5.5503571e-2f));
  p = vf_fma(p, f, vf_set(2.4022107e-1f));
  p = vf_fma(p, f, vf_set(6.9314719e-1f));
  p = vf_fma(p, f, vf_set(1.0f));
#if LANES == 16
  return _mm512_scalef_ps(p, n);
#else
  return vf_mul(p, vf_pow2(n));
#endif
}

// erf(x) within 4e-7: an odd/even minimax fraction on [-4, 4], beyond which f32 erf is 1.
INLINE vf vf_erf(vf x) {
  x = vf_min(vf_max(x, vf_set(-4.0f)), vf_set(4.0f));
  vf x2 = vf_mul(x, x);
  vf p = vf_set(-2.72614225801306e-10f);
  p = vf_fma(p, x2, vf_set(2.77068142495902e-08f));
  p = vf_fma(p, x2, vf_set(-2.10102402082508e-06f));
  p = vf_fma(p, x2, vf_set(-5.69250639462346e-05f));
  p = vf_fma(p, x2, vf_set(-7.34990630326855e-04f));
  p = vf_fma(p, x2, vf_set(-2.95459980854025e-03f));
  p = vf_fma(p, x2, vf_set(-1.60960333262415e-02f));
  vf q = vf_set(-1.45660718464996e-05f);
  q = vf_fma(q, x2, vf_set(-2.13374055278905e-04f));
  q = vf_fma(q, x2, vf_set(-1.68282697438203e-03f));
  q = vf_fma(q, x2, vf_set(-7.37332916720468e-03f));
  q = vf_fma(q, x2, vf_set(-1.42647390514189e-02f));
  return vf_div(vf_mul(x, p), q);
}

// x/2 (1 + erf(x / sqrt 2)), the GELU of BERT.
INLINE vf vf_gelu(vf x) {
  vf half = vf_mul(x, vf_set(0.5f));
  return vf_fma(half, vf_erf(vf_mul(x, vf_set(0.70710678118654752f))), half);
}

// Row tails: `left` >= 1 elements remain, of which this vector takes at most LANES.
INLINE vf vf_load_some(const float *p, int left, float fill) {
  return left >= LANES ? vf_load(p) : vf_load_part(p, left, fill);
}
INLINE void vf_store_some(float *p, vf a, int left) {
  if (left >= LANES) vf_store(p, a);
  else vf_store_part(p, a, left);
}
