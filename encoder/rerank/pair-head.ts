import type { F32Matrix, Kernels } from '../../kernels/index.ts';
import type { HiddenStates } from '../transformer/body.ts';
import type { TransformerConfig } from '../transformer/config.ts';
import type { Head } from '../transformer/head.ts';

interface PairWeights {
  /** `bert.pooler`, followed by tanh; undefined for models without it. */
  readonly pooler: F32Matrix | undefined;
  readonly classifier: F32Matrix;
}

/** Buffers of one thread. */
interface PairWorkspace {
  /** f32[sequences][H] */
  readonly pooled: number;
  /** f32[sequences] */
  readonly logits: number;
}

const POOLER = 'bert.pooler.dense';

/**
 * One logit per pair of texts: a linear map of the [CLS] row, after the pooler where the model has one
 * (BertForSequenceClassification with one label).
 */
export const pairHead: Head<
  number,
  TransformerConfig,
  PairWeights,
  PairWorkspace,
  { readonly logits: Float32Array }
> = {
  workerEntry: 'encoder/rerank/pair-worker',
  lastRows: 'first',
  maxBatchSequences: 32,
  planWeights: (planner, { hidden_size }) => ({
    pooler: planner.has(`${POOLER}.weight`) ? planner.f32Matrix(POOLER, hidden_size, hidden_size) : undefined,
    classifier: planner.f32Matrix('classifier', 1, hidden_size),
  }),
  planWorkspace: (layout, { classifier }, { sequences }) => ({
    pooled: layout.reserve(4 * sequences * classifier.inputs),
    logits: layout.reserve(4 * sequences),
  }),
  run,
  pack: (logits) => ({ logits: Float32Array.from(logits) }),
  unpack: ({ logits }) => [...logits],
};

function run(
  { dense, arena }: Kernels,
  { work, sequences: rows }: HiddenStates,
  { pooler, classifier }: PairWeights,
  { pooled, logits }: PairWorkspace,
): number[] {
  if (pooler !== undefined) {
    dense.gemmF32({ x: work.hidden, rows, weights: pooler, out: pooled });
    const values = arena.floats(pooled, rows * pooler.outputs);
    for (let i = 0; i < values.length; i++) values[i] = Math.tanh(values[i]!);
  }
  dense.gemmF32({ x: pooler ? pooled : work.hidden, rows, weights: classifier, out: logits });
  return [...arena.floats(logits, rows)];
}
