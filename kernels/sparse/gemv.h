// Products for one token: a matrix-vector product that skips inputs of little weight, and so reads less memory.
#pragma once
#include "../native/simd/vec.h"

// out[N] = bias + sum over the k with |x[k]| * norms[k] > threshold of x[k] * w[k][N]; w is f32 [K][N], row k = input
// k. norms == NULL means 1 (magnitude alone: TEAL, CATS); norms = column norms gives WINA (arXiv 2505.19427).
// threshold < 0 keeps every input. Returns how many inputs were used. `kept` has room for K i32.
int32_t KERNEL(gemv_thresholded)(const float *x, const float *norms, float threshold, const float *w,
                                 const float *bias, float *out, int32_t *kept, int32_t K, int32_t N) {
  int32_t count = 0;
  for (int32_t k = 0; k < K; k++) {
    kept[count] = k;
    count += __builtin_fabsf(x[k]) * (norms ? norms[k] : 1.0f) > threshold;
  }
  for (int32_t n = 0; n < N; n += LANES) vf_store_some(out + n, vf_load_some(bias + n, N - n, 0), N - n);
  int32_t i = 0;
  // Four rows per pass: the sums are loaded and stored once for four rows of weights.
  for (; i + 4 <= count; i += 4) {
    const float *w0 = w + (size_t)kept[i] * N, *w1 = w + (size_t)kept[i + 1] * N;
    const float *w2 = w + (size_t)kept[i + 2] * N, *w3 = w + (size_t)kept[i + 3] * N;
    vf x0 = vf_set(x[kept[i]]), x1 = vf_set(x[kept[i + 1]]), x2 = vf_set(x[kept[i + 2]]), x3 = vf_set(x[kept[i + 3]]);
    for (int32_t n = 0; n < N; n += LANES) {
      int left = N - n;
      vf sum = vf_fma(x0, vf_load_some(w0 + n, left, 0), vf_load_some(out + n, left, 0));
      sum = vf_fma(x1, vf_load_some(w1 + n, left, 0), sum);
      sum = vf_fma(x2, vf_load_some(w2 + n, left, 0), sum);
      sum = vf_fma(x3, vf_load_some(w3 + n, left, 0), sum);
      vf_store_some(out + n, sum, left);
    }
  }
  for (; i < count; i++) {
    const float *row = w + (size_t)kept[i] * N;
    vf scale = vf_set(x[kept[i]]);
    for (int32_t n = 0; n < N; n += LANES) {
      vf sum = vf_fma(scale, vf_load_some(row + n, N - n, 0), vf_load_some(out + n, N - n, 0));
      vf_store_some(out + n, sum, N - n);
    }
  }
  return count;
}
