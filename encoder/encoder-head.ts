import type { F32Matrix, Kernels } from '../kernels/index.ts';
import type { ModelConfig } from './model.ts';
import { sparseHead } from './sparse-head.ts';
import type { TokenSequence } from './transformer/batches.ts';
import type { HiddenStates } from './transformer/body.ts';
import type { Head } from './transformer/head.ts';
import type { SparseVector } from './types.ts';
import {
  planVectorOutput,
  planVectorWorkspace,
  type VectorOutputWorkspace,
  vectorsOf,
} from './vector-output.ts';

/** Both outputs of one pass. */
export interface TwoOutputs {
  /** Empty for a query: its weights come from the idf table. */
  readonly sparse: SparseVector;
  /** Of length 1. */
  readonly vector: Float32Array;
}

interface TwoHeadWeights {
  readonly sparse: ReturnType<typeof sparseHead.planWeights>;
  readonly vector: F32Matrix;
}

interface TwoHeadWorkspace {
  readonly sparse: ReturnType<typeof sparseHead.planWorkspace>;
  readonly vector: VectorOutputWorkspace;
}

/** Sparse vectors as their own head packs them, and the other vectors end to end. */
type PackedOutputs = ReturnType<typeof sparseHead.pack> & { readonly vectors: Float32Array };

/** Token type of queries; documents have 0. It says to the body which of both it reads, and that the sparse output is not needed. */
const QUERY_TYPE = 1;

const NO_TERMS: SparseVector = { termIds: new Uint16Array(0), weights: new Float32Array(0) };

/** Marks the tokens of a query. @param ids with [CLS] and [SEP] */
export const asQuery = (ids: ArrayLike<number>): TokenSequence => ({
  ids,
  typeIds: new Uint8Array(ids.length).fill(QUERY_TYPE),
});

/**
 * Weighted terms and a vector from one pass of a document, the vector alone for a query (see {@link asQuery}). For models whose
 * config has `winnow.vector`.
 */
export const encoderHead: Head<TwoOutputs, ModelConfig, TwoHeadWeights, TwoHeadWorkspace, PackedOutputs> = {
  workerEntry: 'encoder/encoder-worker',
  lastRows: 'all',
  maxBatchSequences: sparseHead.maxBatchSequences,
  planWeights: (planner, config, body) => ({
    sparse: sparseHead.planWeights(planner, config, body),
    vector: planVectorOutput(planner, config.winnow.vector!.size, body.hiddenSize),
  }),
  planWorkspace: (layout, { sparse, vector }, limits) => ({
    sparse: sparseHead.planWorkspace(layout, sparse, limits),
    vector: planVectorWorkspace(layout, vector, limits),
  }),
  run(kernels, states, weights, workspace) {
    // First the vectors: the sparse head overwrites the rows.
    const vectors = vectorsOf(kernels, states, weights.vector, workspace.vector);
    const queries = areQueries(kernels, states);
    const sparse = queries.every(Boolean)
      ? undefined
      : sparseHead.run(kernels, states, weights.sparse, workspace.sparse);
    return vectors.map((vector, i) => ({
      vector,
      sparse: sparse === undefined || queries[i] ? NO_TERMS : sparse[i]!,
    }));
  },
  pack: (results) => ({
    ...sparseHead.pack(results.map(({ sparse }) => sparse)),
    vectors: concatenated(results.map(({ vector }) => vector)),
  }),
  unpack({ vectors, ...packed }) {
    const sparse = sparseHead.unpack(packed);
    const size = vectors.length / Math.max(1, sparse.length);
    return sparse.map((one, i) => ({ sparse: one, vector: vectors.slice(i * size, (i + 1) * size) }));
  },
};

/** By sequence: whether it is a query. */
function areQueries({ arena }: Kernels, { work, rows, sequences }: HiddenStates): boolean[] {
  const types = arena.ints(work.tokenTypeIds, rows);
  return Array.from(arena.ints(work.starts, sequences), (start) => types[start] === QUERY_TYPE);
}

function concatenated(vectors: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(vectors.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const vector of vectors) {
    all.set(vector, at);
    at += vector.length;
  }
  return all;
}
