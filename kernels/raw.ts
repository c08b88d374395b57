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
    share: number,
    splits: number,
  ): void;
  gelu_quantize(
    x: number,
    out: number,
    scale: number,
    minimum: number,
    T: number,
    K: number,
    stride: number,
    share: number,
    splits: number,
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
    share: number,
    splits: number,
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
  gemm_n16(
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
    passes: number,
    outStride: number,
  ): void;
  gemm_block4(
    x: number,
    xScale: number,
    xMinimum: number,
    blocks: number,
    inputs: number,
    counts: number,
    wScale: number,
    wSum: number,
    bias: number,
    out: number,
    scratch: number,
    T: number,
    stride: number,
    N: number,
    outStride: number,
  ): void;
  gemm_block4_f32(
    x: number,
    blocks: number,
    inputs: number,
    counts: number,
    bias: number,
    out: number,
    scratch: number,
    T: number,
    K: number,
    N: number,
  ): void;
  head_argmax_int8(
    x: number,
    xScale: number,
    xMinimum: number,
    w: number,
    wScale: number,
    wSum: number,
    bias: number,
    starts: number,
    out: number,
    winners: number,
    documents: number,
    stride: number,
    N: number,
    outStride: number,
  ): void;
  head_argmax_f32(
    x: number,
    w: number,
    bias: number,
    starts: number,
    out: number,
    winners: number,
    documents: number,
    K: number,
    N: number,
    outStride: number,
  ): void;
  score_pairs_int8(
    x: number,
    w: number,
    wScale: number,
    bias: number,
    rows: number,
    terms: number,
    out: number,
    pairs: number,
    K: number,
    stride: number,
  ): void;
  head_backward(
    x: number,
    w: number,
    rows: number,
    terms: number,
    gradients: number,
    dx: number,
    dw: number,
    pairs: number,
    K: number,
  ): void;
  gemv_thresholded(
    x: number,
    norms: number,
    threshold: number,
    w: number,
    bias: number,
    out: number,
    kept: number,
    K: number,
    N: number,
  ): number;
}

/** KERNELS_VERSION of native/kernels.h: raised with every change of a kernel's parameters. */
export const RAW_KERNELS_VERSION = 3;

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
  'gemm_n16',
  'gemm_block4',
  'gemm_block4_f32',
  'head_argmax_int8',
  'head_argmax_f32',
  'score_pairs_int8',
  'head_backward',
  'gemv_thresholded',
] as const satisfies readonly (keyof RawKernels)[];
