// Gradient of multi-head self-attention over a ragged batch. The weights are computed again from queries and keys: keeping them would
// take length^2 floats per head and sequence.
#pragma once
#include "../attention/attention.h"
#include "product.h"

// One head of one sequence. `qkv` is the first query of the head: its keys and values lie H and 2 H floats further in each row, and the
// gradients in d_qkv as well; d_out[length][H].
INLINE void attention_backward_head(const float *qkv, const float *d_out, float *d_qkv, size_t H, size_t length,
                                    size_t size, float *scratch) {
  size_t row = 3 * H, padded = (length + 31) / 32 * 32;
  float *weights = scratch, *d_weights = weights + length * padded, *packs = d_weights + length * padded;
  float scale = 1.0f / __builtin_sqrtf((float)size);
  struct matrix q = {qkv, row, 1}, k = {qkv + H, row, 1}, k_transposed = {qkv + H, 1, row};
  struct matrix v_transposed = {qkv + 2 * H, 1, row}, d_context = {d_out, H, 1};
  memset(weights, 0, 4 * 2 * length * padded);
  product(q, k_transposed, weights, padded, length, length, size, packs);
  product(d_context, v_transposed, d_weights, padded, length, length, size, packs);
  for (size_t t = 0; t < length; t++) {
    float *weight = weights + t * padded, *d = d_weights + t * padded;
    // Columns past the length become powers of two as well, up to the end of the vector: they are 0 again below.
    float inverse = attention_softmax(weight, (int32_t)length, 1.44269504088896341f * scale);
    vf factor = vf_set(inverse), total = vf_set(0);
    for (size_t n = length; n < padded; n++) weight[n] = 0;
    for (size_t n = 0; n < padded; n += LANES) {
      vf p = vf_mul(vf_load(weight + n), factor);
      vf_store(weight + n, p);
      total = vf_fma(p, vf_load(d + n), total);
    }
    vf mean = vf_set(vf_sum(total)), root = vf_set(scale);
    for (size_t n = 0; n < padded; n += LANES)
      vf_store(d + n, vf_mul(vf_mul(vf_load(weight + n), vf_sub(vf_load(d + n), mean)), root));
  }
  for (size_t t = 0; t < length; t++)
    for (size_t part = 0; part < 3; part++) memset(d_qkv + t * row + part * H, 0, 4 * size);
  struct matrix p_transposed = {weights, 1, padded}, ds = {d_weights, padded, 1}, ds_transposed = {d_weights, 1, padded};
  product(ds, k, d_qkv, row, length, size, length, packs);
  product(ds_transposed, q, d_qkv + H, row, length, size, length, packs);
  product(p_transposed, d_context, d_qkv + 2 * H, row, length, size, length, packs);
}

// d_qkv[T][3 H] from d_out[T][H], H = heads * size, for the sequences that begin at starts[d]; size is a multiple of 16.
// scratch: 2 * longest * pad32(longest) + PRODUCT_SCRATCH floats.
void KERNEL(attention_backward)(const float *qkv, const int32_t *starts, const float *d_out, float *d_qkv,
                                float *scratch, int32_t sequences, int32_t heads, int32_t size) {
  size_t H = (size_t)heads * size;
  for (int32_t d = 0; d < sequences; d++) {
    size_t first = (size_t)starts[d], length = (size_t)(starts[d + 1] - starts[d]);
    for (size_t h = 0; h < (size_t)heads; h++)
      attention_backward_head(qkv + first * 3 * H + h * size, d_out + first * H + h * size,
                              d_qkv + first * 3 * H + h * size, H, length, (size_t)size, scratch);
  }
}
