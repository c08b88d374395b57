// Attention of f32 queries, keys and values on integer products: all become i16 with scales of their own, and so do the
// weights of the softmax, so that one instruction multiplies pairs where f32 takes two (VPDPWSSD, PMADDWD and their like).
// Sums are exact in i32. A wider i16 costs no time, which is why it is not i8: scores keep 12 bits of each factor.
#pragma once
#include "../dense/finish.h"
#include "../native/simd/tile-rows.h"

#define INT16_TILE_COLUMNS (2 * LANES)
#if LANES == 16
#define INT16_TILE_ROWS 12
#elif LANES == 8
#define INT16_TILE_ROWS 5
#else
#define INT16_TILE_ROWS 4
#endif

// out[rows][2 * LANES], as f32, = a[rows][2 * pairs] x outputs column .. column + 2 * LANES - 1 of b, in panels of 16 outputs,
// [pairs][16][2].
INLINE void tile_int16(const int16_t *a, size_t lda, int rows, const int16_t *b, size_t pairs, size_t column, float *out,
                       size_t out_stride) {
  vi acc[INT16_TILE_ROWS][2];
  const int16_t *b0 = b + (column / 16) * 32 * pairs + column % 16 * 2;
  const int16_t *b1 = b + ((column + LANES) / 16) * 32 * pairs + (column + LANES) % 16 * 2;
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = vi_set(0);
  for (size_t k = 0; k < pairs; k++, a += 2, b0 += 32, b1 += 32) {
    vi w0 = vi_load((const int32_t *)b0), w1 = vi_load((const int32_t *)b1);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
      vi x = vi_load_pair(a + r * lda);
      acc[r][0] = vi_dot_pairs(acc[r][0], x, w0);
      acc[r][1] = vi_dot_pairs(acc[r][1], x, w1);
    }
  }
  for (int r = 0; r < rows; r++) {
    vf_store(out + r * out_stride, vf_from_int(acc[r][0]));
    vf_store(out + r * out_stride + LANES, vf_from_int(acc[r][1]));
  }
}

// A function of its own: inside a larger one, gcc keeps the sums in memory.
static __attribute__((noinline)) void product_int16(const int16_t *a, size_t lda, int rows, const int16_t *b, size_t pairs,
                                                    size_t column, float *out, size_t out_stride) {
  WITH_ROWS(INT16_TILE_ROWS, rows, tile_int16(a, lda, ROWS, b, pairs, column, out, out_stride))
}

INLINE vf vf_abs(vf x) { return vf_max(x, vf_sub(vf_set(0), x)); }

struct int16_attention {
  int16_t *keys;       // panels of [size / 2][16 keys][2]
  int16_t *values;     // panels of [pairs of tokens][16 columns][2]
  float *key_top;      // [size]: the largest magnitude of each column
  float *value_scale;  // [size]: what a value's unit stands for
  float *scores;       // [INT16_TILE_ROWS][padded]
  int16_t *weights;    // [INT16_TILE_ROWS][padded]
  int16_t *rows;       // [16][size]: rows on the way to the panels, then the queries
  float level, value_level;
  float log_level;     // base 2, of the largest weight
};

// Levels are such that no sum leaves i32: size products of both factors of a score, length products of weight and value.
INLINE struct int16_attention int16_plan(float *scratch, int32_t length, int32_t size) {
  size_t padded = ((size_t)length + 31) / 32 * 32, wide = ((size_t)size + 31) / 32 * 32;
  struct int16_attention own;
  own.keys = (int16_t *)scratch;
  own.values = own.keys + padded * size;
  own.scores = (float *)(own.values + padded * wide);
  own.weights = (int16_t *)(own.scores + padded * INT16_TILE_ROWS);
  own.key_top = (float *)(own.weights + (padded + LANES) * INT16_TILE_ROWS);
  own.value_scale = own.key_top + wide;
  own.rows = (int16_t *)(own.value_scale + wide);
  const float most = 2.1e9f, values = most / (16384.0f * (float)length);
  float level = __builtin_floorf(__builtin_sqrtf(most / (float)size));
  own.level = level < 16383 ? level : 16383;
  own.value_level = __builtin_floorf(values < 255 ? 255 : values > 16383 ? 16383 : values);
  float weight_level = __builtin_floorf(most / (own.value_level * (float)length));
  own.log_level = 14;
  while (own.log_level > 0 && (float)(1 << (int)own.log_level) > weight_level) own.log_level--;
  return own;
}

// top[size] = the largest magnitude of each column of from[length][row].
INLINE void column_tops(const float *from, size_t row, int32_t length, int32_t size, float *top) {
  for (int32_t k = 0; k < size; k += LANES) {
    vf most = vf_set(0);
    for (int32_t t = 0; t < length; t++) most = vf_max(most, vf_abs(vf_load(from + (size_t)t * row + k)));
    vf_store(top + k, most);
  }
}

// Keys are divided by the tops of their columns, which the queries take up: an outlying column costs the others no bits.
INLINE void int16_keys(const float *keys, size_t row, int32_t length, int32_t size, struct int16_attention *own) {
  float inverse[1024];
  column_tops(keys, row, length, size, own->key_top);
  for (int32_t k = 0; k < size; k++) inverse[k] = own->key_top[k] > 1e-30f ? own->level / own->key_top[k] : 0;
  int32_t padded = (length + 31) / 32 * 32;
  for (int32_t t = 0; t < padded; t += 4) {
    for (int i = 0; i < 4; i++)
      for (int32_t k = 0; k < size; k += LANES) {
        vf x = t + i < length ? vf_load(keys + (size_t)(t + i) * row + k) : vf_set(0);
        vi_store_i16(own->rows + i * size + k, vf_round(vf_mul(x, vf_load(inverse + k))));
      }
    int16_t *panel = own->keys + (size_t)(t / 16) * 16 * size + t % 16 * 2;
    for (int32_t k = 0; k < size / 2; k += 4)
      transpose_4x4((const int32_t *)own->rows + k, (size_t)size / 2, (int32_t *)panel + 16 * k, 16);
  }
}

// Values of two tokens side by side; a missing last token is 0.
INLINE void int16_values(const float *values, size_t row, int32_t length, int32_t size, struct int16_attention *own) {
  float inverse[1024];
  column_tops(values, row, length, size, own->value_scale);
  for (int32_t k = 0; k < size; k++) {
    inverse[k] = own->value_scale[k] > 1e-30f ? own->value_level / own->value_scale[k] : 0;
    own->value_scale[k] /= own->value_level;
  }
  size_t pairs = ((size_t)length + 1) / 2;
  for (size_t p = 0; p < pairs; p++) {
    const float *first = values + 2 * p * row, *second = first + row;
    int has_second = 2 * p + 1 < (size_t)length;
    for (int32_t k = 0; k < size; k += LANES) {
      vf scale = vf_load(inverse + k);
      vi low = vf_round(vf_mul(vf_load(first + k), scale));
      vi high = has_second ? vf_round(vf_mul(vf_load(second + k), scale)) : vi_set(0);
      vi_store((int32_t *)(own->values + (size_t)(k / 16) * 32 * pairs + 32 * p + k % 16 * 2), vi_pairs(low, high));
    }
    // The panel beside the last one, where a tile is wider than the columns that are left.
    for (int32_t k = size; k < (size + 31) / 32 * 32; k += LANES)
      vi_store((int32_t *)(own->values + (size_t)(k / 16) * 32 * pairs + 32 * p + k % 16 * 2), vi_set(0));
  }
}

// A query times the tops of the key columns as i16; returns what a unit of its scores stands for.
INLINE float int16_query(const float *query, int32_t size, const struct int16_attention *own, int16_t *to) {
  vf most = vf_set(0);
  for (int32_t k = 0; k < size; k += LANES) most = vf_max(most, vf_abs(vf_mul(vf_load(query + k), vf_load(own->key_top + k))));
  float top = vf_top(most);
  vf inverse = vf_set(top > 1e-30f ? own->level / top : 0);
  for (int32_t k = 0; k < size; k += LANES)
    vi_store_i16(to + k, vf_round(vf_mul(vf_mul(vf_load(query + k), vf_load(own->key_top + k)), inverse)));
  return top / (own->level * own->level);
}

// Scores become weights 2^((score - largest) * factor + log_level) as i16, 0 past the length; returns 1 / their sum.
INLINE float int16_softmax(const float *score, int32_t length, float factor, float log_level, int16_t *weights) {
  int32_t whole = length / LANES * LANES;
  vf top0 = vf_set(score[0]), top1 = top0, total0 = vf_set(0), total1 = total0;
  int32_t n = 0;
  for (; n + 2 * LANES <= whole; n += 2 * LANES) {
    top0 = vf_max(top0, vf_load(score + n));
    top1 = vf_max(top1, vf_load(score + n + LANES));
  }
  if (n < whole) top0 = vf_max(top0, vf_load(score + n));
  if (whole < length) top1 = vf_max(top1, vf_load_part(score + whole, length - whole, score[0]));
  vf scale = vf_set(factor), shift = vf_set(log_level - vf_top(vf_max(top0, top1)) * factor);
  for (n = 0; n + 2 * LANES <= whole; n += 2 * LANES) {
    vf e0 = vf_exp2(vf_fma(vf_load(score + n), scale, shift));
    vf e1 = vf_exp2(vf_fma(vf_load(score + n + LANES), scale, shift));
    total0 = vf_add(total0, e0);
    total1 = vf_add(total1, e1);
    vi_store_i16(weights + n, vf_round(e0));
    vi_store_i16(weights + n + LANES, vf_round(e1));
  }
  for (; n < length; n += LANES) {
    vf e = vf_exp2(vf_fma(vf_load_some(score + n, length - n, score[0]), scale, shift));
    if (length - n < LANES) {
      float last[LANES];
      vf_store(last, e);
      e = vf_load_part(last, length - n, 0);
    }
    total0 = vf_add(total0, e);
    vi_store_i16(weights + n, vf_round(e));
  }
  // The partner of an odd last token.
  weights[length] = 0;
  return 1.0f / vf_sum(vf_add(total0, total1));
}

// The first `asking` queries of one head of one sequence; base as in attention_pack, out[length][H].
INLINE void attention_head_int16(const float *base, size_t row, size_t H, int32_t length, int32_t asking, int32_t size,
                                 float factor, float *out, const struct int16_attention *own) {
  size_t padded = ((size_t)length + 31) / 32 * 32, lda = padded + LANES, pairs = ((size_t)length + 1) / 2;
  float mixed[INT16_TILE_ROWS * INT16_TILE_COLUMNS], unit[INT16_TILE_ROWS], weight[INT16_TILE_ROWS];
  for (int32_t t = 0; t < asking; t += INT16_TILE_ROWS) {
    int rows = asking - t < INT16_TILE_ROWS ? asking - t : INT16_TILE_ROWS;
    for (int r = 0; r < rows; r++)
      unit[r] = factor * int16_query(base + (size_t)(t + r) * row, size, own, own->rows + r * size);
    for (size_t n = 0; n < padded; n += INT16_TILE_COLUMNS)
      product_int16(own->rows, (size_t)size, rows, own->keys, (size_t)size / 2, n, own->scores + n, padded);
    for (int r = 0; r < rows; r++)
      weight[r] = int16_softmax(own->scores + r * padded, length, unit[r], own->log_level, own->weights + r * lda);
    for (size_t c = 0; c < (size_t)size; c += INT16_TILE_COLUMNS) {
      product_int16(own->weights, lda, rows, own->values, pairs, c, mixed, INT16_TILE_COLUMNS);
      int columns = (size_t)size - c < INT16_TILE_COLUMNS ? (int)((size_t)size - c) : INT16_TILE_COLUMNS;
      for (int r = 0; r < rows; r++)
        for (int i = 0; i < columns; i += LANES) {
          vf scale = vf_mul(vf_load(own->value_scale + c + i), vf_set(weight[r]));
          vf_store(out + (size_t)(t + r) * H + c + i, vf_mul(vf_load(mixed + r * INT16_TILE_COLUMNS + i), scale));
        }
    }
  }
}
