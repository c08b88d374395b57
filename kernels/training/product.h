// Product of two f32 matrices with any strides, for forward and backward steps: A B, A B^T and A^T B are one loop.
#pragma once
#include "../dense/finish.h"
#include "../dense/gemm-f32.h"

// A block of b, [PRODUCT_K][PRODUCT_N] packed, stays in the second-level cache (256 KiB); a tile of it and the rows of a that it meets
// stay in the first one.
#define PRODUCT_K 256
#define PRODUCT_N 256

struct matrix {
  const float *values;
  size_t row, column; // floats from one row, and from one column, to the next
};

// packed[K][TILE_COLUMNS] = b rows 0 .. K - 1, columns 0 .. columns - 1, then zeros.
INLINE void product_pack_b(struct matrix b, size_t K, size_t columns, float *packed) {
  if (columns < F32_TILE_COLUMNS) memset(packed, 0, 4 * K * F32_TILE_COLUMNS);
  if (b.column == 1) {
    if (columns == F32_TILE_COLUMNS)
      for (size_t k = 0; k < K; k++) memcpy(packed + k * F32_TILE_COLUMNS, b.values + k * b.row, 4 * F32_TILE_COLUMNS);
    else
      for (size_t k = 0; k < K; k++) memcpy(packed + k * F32_TILE_COLUMNS, b.values + k * b.row, 4 * columns);
    return;
  }
  size_t n = 0;
  for (; b.row == 1 && n + 4 <= columns; n += 4) {
    size_t k = 0;
    for (; k + 4 <= K; k += 4)
      transpose_4x4((const int32_t *)(b.values + n * b.column + k), b.column,
                    (int32_t *)(packed + k * F32_TILE_COLUMNS + n), F32_TILE_COLUMNS);
    for (; k < K; k++)
      for (size_t i = n; i < n + 4; i++) packed[k * F32_TILE_COLUMNS + i] = b.values[i * b.column + k];
  }
  for (; n < columns; n++)
    for (size_t k = 0; k < K; k++) packed[k * F32_TILE_COLUMNS + n] = b.values[k * b.row + n * b.column];
}

// c[rows][columns] += a[rows][K] x packed b; a's element (r, k) is a[r * row + k * step].
INLINE void product_tile(const float *a, size_t row, size_t step, int rows, const float *b, size_t K, float *c,
                         size_t c_row, size_t columns) {
  vf acc[F32_TILE_ROWS][2];
  for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = vf_set(0);
  for (size_t k = 0; k < K; k++) {
    vf b0 = vf_load(b + k * F32_TILE_COLUMNS), b1 = vf_load(b + k * F32_TILE_COLUMNS + LANES);
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
      vf x = vf_set(a[r * row + k * step]);
      acc[r][0] = vf_fma(x, b0, acc[r][0]);
      acc[r][1] = vf_fma(x, b1, acc[r][1]);
    }
  }
  for (int r = 0; r < rows; r++) {
    float *to = c + r * c_row;
    if (columns == F32_TILE_COLUMNS) {
      vf_store(to, vf_add(vf_load(to), acc[r][0]));
      vf_store(to + LANES, vf_add(vf_load(to + LANES), acc[r][1]));
      continue;
    }
    float sum[F32_TILE_COLUMNS];
    vf_store(sum, acc[r][0]);
    vf_store(sum + LANES, acc[r][1]);
    for (size_t i = 0; i < columns; i++) to[i] += sum[i];
  }
}

#define PRODUCT_SCRATCH (PRODUCT_K * PRODUCT_N + F32_TILE_ROWS * PRODUCT_K)

// c[M][N] += a[M][K] b[K][N]; scratch: PRODUCT_SCRATCH floats. An element is a sum over k in ascending blocks of PRODUCT_K, whatever M
// and N are, so that its bits do not depend on how rows and columns are divided among calls.
static void product(struct matrix a, struct matrix b, float *c, size_t c_row, size_t M, size_t N, size_t K,
                    float *scratch) {
  float *rows_of_a = scratch + PRODUCT_K * PRODUCT_N;
  for (size_t k0 = 0; k0 < K; k0 += PRODUCT_K) {
    size_t depth = K - k0 < PRODUCT_K ? K - k0 : PRODUCT_K;
    for (size_t n0 = 0; n0 < N; n0 += PRODUCT_N) {
      size_t width = N - n0 < PRODUCT_N ? N - n0 : PRODUCT_N;
      for (size_t n = 0; n < width; n += F32_TILE_COLUMNS) {
        struct matrix block = {b.values + k0 * b.row + (n0 + n) * b.column, b.row, b.column};
        size_t columns = width - n < F32_TILE_COLUMNS ? width - n : F32_TILE_COLUMNS;
        product_pack_b(block, depth, columns, scratch + n * depth);
      }
      for (size_t m = 0; m < M; m += F32_TILE_ROWS) {
        int rows = M - m < F32_TILE_ROWS ? (int)(M - m) : F32_TILE_ROWS;
        const float *from = a.values + m * a.row + k0 * a.column;
        size_t row = a.row, step = 1;
        if (a.column != 1) {
          // A transposed operand: the rows of the tile lie side by side, a page or more apart from one k to the next.
          if (a.row == 1 && rows == F32_TILE_ROWS)
            for (size_t k = 0; k < depth; k++)
              memcpy(rows_of_a + k * F32_TILE_ROWS, from + k * a.column, 4 * F32_TILE_ROWS);
          else
            for (size_t k = 0; k < depth; k++)
              for (int r = 0; r < rows; r++) rows_of_a[k * F32_TILE_ROWS + r] = from[k * a.column + r * a.row];
          from = rows_of_a;
          row = 1;
          step = F32_TILE_ROWS;
        }
        for (size_t n = 0; n < width; n += F32_TILE_COLUMNS) {
          size_t columns = width - n < F32_TILE_COLUMNS ? width - n : F32_TILE_COLUMNS;
          float *to = c + m * c_row + n0 + n;
          if (step == 1)
            WITH_ROWS(F32_TILE_ROWS, rows,
                      product_tile(from, row, 1, ROWS, scratch + n * depth, depth, to, c_row, columns))
          else
            WITH_ROWS(F32_TILE_ROWS, rows, product_tile(from, 1, F32_TILE_ROWS, ROWS, scratch + n * depth, depth, to,
                                                        c_row, columns))
        }
      }
    }
  }
}

// c[m * c_row + n] = (accumulate ? c : bias[n] or 0) + sum over k of a[m * a_row + k * a_column] * b[k * b_row + n * b_column].
void KERNEL(gemm_strided)(const float *a, const float *b, const float *bias, float *c, float *scratch, int32_t M,
                          int32_t N, int32_t K, int32_t a_row, int32_t a_column, int32_t b_row, int32_t b_column,
                          int32_t c_row, int32_t accumulate) {
  if (!accumulate)
    for (int32_t m = 0; m < M; m++) {
      float *to = c + (size_t)m * c_row;
      if (bias) memcpy(to, bias, 4 * (size_t)N);
      else memset(to, 0, 4 * (size_t)N);
    }
  struct matrix first = {a, (size_t)a_row, (size_t)a_column}, second = {b, (size_t)b_row, (size_t)b_column};
  product(first, second, c, (size_t)c_row, (size_t)M, (size_t)N, (size_t)K, scratch);
}
