// Multi-head self-attention over a ragged batch: sequences follow each other without padding, each attends to itself.
#pragma once
#include "attention-amx.h"
#include "attention-int16.h"
#include "../dense/finish.h"
#include "../dense/gemm-f32.h"

// Keys become a packed matrix of `length` outputs and `size` inputs, values one of `size` outputs, as tile_f32 reads
// them. `base` is the first query of a head; its keys and values lie H and 2 H floats further in each `row`.
INLINE void attention_pack(const float *base, size_t row, size_t H, int32_t length, int32_t size, float *keys,
                           float *values) {
  size_t padded = ((size_t)length + 31) / 32 * 32, wide = ((size_t)size + 31) / 32 * 32;
  for (size_t t = 0; t < padded; t += 4) {
    float *key = keys + (t / 16) * 16 * size + t % 16;
    const float *from = base + t * row + H;
    if (t + 4 <= (size_t)length) {
      for (int32_t k = 0; k < size; k += 4)
        transpose_4x4((const int32_t *)(from + k), row, (int32_t *)(key + 16 * k), 16);
      continue;
    }
    for (size_t i = 0; i < 4; i++)
      for (int32_t k = 0; k < size; k++) key[16 * k + i] = t + i < (size_t)length ? from[i * row + k] : 0;
  }
  for (int32_t t = 0; t < length; t++)
    for (size_t panel = 0; panel < wide; panel += 16) {
      float *to = values + panel * length + 16 * (size_t)t;
      if (panel < (size_t)size) memcpy(to, base + (size_t)t * row + 2 * H + panel, 64);
      else memset(to, 0, 64);
    }
}

// Scores become unscaled weights 2^(score * factor - largest); returns 1 / their sum. Columns past the length hold 0
// scores: they are computed too, and left out of the sum.
INLINE float attention_softmax(float *score, int32_t length, float factor) {
  int32_t whole = length / LANES * LANES;
  vf top = vf_set(score[0]);
  for (int32_t n = 0; n < whole; n += LANES) top = vf_max(top, vf_load(score + n));
  if (whole < length) top = vf_max(top, vf_load_part(score + whole, length - whole, score[0]));
  vf scale = vf_set(factor), shift = vf_set(-vf_top(top) * factor), total = vf_set(0);
  for (int32_t n = 0; n < length; n += LANES) {
    vf e = vf_exp2(vf_min(vf_fma(vf_load(score + n), scale, shift), vf_set(0)));
    vf_store(score + n, e);
    if (n < whole) total = vf_add(total, e);
    else total = vf_add(total, vf_load_part(score + n, length - n, 0));
  }
  return 1.0f / vf_sum(total);
}

// One head of one sequence on the vector unit; base as in attention_pack, out[length][H], of which the first `asking` rows
// are written.
INLINE void attention_head(const float *base, size_t row, size_t H, int32_t length, int32_t asking, int32_t size,
                           float factor, float *out, float *scratch) {
  size_t padded = ((size_t)length + 31) / 32 * 32, wide = ((size_t)size + 31) / 32 * 32;
  float *keys = scratch, *values = keys + padded * size, *scores = values + padded * wide;
  float *mixed = scores + padded * 12;
  attention_pack(base, row, H, length, size, keys, values);
  for (int32_t t = 0; t < asking; t += F32_TILE_ROWS) {
    int rows = asking - t < F32_TILE_ROWS ? asking - t : F32_TILE_ROWS;
    const float *queries = base + (size_t)t * row;
    for (size_t n = 0; n < padded; n += F32_TILE_COLUMNS)
      WITH_ROWS(F32_TILE_ROWS, rows, tile_f32(queries, row, ROWS, keys, (size_t)size, n, scores + n, padded))
    float weight[F32_TILE_ROWS];
    for (int r = 0; r < rows; r++) weight[r] = attention_softmax(scores + r * padded, length, factor);
    for (size_t c = 0; c < (size_t)size; c += F32_TILE_COLUMNS) {
      WITH_ROWS(F32_TILE_ROWS, rows,
                tile_f32(scores, padded, ROWS, values, (size_t)length, c, mixed, F32_TILE_COLUMNS))
      size_t columns = (size_t)size - c < F32_TILE_COLUMNS ? (size_t)size - c : F32_TILE_COLUMNS;
      for (int r = 0; r < rows; r++)
        for (size_t i = 0; i < columns; i++)
          out[(size_t)(t + r) * H + c + i] = mixed[r * F32_TILE_COLUMNS + i] * weight[r];
    }
  }
}

// qkv[T][3 * H] holds query, key, value of H = heads * size columns; sequence d owns rows starts[d] ..
// starts[d + 1] - 1. out[T][H] = softmax(q k^T / sqrt(size)) v per head, for the first `queries` rows of each sequence; the
// others are not written. size is a multiple of 16.
// scratch: (2 * pad32(size) + 32) * pad32(longest sequence) + 32 * pad32(size) floats, 64-byte aligned.
void KERNEL(attention)(const float *qkv, const int32_t *starts, float *out, float *scratch, int32_t sequences,
                       int32_t queries, int32_t heads, int32_t size) {
  size_t H = (size_t)heads * size, row = 3 * H;
  // softmax by powers of two: e^(s / sqrt(size)) = 2^(s * factor)
  float factor = 1.44269504088896341f / __builtin_sqrtf((float)size);
  for (int32_t d = 0; d < sequences; d++) {
    int32_t length = starts[d + 1] - starts[d];
    int32_t asking = queries < length ? queries : length;
    const float *base = qkv + (size_t)starts[d] * row;
    float *to = out + (size_t)starts[d] * H;
#if defined(VARIANT_AMX)
    // Tiles are computed whole, which few queries do not pay.
    if (asking == length && length >= ATTENTION_QUERIES / 2) {
      amx_configure(16, length < ATTENTION_QUERIES ? length - 16 : 16);
      for (int32_t h = 0; h < heads; h++)
        attention_head_amx(base + (size_t)h * size, row, H, length, size, factor, to + (size_t)h * size, scratch);
      _tile_release();
      continue;
    }
#endif
    for (int32_t h = 0; h < heads; h++)
      attention_head(base + (size_t)h * size, row, H, length, asking, size, factor, to + (size_t)h * size, scratch);
  }
}

// As attention, within 4e-3 of the largest result: i16 products where they are faster. `scratch` holds f32 and i16 here.
void KERNEL(attention_int16)(const float *qkv, const int32_t *starts, float *out, float *scratch, int32_t sequences,
                             int32_t queries, int32_t heads, int32_t size) {
#if defined(VARIANT_AMX)
  JOIN(attention, VARIANT)(qkv, starts, out, scratch, sequences, queries, heads, size);
#else
  size_t H = (size_t)heads * size, row = 3 * H;
  float factor = 1.44269504088896341f / __builtin_sqrtf((float)size);
  for (int32_t d = 0; d < sequences; d++) {
    int32_t length = starts[d + 1] - starts[d];
    if (length == 0) continue;
    int32_t asking = queries < length ? queries : length;
    const float *base = qkv + (size_t)starts[d] * row;
    float *to = out + (size_t)starts[d] * H;
    struct int16_attention own = int16_plan(scratch, length, size);
    for (int32_t h = 0; h < heads; h++) {
      int16_keys(base + H + (size_t)h * size, row, length, size, &own);
      int16_values(base + 2 * H + (size_t)h * size, row, length, size, &own);
      attention_head_int16(base + (size_t)h * size, row, H, length, asking, size, factor, to + (size_t)h * size, &own);
    }
  }
#endif
}
