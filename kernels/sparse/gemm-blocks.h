// Products with block-sparse weights, tokens along the vector: the layout of Fast Sparse ConvNets (Elsen et al. 2019)
// with small blocks. From about 50 % zeros on, the speedup over the dense product is 1 / density.
#pragma once
#include "../dense/finish.h"

// counts[n] blocks for output n, in order; block i covers inputs 4 * inputs[i] .. + 3 with weights blocks[4 * i] .. +
// 3. scratch: stride * BLOCK_TOKENS bytes (BLOCK_TOKENS = 64 at most).

#if defined(VARIANT_VNNI)
#define BLOCK_VECTORS 4
typedef __m512i quads;
INLINE quads quads_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE quads quads_zero(void) { return _mm512_setzero_si512(); }
INLINE quads quads_weight(const int8_t *w) {
  return _mm512_set1_epi32((int32_t)load_quad((const uint8_t *)w));
}
INLINE quads quads_dot(quads acc, quads x, quads w) { return _mm512_dpbusd_epi32(acc, x, w); }
INLINE void quads_store(int32_t *p, quads a) { _mm512_storeu_si512(p, a); }
#elif defined(VARIANT_AVX2)
#define BLOCK_VECTORS 4
typedef __m256i quads;
INLINE quads quads_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE quads quads_zero(void) { return _mm256_setzero_si256(); }
INLINE quads quads_weight(const int8_t *w) {
  return _mm256_set1_epi32((int32_t)load_quad((const uint8_t *)w));
}
INLINE quads quads_dot(quads acc, quads x, quads w) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)));
}
INLINE void quads_store(int32_t *p, quads a) { _mm256_storeu_si256((__m256i *)p, a); }
#elif defined(__wasm_relaxed_simd__)
#define BLOCK_VECTORS 8
typedef v128_t quads;
INLINE quads quads_load(const uint8_t *p) { return wasm_v128_load(p); }
INLINE quads quads_zero(void) { return wasm_i32x4_splat(0); }
INLINE quads quads_weight(const int8_t *w) { return wasm_v128_load32_splat(w); }
// The form in two steps is the better one where it matters, and the loops stay single.
INLINE quads quads_dot(quads acc, quads x, quads w) { return dot_quads(acc, x, w, 0); }
INLINE void quads_store(int32_t *p, quads a) { wasm_v128_store(p, a); }
#else
#define BLOCK_VECTORS 4
typedef struct { v128 low, high; } quads;
INLINE quads quads_zero(void) { return (quads){v128_zero(), v128_zero()}; }
#if defined(VARIANT_WASM)
INLINE v128 block_low(v128 x) { return wasm_u16x8_extend_low_u8x16(x); }
INLINE v128 block_high(v128 x) { return wasm_u16x8_extend_high_u8x16(x); }
INLINE v128 block_weight(uint32_t w) { return wasm_i16x8_extend_low_i8x16(wasm_i32x4_splat((int32_t)w)); }
#elif defined(__SSE2__)
INLINE v128 block_low(v128 x) { return _mm_unpacklo_epi8(x, _mm_setzero_si128()); }
INLINE v128 block_high(v128 x) { return _mm_unpackhi_epi8(x, _mm_setzero_si128()); }
INLINE v128 block_weight(uint32_t w) { return widen_low(_mm_set1_epi32((int32_t)w)); }
#else
INLINE v128 block_low(v128 x) { return vreinterpretq_s32_u16(vmovl_u8(vget_low_u8(vreinterpretq_u8_s32(x)))); }
INLINE v128 block_high(v128 x) { return vreinterpretq_s32_u16(vmovl_u8(vget_high_u8(vreinterpretq_u8_s32(x)))); }
INLINE v128 block_weight(uint32_t w) { return widen_low(vdupq_n_s32((int32_t)w)); }
#endif
INLINE quads quads_load(const uint8_t *p) { return (quads){block_low(v128_load(p)), block_high(v128_load(p))}; }
INLINE quads quads_weight(const int8_t *w) {
  v128 wide = block_weight(load_quad((const uint8_t *)w));
  return (quads){wide, wide};
}
INLINE quads quads_dot(quads acc, quads x, quads w) {
  return (quads){dot_add(acc.low, x.low, w.low), dot_add(acc.high, x.high, w.high)};
}
INLINE void quads_store(int32_t *p, quads a) { v128_store(p, join_pairs(a.low, a.high)); }
#endif
#define BLOCK_TOKENS (BLOCK_VECTORS * LANES)

#if defined(VARIANT_AMX)
// The current position in the blocks: amx_product visits panels in order.
struct amx_block4 {
  const int8_t *blocks;
  const uint16_t *inputs;
  const int32_t *counts;
  int32_t stride, N;
};
// Unpacks two panels to the dense layout, where a block is one 32-bit element.
INLINE const int8_t *amx_block4_panels(void *weights, int32_t n, int8_t *buffer) {
  struct amx_block4 *own = weights;
  const int8_t *block = own->blocks;
  const uint16_t *input = own->inputs;
  memset(buffer, 0, 32 * (size_t)own->stride);
  int columns = own->N - n < AMX_COLUMNS ? own->N - n : AMX_COLUMNS;
  for (int c = 0; c < columns; c++) {
    int8_t *column = buffer + (size_t)(c / 16) * 16 * own->stride + c % 16 * 4;
    for (int32_t i = own->counts[n + c]; i > 0; i--, block += 4, input++)
      memcpy(column + 64 * (size_t)*input, block, 4);
  }
  own->blocks = block;
  own->inputs = input;
  return buffer;
}
#endif

void KERNEL(gemm_block4)(const uint8_t *x, const float *x_scale, const float *x_minimum, const int8_t *blocks,
                         const uint16_t *inputs, const int32_t *counts, const float *w_scale, const float *w_sum,
                         const float *bias, float *out, uint8_t *scratch, int32_t T, int32_t stride, int32_t N,
                         int32_t out_stride) {
#if defined(VARIANT_AMX)
  if (amx_pays_unpacked(T, stride)) {
    int8_t buffer[2 * 16 * AMX_MOST_UNPACKED] __attribute__((aligned(64)));
    struct amx_block4 own = {blocks, inputs, counts, stride, N};
    struct amx_rows rows = {x_scale, x_minimum, w_scale, w_sum, bias, out, (size_t)out_stride, N};
    amx_product(x, T, stride, N, amx_block4_panels, &own, buffer, amx_finish, &rows);
    return;
  }
#endif
  int32_t acc[16 * BLOCK_TOKENS], turned[BLOCK_TOKENS * 16];
  for (int32_t t = 0; t < T; t += BLOCK_TOKENS) {
    int tokens = T - t < BLOCK_TOKENS ? T - t : BLOCK_TOKENS;
    // [tokens][stride] becomes [stride / 4][BLOCK_TOKENS][4]; missing tokens are zeros.
    for (int row = 0; row < BLOCK_TOKENS; row += 4) {
      for (int32_t q = 0; q < stride / 4; q += 4) {
        int32_t *to = (int32_t *)scratch + (size_t)q * BLOCK_TOKENS + row;
        if (row + 4 <= tokens) {
          transpose_4x4((const int32_t *)(x + (size_t)(t + row) * stride) + q, (size_t)stride / 4, to, BLOCK_TOKENS);
          continue;
        }
        for (int i = 0; i < 4; i++)
          for (int j = 0; j < 4; j++) {
            int32_t quad = 0;
            if (row + j < tokens) memcpy(&quad, x + (size_t)(t + row + j) * stride + 4 * (q + i), 4);
            to[i * BLOCK_TOKENS + j] = quad;
          }
      }
    }
    const int8_t *w = blocks;
    const uint16_t *input = inputs;
    for (int32_t n = 0; n < N; n += 16) {
      int columns = N - n < 16 ? N - n : 16;
      for (int c = 0; c < columns; c++) {
        quads sum[BLOCK_VECTORS];
        for (int v = 0; v < BLOCK_VECTORS; v++) sum[v] = quads_zero();
        for (int32_t i = counts[n + c]; i > 0; i--, w += 4, input++) {
          const uint8_t *column = scratch + (size_t)*input * BLOCK_TOKENS * 4;
          quads weight = quads_weight(w);
          for (int v = 0; v < BLOCK_VECTORS; v++)
            sum[v] = quads_dot(sum[v], quads_load(column + v * LANES * 4), weight);
        }
        for (int v = 0; v < BLOCK_VECTORS; v++) quads_store(acc + c * BLOCK_TOKENS + v * LANES, sum[v]);
      }
      for (int c = 0; c < 16; c += 4)
        for (int row = 0; row < BLOCK_TOKENS; row += 4)
          transpose_4x4(acc + c * BLOCK_TOKENS + row, BLOCK_TOKENS, turned + row * 16 + c, 16);
      finish_tile(turned, tokens, columns, 16, x_scale + t, x_minimum + t, w_scale + n, w_sum + n, bias + n,
                  out + (size_t)t * out_stride + n, out_stride);
    }
  }
}
