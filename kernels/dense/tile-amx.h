// The int8 products on AMX tile registers: 32 rows x 32 outputs per step, 64 inputs per instruction. TDPBUSD sums u8 x
// s8 in i32 without saturation, so the integers equal those of tile-int8.h. The panels of 16 outputs, [quads][16][4],
// are the layout that TDPBUSD reads: nothing is packed again.
#pragma once
#include "tile-int8.h"

#if defined(VARIANT_AMX)
#define AMX_ROWS 32
#define AMX_COLUMNS 32
#define AMX_DEPTH 64
// With fewer rows the tiles are too empty, and the vector unit is as fast.
#define AMX_FEWEST_ROWS 6
// Sparse weights are unpacked first, which pays from this many rows on. Two panels at a time are unpacked into a
// buffer on the stack, which holds this many inputs.
#define AMX_FEWEST_ROWS_UNPACKED 24
#define AMX_MOST_UNPACKED 4096

// Tile registers: 0..3 sums, [rows 0..15 | 16..31] x [outputs 0..15 | 16..31]; 4, 5 activations; 6, 7 weights.
struct amx_shape {
  uint8_t palette, start_row, reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
};

// Tiles of `first` and `second` rows (second may be 0). The registers belong to the thread: a kernel that configures
// them releases them before it returns, so that a thread switch need not save 8 KiB.
INLINE void amx_configure(int first, int second) {
  struct amx_shape shape = {.palette = 1};
  for (int i = 0; i < 8; i++) shape.bytes[i] = 64;
  shape.rows[0] = shape.rows[1] = shape.rows[4] = (uint8_t)first;
  // A tile without rows is not valid; one row that is never used is.
  shape.rows[2] = shape.rows[3] = shape.rows[5] = (uint8_t)(second > 0 ? second : 1);
  shape.rows[6] = shape.rows[7] = 16;
  _tile_loadconfig(&shape);
}

INLINE int amx_pays(int32_t T, int32_t stride) { return T >= AMX_FEWEST_ROWS && stride >= AMX_DEPTH; }

INLINE int amx_pays_unpacked(int32_t T, int32_t stride) {
  return T >= AMX_FEWEST_ROWS_UNPACKED && stride >= AMX_DEPTH && stride <= AMX_MOST_UNPACKED;
}

// The last, incomplete 64 inputs of two panels. The matching activations are the last 64 bytes of a row, whose
// front was multiplied before: its weights are zeros here. So no byte past a row is read.
INLINE void amx_last_inputs(const int8_t *b, size_t stride, int8_t *last) {
  size_t rest = 16 * (stride % AMX_DEPTH);
  for (int panel = 0; panel < 2; panel++, b += 16 * stride, last += 1024) {
    memset(last, 0, 1024 - rest);
    memcpy(last + 1024 - rest, b + 16 * stride - rest, rest);
  }
}

#define AMX_STEP(both, a, lda, b0, b1) \
  do { \
    _tile_loadd(6, b0, 64); \
    _tile_loadd(7, b1, 64); \
    _tile_loadd(4, a, lda); \
    _tile_dpbusd(0, 4, 6); \
    _tile_dpbusd(1, 4, 7); \
    if (both) { \
      _tile_loadd(5, (a) + 16 * (lda), lda); \
      _tile_dpbusd(2, 5, 6); \
      _tile_dpbusd(3, 5, 7); \
    } \
  } while (0)

// acc[rows][32] (+)= a x two panels at b over the inputs from `begin` to `end`; it starts from 0 where begin is 0.
// Rows as configured, those of the second tiles only if `both`. Each step prefetches `lines` more cache lines from
// `ahead` on.
INLINE void tile_amx(const uint8_t *a, size_t lda, int both, const int8_t *b, size_t stride, size_t begin, size_t end,
                     const int8_t *last, int32_t *acc, const int8_t *ahead, int lines) {
  if (begin == 0) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, acc, 4 * AMX_COLUMNS);
    _tile_loadd(1, acc + 16, 4 * AMX_COLUMNS);
    _tile_loadd(2, acc + 16 * AMX_COLUMNS, 4 * AMX_COLUMNS);
    _tile_loadd(3, acc + 16 * AMX_COLUMNS + 16, 4 * AMX_COLUMNS);
  }
  size_t k = begin;
  for (; k + AMX_DEPTH <= end; k += AMX_DEPTH) {
    for (int i = 0; i < lines; i++, ahead += 64) _mm_prefetch(ahead, _MM_HINT_T1);
    AMX_STEP(both, a + k, lda, b + 16 * k, b + 16 * (k + stride));
  }
  if (k < end) AMX_STEP(both, a + stride - AMX_DEPTH, lda, last, last + 1024);
  _tile_stored(0, acc, 4 * AMX_COLUMNS);
  _tile_stored(1, acc + 16, 4 * AMX_COLUMNS);
  if (both) {
    _tile_stored(2, acc + 16 * AMX_COLUMNS, 4 * AMX_COLUMNS);
    _tile_stored(3, acc + 16 * AMX_COLUMNS + 16, 4 * AMX_COLUMNS);
  }
}

// Two panels of outputs n .. n + 31 in the dense layout: a part of the matrix, or unpacked into `buffer`.
typedef const int8_t *(*amx_panels)(void *weights, int32_t n, int8_t *buffer);
// Takes acc[rows][32], the sums of x rows t .. t + rows - 1 and outputs n .. n + 31.
typedef void (*amx_sink)(void *to, const int32_t *acc, int32_t t, int rows, int32_t n);

// Inputs that rows are multiplied with at once: their part of two panels, 32 KiB, stays in the first-level cache over
// some row blocks.
#define AMX_MOST_INPUTS 1024
#define AMX_BLOCKS 4

// Calls `sink` for every row and output once, in ascending order of rows within 32 outputs. `buffer` is passed to
// `panels`.
INLINE void amx_product(const uint8_t *x, int32_t T, int32_t stride, int32_t N, amx_panels panels, void *weights,
                        int8_t *buffer, amx_sink sink, void *to) {
  int32_t acc[AMX_BLOCKS][AMX_ROWS * AMX_COLUMNS] __attribute__((aligned(64)));
  int8_t last[2048] __attribute__((aligned(64)));
  size_t inputs = (size_t)stride, parts = (inputs + AMX_MOST_INPUTS - 1) / AMX_MOST_INPUTS;
  size_t part = (inputs / parts + AMX_DEPTH - 1) / AMX_DEPTH * AMX_DEPTH;
  int first = T < 16 ? T : 16, second = T < 32 ? T - first : 16, group = parts > 1 ? AMX_BLOCKS : 1;
  amx_configure(first, second);
  // While the rows are multiplied with two panels, the next two are prefetched: 2 KiB per 64 inputs. With few rows
  // there is only time for a quarter of that. This saves 5 % of encoding, where the weights of a layer come from the
  // shared cache.
  int blocks = (T + AMX_ROWS - 1) / AMX_ROWS, lines = blocks < 4 ? 8 : (32 + blocks - 1) / blocks;
  for (int32_t n = 0; n < N; n += AMX_COLUMNS) {
    const int8_t *b = panels(weights, n, buffer);
    if (inputs % AMX_DEPTH) amx_last_inputs(b, inputs, last);
    const int8_t *ahead = b + 32 * inputs;
    for (int32_t from = 0; from < T; from += group * AMX_ROWS) {
      for (size_t begin = 0; begin < inputs; begin += part) {
        size_t end = begin + part < inputs ? begin + part : inputs;
        for (int i = 0; i < group && from + i * AMX_ROWS < T; i++) {
          int32_t t = from + i * AMX_ROWS;
          int both = T - t > 16, rows = both ? first + second : first;
          // The last tiles begin early enough to be full: rows that were done before are computed again and skipped.
          const uint8_t *a = x + (size_t)(T - t < rows ? T - rows : t) * inputs;
          if (both) tile_amx(a, inputs, 1, b, inputs, begin, end, last, acc[i], ahead, lines);
          else tile_amx(a, inputs, 0, b, inputs, begin, end, last, acc[i], ahead, lines);
          ahead += 64 * (size_t)lines * ((end - begin) / AMX_DEPTH);
        }
      }
      for (int i = 0; i < group && from + i * AMX_ROWS < T; i++) {
        int32_t t = from + i * AMX_ROWS;
        int rows = T - t > 16 ? first + second : first, again = T - t < rows ? rows - (T - t) : 0;
        sink(to, acc[i] + again * AMX_COLUMNS, t, rows - again, n);
      }
    }
  }
  _tile_release();
}

struct amx_dense {
  const int8_t *w;
  int32_t stride;
};
INLINE const int8_t *amx_dense_panels(void *weights, int32_t n, int8_t *buffer) {
  const struct amx_dense *dense = weights;
  (void)buffer;
  return dense->w + (size_t)n * dense->stride;
}
#endif
