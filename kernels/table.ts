import { crc32 } from 'node:zlib';
import { type ArrayFunctions, BUILD_FUNCTIONS } from './search/build-functions.ts';
import * as layout from './search/layout.ts';
import { TRAINING_KERNELS } from './training/table.ts';

// The one list of native and WebAssembly functions. The TypeScript types of a call follow from it
// (runtime/raw-kernels.ts); the C prototypes, the tables of native/module.c and native/simd/all.c, and the ABI number
// are generated from it into generated/ by `npm run generate:kernels`. The order of parameters is the order of the C
// function.

/**
 * The type of a parameter of an arena kernel: `i32` and `f32` are numbers; an element type with dimensions is the byte
 * offset of such an array in the arena, `const` when it is only read, `?` at the end when offset 0 means that there is
 * none.
 */
type ArenaType =
  | 'i32'
  | 'f32'
  | `${'const ' | ''}${'u8' | 's8' | 'u16' | 'i32' | 'f32'}[${string}]${'' | '?'}`;

interface ArenaKernel {
  readonly returns: 'void' | 'i32';
  readonly parameters: { readonly [name: string]: ArenaType };
}

/** u7 rows of T tokens (rows/quantized-rows.ts): x = xScale * byte + xMinimum. */
const QUANTIZED_ROWS = {
  x: 'const u8[T][stride]',
  xScale: 'const f32[T]',
  xMinimum: 'const f32[T]',
} as const;

/** Per output: the scale of its weights, the sum of their s8 values, the bias; N padded to 32. */
const OUTPUTS = {
  wScale: 'const f32[N]',
  wSum: 'const f32[N]',
  bias: 'const f32[N]',
} as const;

/** All heads of a ragged batch (attention/). */
const ATTENTION = {
  qkv: 'const f32[T][3 * heads * size]',
  starts: 'const i32[sequences + 1]',
  out: 'f32[T][heads * size]',
  scratch: 'f32[]',
  sequences: 'i32',
  queries: 'i32',
  heads: 'i32',
  size: 'i32',
} as const;

/** u7 rows as a result; `stride` bytes each. */
const QUANTIZED_RESULT = {
  T: 'i32',
  K: 'i32',
  stride: 'i32',
  share: 'const f32[K]?',
  splits: 'const i32[1 + 3 * splits]?',
} as const;

/** Kernels that work on an arena. T, K, N are rows, inputs, outputs; `stride` is K padded to 16. */
export const ARENA_KERNELS = {
  // dense/
  gemm_int8: {
    returns: 'void',
    parameters: {
      ...QUANTIZED_ROWS,
      w: 'const s8[N][stride]',
      ...OUTPUTS,
      out: 'f32[T][outStride]',
      T: 'i32',
      stride: 'i32',
      N: 'i32',
      outStride: 'i32',
    },
  },
  gemm_f32: {
    returns: 'void',
    parameters: {
      x: 'const f32[T][K]',
      w: 'const f32[N][K]',
      bias: 'const f32[N]',
      out: 'f32[T][N]',
      T: 'i32',
      K: 'i32',
      N: 'i32',
    },
  },
  // rows/
  quantize_rows: {
    returns: 'void',
    parameters: {
      x: 'const f32[T][K]',
      out: 'u8[T][stride]',
      scale: 'f32[T]',
      minimum: 'f32[T]',
      ...QUANTIZED_RESULT,
    },
  },
  gelu_quantize: {
    returns: 'void',
    parameters: {
      x: 'f32[T][K]',
      out: 'u8[T][stride]',
      scale: 'f32[T]',
      minimum: 'f32[T]',
      ...QUANTIZED_RESULT,
    },
  },
  gelu: { returns: 'void', parameters: { x: 'const f32[count]', out: 'f32[count]', count: 'i32' } },
  layer_norm_quantize: {
    returns: 'void',
    parameters: {
      x: 'const f32[T][K]',
      residual: 'const f32[T][K]?',
      gamma: 'const f32[K]',
      beta: 'const f32[K]',
      epsilon: 'f32',
      out: 'f32[T][K]',
      quantized: 'u8[T][stride]?',
      scale: 'f32[T]?',
      minimum: 'f32[T]?',
      ...QUANTIZED_RESULT,
    },
  },
  embed: {
    returns: 'void',
    parameters: {
      ids: 'const i32[T]',
      positions: 'const i32[T]',
      types: 'const i32[T]',
      words: 'const s8[vocabulary][stride]',
      wordScale: 'const f32[vocabulary]',
      positionRows: 'const f32[positions][K]',
      typeRows: 'const f32[types][K]',
      out: 'f32[T][K]',
      T: 'i32',
      K: 'i32',
      stride: 'i32',
    },
  },
  collect_above: {
    returns: 'i32',
    parameters: {
      values: 'const f32[N]',
      threshold: 'f32',
      indexes: 'i32[N]',
      kept: 'f32[N]',
      N: 'i32',
    },
  },
  // attention/
  attention: { returns: 'void', parameters: ATTENTION },
  attention_int16: { returns: 'void', parameters: ATTENTION },
  // sparse/
  gemm_n16: {
    returns: 'void',
    parameters: {
      ...QUANTIZED_ROWS,
      w: 'const u8[N / 16][stride / 16][passes][128]',
      ...OUTPUTS,
      out: 'f32[T][outStride]',
      T: 'i32',
      stride: 'i32',
      N: 'i32',
      passes: 'i32',
      outStride: 'i32',
    },
  },
  gemm_block4: {
    returns: 'void',
    parameters: {
      ...QUANTIZED_ROWS,
      blocks: 'const s8[blocks][4]',
      inputs: 'const u16[blocks]',
      counts: 'const i32[N]',
      ...OUTPUTS,
      out: 'f32[T][outStride]',
      scratch: 'u8[64 * stride]',
      T: 'i32',
      stride: 'i32',
      N: 'i32',
      outStride: 'i32',
    },
  },
  gemv_thresholded: {
    returns: 'i32',
    parameters: {
      x: 'const f32[K]',
      norms: 'const f32[K]?',
      threshold: 'f32',
      w: 'const f32[K][N]',
      bias: 'const f32[N]',
      out: 'f32[N]',
      kept: 'i32[K]',
      K: 'i32',
      N: 'i32',
    },
  },
  // head/
  head_argmax_int8: {
    returns: 'void',
    parameters: {
      ...QUANTIZED_ROWS,
      w: 'const s8[N][stride]',
      ...OUTPUTS,
      starts: 'const i32[documents + 1]',
      out: 'f32[documents][outStride]',
      argmaxRow: 'i32[documents][outStride]?',
      documents: 'i32',
      stride: 'i32',
      N: 'i32',
      outStride: 'i32',
    },
  },
  head_argmax_f32: {
    returns: 'void',
    parameters: {
      x: 'const f32[T][K]',
      w: 'const f32[N][K]',
      bias: 'const f32[N]',
      starts: 'const i32[documents + 1]',
      out: 'f32[documents][outStride]',
      argmaxRow: 'i32[documents][outStride]',
      documents: 'i32',
      K: 'i32',
      N: 'i32',
      outStride: 'i32',
    },
  },
  score_pairs_int8: {
    returns: 'void',
    parameters: {
      x: 'const f32[T][K]',
      w: 'const s8[N][stride]',
      wScale: 'const f32[N]',
      bias: 'const f32[N]',
      rows: 'const i32[pairs]',
      terms: 'const i32[pairs]',
      out: 'f32[pairs]',
      pairs: 'i32',
      K: 'i32',
      stride: 'i32',
    },
  },
  head_backward: {
    returns: 'void',
    parameters: {
      x: 'const f32[T][K]',
      w: 'const f32[N][K]',
      rows: 'const i32[pairs]',
      terms: 'const i32[pairs]',
      gradients: 'const f32[pairs]',
      dx: 'f32[T][K]',
      dw: 'f32[N][K]?',
      pairs: 'i32',
      K: 'i32',
    },
  },
  ...TRAINING_KERNELS,
} as const satisfies { readonly [name: string]: ArenaKernel };

/** Parameters that every search begins with; search/search-arguments.h describes them. */
const SEARCH = [
  ['bytes', 'u8[]'],
  ['layout', 'f64[]'],
  ['query', 'u32[]'],
  ['terms', 'u32'],
  ['filterBits', 'u8[]?'],
  ['ranks', 'u32[]'],
  ['hits', 'u32[]'],
  ['k', 'u32'],
] as const;

const IMPACT_SEARCH = [...SEARCH, ['scratch', 'u32[]'], ['threshold', 'u32'], ['budgetUs', 'f64']] as const;

/** Functions that search posting lists in memory of their own: the name and type of each parameter, in order. */
export const SEARCH_FUNCTIONS = {
  searchExact: IMPACT_SEARCH,
  searchPruned: [...IMPACT_SEARCH, ['blockMaxBytes', 'u8[]'], ['blockMaxLayout', 'f64[]'], ['alpha', 'u32']],
  searchLexical: [
    ...SEARCH,
    ['scratch', 'f64[]'],
    ['threshold', 'f64'],
    ['budgetUs', 'f64'],
    ['idf', 'f64[]'],
    ['norms', 'f32[]'],
  ],
} as const satisfies ArrayFunctions;

/** What WebAssembly has of them: BM25 runs there in TypeScript. */
export const WASM_SEARCH_FUNCTIONS = ['searchExact', 'searchPruned'] as const;

/** Entries of the array `layout`: sizes, then byte offsets into `bytes`, then the bytes per dense column. */
export const POSTING_LAYOUT = [
  'numDocs',
  'numChunks',
  'numLists',
  'starts',
  'denseSlots',
  'localIds',
  'values',
  'columns',
  'columnStride',
] as const;

/**
 * Entries of the array `blockMaxLayout`: byte offsets into `blockMaxBytes`, then the bytes per dense column of each
 * level.
 */
export const BLOCK_MAX_LAYOUT = [
  'slots',
  'firstEntries',
  'present',
  'entries',
  'superblockMaxImpacts',
  'blockMaxImpacts',
  'superblockColumns',
  'blockColumns',
  'superblockStride',
  'blockStride',
] as const;

/**
 * Changes with every name, type and constant above: a module that was built from another table is rejected when it is
 * loaded.
 */
export const KERNEL_ABI: number = crc32(
  JSON.stringify([
    ARENA_KERNELS,
    SEARCH_FUNCTIONS,
    BUILD_FUNCTIONS,
    POSTING_LAYOUT,
    BLOCK_MAX_LAYOUT,
    { ...layout },
  ]),
);
