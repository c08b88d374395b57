import { AttentionKernels } from '../attention/attention-kernels.ts';
import { DenseKernels } from '../dense/dense-kernels.ts';
import { HeadKernels } from '../head/head-kernels.ts';
import { RowKernels } from '../rows/row-kernels.ts';
import { SparseKernels } from '../sparse/sparse-kernels.ts';
import { TrainingKernels } from '../training/training-kernels.ts';
import type { Arena } from './arena.ts';
import type { RawKernels } from './raw-kernels.ts';

/** Which code runs the kernels. */
export type KernelBackend = 'native' | 'wasm' | 'reference';

/**
 * The kernels of one backend over one arena, by family. Every buffer, offset and size is checked, so a bad call throws
 * WINNOW_BAD_ARGUMENT and never reaches native code. All offsets are in bytes; T, K, N are rows, inputs, outputs.
 *
 * Integer results are identical on every backend; f32 results agree within a few ulps per step (kernels/README.md).
 * Calls are synchronous. Threads may bind the same memory, as long as they write to different regions.
 */
export class Kernels {
  readonly backend: KernelBackend;
  readonly arena: Arena;
  /** Products with dense weights. */
  readonly dense: DenseKernels;
  /** Row-wise steps: quantisation, GELU, LayerNorm, embeddings. */
  readonly rows: RowKernels;
  readonly attention: AttentionKernels;
  /** The vocabulary head of masked-language models. */
  readonly head: HeadKernels;
  /** Products with sparse weights or sparse activations. */
  readonly sparse: SparseKernels;
  /** Forward steps that keep what their gradients need, the gradients, and the optimiser. */
  readonly training: TrainingKernels;

  constructor(backend: KernelBackend, arena: Arena, raw: RawKernels) {
    this.backend = backend;
    this.arena = arena;
    this.dense = new DenseKernels(arena, raw);
    this.rows = new RowKernels(arena, raw);
    this.attention = new AttentionKernels(arena, raw);
    this.head = new HeadKernels(arena, raw);
    this.sparse = new SparseKernels(arena, raw);
    this.training = new TrainingKernels(arena, raw);
  }
}
