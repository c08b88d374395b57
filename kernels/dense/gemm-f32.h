// f32 product on packed weights: panels of 16 outputs, [K][16] floats each, outputs padded with 0 to a multiple of 32.
#pragma once
#include "../native/simd/tile-rows.h"
#include "../native/simd/vec.h"

#define F32_TILE_COLUMNS (2 * LANES)
#if LANES == 16
#define F32_TILE_ROWS 12
#elif LANES == 8
#define F32_TILE_ROWS 6
#else
#define F32_TILE_ROWS 4
#endif

// out[rows][2 * LANES] = a[rows][K] x outputs column .. column + 2 * LANES - 1 of the packed weights.
INLINE void tile_f32(const float *a, size_t lda, int rows, const float *b, size_t K, size_t column, float *out,
                     size_t out_stride) {
  vf acc[F32_TILE_ROWS][2];
  const float *b0 = b + (column / 16) * 16 * K + column % 16;
  const float *b1 = b + ((column + LANES) / 16) * 16 * K + (column + LANES) % 16;
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = vf_set(0);
  size_t k = 0;
#if defined(VARIANT_WASM)
  // Four inputs of a row in one load: engines compute an address per load, which costs as much as the load itself.
  for (; k + 4 <= K; k += 4) {
    vf x[F32_TILE_ROWS];
    for (int r = 0; r < rows; r++) x[r] = vf_load(a + r * lda + k);
#define F32_LANE(lane) { \
    vf w0 = vf_load(b0 + 16 * (k + lane)), w1 = vf_load(b1 + 16 * (k + lane)); \
    for (int r = 0; r < rows; r++) { \
      vf one = wasm_i32x4_shuffle(x[r], x[r], lane, lane, lane, lane); \
      acc[r][0] = vf_fma(one, w0, acc[r][0]); \
      acc[r][1] = vf_fma(one, w1, acc[r][1]); \
    } }
    F32_LANE(0) F32_LANE(1) F32_LANE(2) F32_LANE(3)
#undef F32_LANE
  }
#endif
  for (; k < K; k++) {
    vf w0 = vf_load(b0 + 16 * k), w1 = vf_load(b1 + 16 * k);
    __builtin_prefetch(b0 + 16 * (k + 24));
    __builtin_prefetch(b1 + 16 * (k + 24));
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
      vf x = vf_set(a[r * lda + k]);
      acc[r][0] = vf_fma(x, w0, acc[r][0]);
      acc[r][1] = vf_fma(x, w1, acc[r][1]);
    }
  }
  for (int r = 0; r < rows; r++) {
    vf_store(out + r * out_stride, acc[r][0]);
    vf_store(out + r * out_stride + LANES, acc[r][1]);
  }
}

// Rows that are multiplied with all outputs before the next rows: about 512 KiB, so that they stay in the second-level
// cache.
#define F32_BLOCK_FLOATS (1 << 17)

// out[t * N + n] = sum over k of x[t * K + k] * w[n][k] + bias[n]; bias is padded with the panels.
void KERNEL(gemm_f32)(const float *x, const float *w, const float *bias, float *out, int32_t T, int32_t K, int32_t N) {
  float acc[F32_TILE_ROWS * F32_TILE_COLUMNS];
  int32_t block = F32_BLOCK_FLOATS / K / F32_TILE_ROWS * F32_TILE_ROWS;
  if (block < F32_TILE_ROWS) block = F32_TILE_ROWS;
  for (int32_t begin = 0; begin < T; begin += block) {
    int32_t end = T - begin < block ? T : begin + block;
    for (int32_t n = 0; n < N; n += F32_TILE_COLUMNS) {
      for (int32_t t = begin; t < end; t += F32_TILE_ROWS) {
        int rows = end - t < F32_TILE_ROWS ? end - t : F32_TILE_ROWS;
        const float *tile = x + (size_t)t * K;
        WITH_ROWS(F32_TILE_ROWS, rows, tile_f32(tile, (size_t)K, ROWS, w, (size_t)K, (size_t)n, acc, F32_TILE_COLUMNS))
        for (int r = 0; r < rows; r++)
          for (int c = 0; c < F32_TILE_COLUMNS && n + c < N; c += LANES)
            vf_store_some(out + (size_t)(t + r) * N + n + c,
                          vf_add(vf_load(acc + r * F32_TILE_COLUMNS + c), vf_load(bias + n + c)), N - n - c);
      }
    }
  }
}
