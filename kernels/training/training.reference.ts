// The specification of the kernels that only training uses.
import type { ReferenceKernel } from '../runtime/reference-kernel.ts';

export const gemmStrided: ReferenceKernel<'gemm_strided'> = ({ f32 }, call) => {
  const { a, b, bias, c, M, N, K, aRow, aColumn, bRow, bColumn, cRow, accumulate } = call;
  for (let m = 0; m < M; m++)
    for (let n = 0; n < N; n++) {
      const at = c / 4 + m * cRow + n;
      let sum = accumulate ? f32[at]! : bias ? f32[bias / 4 + n]! : 0;
      for (let k = 0; k < K; k++)
        sum += f32[a / 4 + m * aRow + k * aColumn]! * f32[b / 4 + k * bRow + n * bColumn]!;
      f32[at] = sum;
    }
};

export const layerNormForward: ReferenceKernel<'layer_norm_forward'> = ({ f32 }, call) => {
  const { x, residual, gamma, beta, epsilon, normal, inverse, out, T, K } = call;
  for (let t = 0; t < T; t++) {
    const row = t * K;
    const sum = Array.from(
      { length: K },
      (_, k) => f32[x / 4 + row + k]! + (residual ? f32[residual / 4 + row + k]! : 0),
    );
    const mean = sum.reduce((total, v) => total + v, 0) / K;
    const variance = sum.reduce((total, v) => total + (v - mean) ** 2, 0) / K;
    const factor = 1 / Math.sqrt(variance + epsilon);
    f32[inverse / 4 + t] = factor;
    sum.forEach((v, k) => {
      const value = (v - mean) * factor;
      f32[normal / 4 + row + k] = value;
      f32[out / 4 + row + k] = value * f32[gamma / 4 + k]! + f32[beta / 4 + k]!;
    });
  }
};

export const layerNormBackward: ReferenceKernel<'layer_norm_backward'> = ({ f32 }, call) => {
  const { dOut, normal, inverse, gamma, dx, T, K } = call;
  for (let t = 0; t < T; t++) {
    const row = t * K;
    const g = Array.from({ length: K }, (_, k) => f32[dOut / 4 + row + k]! * f32[gamma / 4 + k]!);
    const mean = g.reduce((total, v) => total + v, 0) / K;
    const share = g.reduce((total, v, k) => total + v * f32[normal / 4 + row + k]!, 0) / K;
    g.forEach((v, k) => {
      f32[dx / 4 + row + k] = (v - mean - f32[normal / 4 + row + k]! * share) * f32[inverse / 4 + t]!;
    });
  }
};

export const columnSums: ReferenceKernel<'column_sums'> = ({ f32 }, { x, other, out, T, K, stride }) => {
  for (let k = 0; k < K; k++) {
    let sum = 0;
    for (let t = 0; t < T; t++)
      sum += f32[x / 4 + t * stride + k]! * (other ? f32[other / 4 + t * stride + k]! : 1);
    f32[out / 4 + k] = f32[out / 4 + k]! + sum;
  }
};

export const sumSquares: ReferenceKernel<'sum_squares'> = ({ f32 }, { x, out, count }) => {
  let sum = 0;
  for (let k = 0; k < count; k++) sum += f32[x / 4 + k]! ** 2;
  f32[out / 4] = sum;
};

export const adamw: ReferenceKernel<'adamw'> = ({ f32 }, call) => {
  const { w, g, first, second, rows, K, stride, clip, rate, decay, beta1, beta2, rootCorrection, epsilon } =
    call;
  for (let r = 0; r < rows; r++)
    for (let k = 0; k < K; k++) {
      const [at, to] = [r * K + k, w / 4 + r * stride + k];
      const d = f32[g / 4 + at]! * clip;
      const m = beta1 * f32[first / 4 + at]! + (1 - beta1) * d;
      const v = beta2 * f32[second / 4 + at]! + (1 - beta2) * d * d;
      f32[first / 4 + at] = m;
      f32[second / 4 + at] = v;
      f32[to] = f32[to]! * (1 - decay) - (rate * m) / (Math.sqrt(v) * rootCorrection + epsilon);
    }
};

export const attentionBackward: ReferenceKernel<'attention_backward'> = ({ f32, i32 }, call) => {
  const { qkv, starts, dOut, dQkv, sequences, heads, size } = call;
  const H = heads * size;
  for (let d = 0; d < sequences; d++) {
    const first = i32[starts / 4 + d]!;
    const length = i32[starts / 4 + d + 1]! - first;
    for (let h = 0; h < heads; h++) {
      // Part 0, 1, 2: query, key, value.
      const at = (t: number, part: number, k: number) => (first + t) * 3 * H + part * H + h * size + k;
      const value = (t: number, part: number, k: number) => f32[qkv / 4 + at(t, part, k)]!;
      const dContext = (t: number, k: number) => f32[dOut / 4 + (first + t) * H + h * size + k]!;
      const gradient = Array.from({ length: length * 3 * size }, () => 0);
      const add = (t: number, part: number, k: number, v: number) => {
        gradient[(t * 3 + part) * size + k]! += v;
      };
      const sum = (term: (k: number) => number, count = size) => {
        let total = 0;
        for (let k = 0; k < count; k++) total += term(k);
        return total;
      };
      for (let t = 0; t < length; t++) {
        const scores = Array.from(
          { length },
          (_, n) => sum((k) => value(t, 0, k) * value(n, 1, k)) / Math.sqrt(size),
        );
        const top = Math.max(...scores);
        const total = scores.reduce((all, s) => all + Math.exp(s - top), 0);
        const weights = scores.map((s) => Math.exp(s - top) / total);
        const dWeights = weights.map((_, n) => sum((k) => dContext(t, k) * value(n, 2, k)));
        const mean = sum((n) => weights[n]! * dWeights[n]!, length);
        weights.forEach((weight, n) => {
          const dScore = (weight * (dWeights[n]! - mean)) / Math.sqrt(size);
          for (let k = 0; k < size; k++) {
            add(t, 0, k, dScore * value(n, 1, k));
            add(n, 1, k, dScore * value(t, 0, k));
            add(n, 2, k, weight * dContext(t, k));
          }
        });
      }
      for (let t = 0; t < length; t++)
        for (let part = 0; part < 3; part++)
          for (let k = 0; k < size; k++)
            f32[dQkv / 4 + at(t, part, k)] = gradient[(t * 3 + part) * size + k]!;
    }
  }
};
