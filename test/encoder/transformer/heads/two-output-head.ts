import type { ModelConfig } from '../../../../encoder/model.ts';
import { sparseHead } from '../../../../encoder/sparse-head.ts';
import type { HiddenStates } from '../../../../encoder/transformer/body.ts';
import type { Head } from '../../../../encoder/transformer/head.ts';
import type { SparseVector } from '../../../../encoder/types.ts';
import type { Arena } from '../../../../kernels/index.ts';

export const DIMENSIONS = 8;

/** Both outputs of one pass. */
export interface TwoOutputs {
  readonly sparse: SparseVector;
  /** Mean of the last rows, linear map, L2 norm: f32[DIMENSIONS]. */
  readonly vector: Float32Array;
}

interface TwoOutputWeights {
  readonly sparse: ReturnType<typeof sparseHead.planWeights>;
  /** Offset of `vector.weight`, f32[DIMENSIONS][H]. */
  readonly projection: number;
}

type PackedOutputs = ReturnType<typeof sparseHead.pack> & { readonly vectors: Float32Array };

/** The sparse head and a mean-pooling head on the rows of one pass. */
export const twoOutputHead: Head<
  TwoOutputs,
  ModelConfig,
  TwoOutputWeights,
  ReturnType<typeof sparseHead.planWorkspace>,
  PackedOutputs
> = {
  workerEntry: 'test/encoder/transformer/heads/two-output-worker',
  lastRows: 'all',
  maxBatchSequences: sparseHead.maxBatchSequences,
  planWeights: (planner, config, body) => ({
    sparse: sparseHead.planWeights(planner, config, body),
    projection: planner.floats('vector.weight', [DIMENSIONS, config.hidden_size]),
  }),
  planWorkspace: (layout, { sparse }, limits) => sparseHead.planWorkspace(layout, sparse, limits),
  run(kernels, states, { sparse, projection }, workspace) {
    // Before the sparse head, which overwrites the rows.
    const vectors = Array.from({ length: states.sequences }, (_, index) =>
      meanVector(kernels.arena, states, projection, index),
    );
    return sparseHead
      .run(kernels, states, sparse, workspace)
      .map((vector, index) => ({ sparse: vector, vector: vectors[index]! }));
  },
  pack: (outputs) => ({
    ...sparseHead.pack(outputs.map(({ sparse }) => sparse)),
    vectors: Float32Array.from(outputs.flatMap(({ vector }) => [...vector])),
  }),
  unpack: (packed) =>
    sparseHead.unpack(packed).map((sparse, index) => ({
      sparse,
      vector: packed.vectors.slice(index * DIMENSIONS, (index + 1) * DIMENSIONS),
    })),
};

function meanVector(
  arena: Arena,
  { body: { hiddenSize }, work, sequences }: HiddenStates,
  projection: number,
  index: number,
): Float32Array {
  const starts = arena.ints(work.starts, sequences + 1);
  const [first, end] = [starts[index]!, starts[index + 1]!];
  const rows = arena.floats(work.hidden + 4 * first * hiddenSize, (end - first) * hiddenSize);
  const mean = new Float64Array(hiddenSize);
  rows.forEach((value, i) => {
    mean[i % hiddenSize]! += value / (end - first);
  });
  const weights = arena.floats(projection, DIMENSIONS * hiddenSize);
  const mapped = Array.from({ length: DIMENSIONS }, (_, d) =>
    mean.reduce((sum, value, k) => sum + value * weights[d * hiddenSize + k]!, 0),
  );
  const norm = Math.hypot(...mapped);
  return Float32Array.from(mapped, (value) => value / norm);
}
