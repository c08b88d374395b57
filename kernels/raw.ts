/**
 * The kernels as each backend exposes them: plain numbers, byte offsets into the arena, no checks.
 * The order and meaning of the parameters is that of native/simd/*.h, where shapes are documented; 0 means absent.
 * Nothing outside kernels/ calls these: {@link Kernels} checks offsets and sizes first.
 */
export interface RawKernels {
  gemm_int8(
    x: number,
    xScale: number,
    xMinimum: number,
    w: number,
    wScale: number,
    wSum: number,
    bias: number,
    out: number,
    T: number,
    stride: number,
    N: number,
    outStride: number,
  ): void;
  gemm_int8_exact(x: number, w: number, out: number, T: number, stride: number, N: number): void;
  head_max_int8(
    x: number,
    xScale: number,
    xMinimum: number,
    w: number,
    wScale: number,
    wSum: number,
    bias: number,
    starts: number,
    out: number,
    documents: number,
    stride: number,
    N: number,
    outStride: number,
  ): void;
  quantize_rows(
    x: number,
    out: number,
    scale: number,
    minimum: number,
    T: number,
    K: number,
    stride: number,
  ): void;
  gelu_quantize(
    x: number,
    out: number,
    scale: number,
    minimum: number,
    T: number,
    K: number,
    stride: number,
  ): void;
  gelu(x: number, count: number): void;
  layer_norm_quantize(
    x: number,
    residual: number,
    gamma: number,
    beta: number,
    epsilon: number,
    out: number,
    quantized: number,
    scale: number,
    minimum: number,
    T: number,
    K: number,
    stride: number,
  ): void;
  embed(
    ids: number,
    positions: number,
    types: number,
    words: number,
    wordScale: number,
    places: number,
    kinds: number,
    out: number,
    T: number,
    K: number,
    stride: number,
  ): void;
  collect_above(values: number, threshold: number, indexes: number, kept: number, N: number): number;
  gemm_f32(x: number, w: number, bias: number, out: number, T: number, K: number, N: number): void;
  attention(
    qkv: number,
    starts: number,
    out: number,
    scratch: number,
    sequences: number,
    heads: number,
    size: number,
  ): void;
}

/** Names of all raw kernels: a backend that lacks one is refused when it is loaded, not when it is called. */
export const RAW_KERNEL_NAMES = [
  'gemm_int8',
  'gemm_int8_exact',
  'head_max_int8',
  'quantize_rows',
  'gelu_quantize',
  'gelu',
  'layer_norm_quantize',
  'embed',
  'collect_above',
  'gemm_f32',
  'attention',
] as const satisfies readonly (keyof RawKernels)[];
