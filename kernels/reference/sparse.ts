// Products with sparse weights of the reference backend. The parameters are those of RawKernels, offsets in bytes.
import type { Twin } from './twin.ts';

export const gemmN16: Twin<'gemm_n16'> = (
  arena,
  x,
  xScale,
  xMinimum,
  w,
  wScale,
  wSum,
  bias,
  out,
  T,
  stride,
  N,
  passes,
  outStride,
) => {
  const { f32, i8, u8 } = arena;
  const groups = stride / 16;
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      let acc = 0;
      for (let group = 0; group < groups; group++) {
        for (let pass = 0; pass < passes; pass++) {
          const record = w + (((n >> 4) * groups + group) * passes + pass) * 128 + 4 * (n & 15);
          for (let i = 0; i < 4; i++) {
            acc += i8[record + i]! * u8[x + t * stride + 16 * group + (u8[record + 64 + i]! & 15)]!;
          }
        }
      }
      const value = f32[xScale / 4 + t]! * acc + f32[xMinimum / 4 + t]! * f32[wSum / 4 + n]!;
      f32[out / 4 + t * outStride + n] = value * f32[wScale / 4 + n]! + f32[bias / 4 + n]!;
    }
  }
};

export const gemmBlock4: Twin<'gemm_block4'> = (
  arena,
  x,
  xScale,
  xMinimum,
  blocks,
  inputs,
  counts,
  wScale,
  wSum,
  bias,
  out,
  _scratch,
  T,
  stride,
  N,
  outStride,
) => {
  const { f32, i8, i32, u8, u16 } = arena;
  for (let t = 0; t < T; t++) {
    let block = 0;
    for (let n = 0; n < N; n++) {
      let acc = 0;
      for (let left = i32[counts / 4 + n]!; left > 0; left--, block++) {
        const row = x + t * stride + 4 * u16[inputs / 2 + block]!;
        for (let i = 0; i < 4; i++) acc += u8[row + i]! * i8[blocks + 4 * block + i]!;
      }
      const value = f32[xScale / 4 + t]! * acc + f32[xMinimum / 4 + t]! * f32[wSum / 4 + n]!;
      f32[out / 4 + t * outStride + n] = value * f32[wScale / 4 + n]! + f32[bias / 4 + n]!;
    }
  }
};

export const gemmBlock4F32: Twin<'gemm_block4_f32'> = (
  { f32, i32, u16 },
  x,
  blocks,
  inputs,
  counts,
  bias,
  out,
  _scratch,
  T,
  K,
  N,
) => {
  for (let t = 0; t < T; t++) {
    let first = 0;
    for (let n = 0; n < N; n += 4) {
      const count = i32[counts / 4 + n / 4]!;
      for (let c = 0; c < 4 && n + c < N; c++) {
        let sum = f32[bias / 4 + n + c]!;
        for (let block = first; block < first + count; block++) {
          sum += f32[x / 4 + t * K + u16[inputs / 2 + block]!]! * f32[blocks / 4 + 4 * block + c]!;
        }
        f32[out / 4 + t * N + n + c] = sum;
      }
      first += count;
    }
  }
};
