// Row-wise steps of training: LayerNorm and GELU with their gradients, sums over rows, AdamW. T rows, K columns, all f32.
#pragma once
#include "../native/simd/vec.h"

// normal = (s - mean) / deviation with s = x + residual, inverse = 1 / deviation of each row, out = normal * gamma + beta.
// `residual` may be NULL; what the gradient needs is kept: normal and inverse.
void KERNEL(layer_norm_forward)(const float *x, const float *residual, const float *gamma, const float *beta,
                                float epsilon, float *normal, float *inverse, float *out, int32_t T, int32_t K) {
  for (int32_t t = 0; t < T; t++) {
    const float *row = x + (size_t)t * K, *other = residual ? residual + (size_t)t * K : NULL;
    float *norm = normal + (size_t)t * K, *to = out + (size_t)t * K;
    vf total = vf_set(0), squares = vf_set(0);
    for (int32_t k = 0; k < K; k += LANES) {
      vf v = vf_load_some(row + k, K - k, 0);
      if (other) v = vf_add(v, vf_load_some(other + k, K - k, 0));
      total = vf_add(total, v);
      vf_store_some(norm + k, v, K - k);
    }
    float mean = vf_sum(total) / (float)K;
    vf center = vf_set(mean);
    for (int32_t k = 0; k < K; k += LANES) {
      vf d = vf_sub(vf_load_some(norm + k, K - k, mean), center);
      squares = vf_fma(d, d, squares);
    }
    inverse[t] = 1.0f / __builtin_sqrtf(vf_sum(squares) / (float)K + epsilon);
    vf factor = vf_set(inverse[t]);
    for (int32_t k = 0; k < K; k += LANES) {
      vf v = vf_mul(vf_sub(vf_load_some(norm + k, K - k, 0), center), factor);
      vf_store_some(norm + k, v, K - k);
      vf_store_some(to + k, vf_fma(v, vf_load_some(gamma + k, K - k, 0), vf_load_some(beta + k, K - k, 0)), K - k);
    }
  }
}

// dx = inverse * (g - mean(g) - normal * mean(g * normal)) with g = d_out * gamma, by row. dx may be d_out.
void KERNEL(layer_norm_backward)(const float *d_out, const float *normal, const float *inverse, const float *gamma,
                                 float *dx, int32_t T, int32_t K) {
  for (int32_t t = 0; t < T; t++) {
    const float *row = d_out + (size_t)t * K, *norm = normal + (size_t)t * K;
    float *to = dx + (size_t)t * K;
    vf total = vf_set(0), product = vf_set(0);
    for (int32_t k = 0; k < K; k += LANES) {
      vf g = vf_mul(vf_load_some(row + k, K - k, 0), vf_load_some(gamma + k, K - k, 0));
      total = vf_add(total, g);
      product = vf_fma(g, vf_load_some(norm + k, K - k, 0), product);
    }
    vf mean = vf_set(vf_sum(total) / (float)K), share = vf_set(vf_sum(product) / (float)K);
    vf factor = vf_set(inverse[t]);
    for (int32_t k = 0; k < K; k += LANES) {
      vf g = vf_mul(vf_load_some(row + k, K - k, 0), vf_load_some(gamma + k, K - k, 0));
      vf rest = vf_sub(vf_sub(g, mean), vf_mul(vf_load_some(norm + k, K - k, 0), share));
      vf_store_some(to + k, vf_mul(rest, factor), K - k);
    }
  }
}

// The derivative of GELU is Phi(x) + x phi(x): dx = d_out * that. dx may be d_out.
void KERNEL(gelu_backward)(const float *x, const float *d_out, float *dx, int32_t count) {
  for (int32_t k = 0; k < count; k += LANES) {
    vf v = vf_load_some(x + k, count - k, 0);
    vf below = vf_fma(vf_set(0.5f), vf_erf(vf_mul(v, vf_set(0.70710678118654752f))), vf_set(0.5f));
    // phi(x) = e^(-x^2 / 2) / sqrt(2 pi), as a power of two.
    vf bell = vf_mul(vf_exp2(vf_mul(vf_mul(v, v), vf_set(-0.72134752044448170f))), vf_set(0.39894228040143268f));
    vf slope = vf_fma(v, bell, below);
    vf_store_some(dx + k, vf_mul(slope, vf_load_some(d_out + k, count - k, 0)), count - k);
  }
}

// out[k] += sum over t of x[t * stride + k], times other[t * stride + k] where `other` is not NULL. Rows are added in their order.
void KERNEL(column_sums)(const float *x, const float *other, float *out, int32_t T, int32_t K, int32_t stride) {
  for (int32_t k = 0; k < K; k += 4 * LANES) {
    vf sum[4];
    int parts = (K - k + LANES - 1) / LANES < 4 ? (K - k + LANES - 1) / LANES : 4;
    for (int i = 0; i < parts; i++) sum[i] = vf_set(0);
    for (int32_t t = 0; t < T; t++) {
      size_t at = (size_t)t * stride + k;
      for (int i = 0; i < parts; i++) {
        int left = K - k - i * LANES;
        vf v = vf_load_some(x + at + i * LANES, left, 0);
        sum[i] = other ? vf_fma(v, vf_load_some(other + at + i * LANES, left, 0), sum[i]) : vf_add(sum[i], v);
      }
    }
    for (int i = 0; i < parts; i++) {
      int left = K - k - i * LANES;
      vf_store_some(out + k + i * LANES, vf_add(vf_load_some(out + k + i * LANES, left, 0), sum[i]), left);
    }
  }
}

// out[0] = sum of squares of x[count].
void KERNEL(sum_squares)(const float *x, float *out, int32_t count) {
  vf sum = vf_set(0);
  for (int32_t k = 0; k < count; k += LANES) {
    vf v = vf_load_some(x + k, count - k, 0);
    sum = vf_fma(v, v, sum);
  }
  out[0] = vf_sum(sum);
}

// AdamW (Loshchilov & Hutter, arXiv 1711.05101): w, of `rows` rows `stride` apart, by its gradient g[rows][K] times `clip`, with the
// moments first and second [rows][K].
//   first = beta1 first + (1 - beta1) g, second = beta2 second + (1 - beta2) g^2
//   w = w (1 - decay) - rate * first / (sqrt(second) * root_correction + epsilon)
// The caller divides the rate by 1 - beta1^t, and gives 1 / sqrt(1 - beta2^t) as root_correction.
void KERNEL(adamw)(float *w, const float *g, float *first, float *second, int32_t rows, int32_t K, int32_t stride,
                   float clip, float rate, float decay, float beta1, float beta2, float root_correction,
                   float epsilon) {
  for (int32_t r = 0; r < rows; r++) {
    float *to = w + (size_t)r * stride;
    size_t at = (size_t)r * K;
    for (int32_t k = 0; k < K; k++) {
      float d = g[at + k] * clip;
      float m = first[at + k] = beta1 * first[at + k] + (1 - beta1) * d;
      float v = second[at + k] = beta2 * second[at + k] + (1 - beta2) * d * d;
      to[k] = to[k] * (1 - decay) - rate * m / (__builtin_sqrtf(v) * root_correction + epsilon);
    }
  }
}
