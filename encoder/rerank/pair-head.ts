import type { F32Matrix, Kernels } from '../../kernels/index.ts';
import type { HiddenStates } from '../transformer/body.ts';
import { copyFirstRows } from '../transformer/first-rows.ts';
import type { Head } from '../transformer/head.ts';
import { EARLY_CLASSIFIER } from './early-exit.ts';
import type { CrossEncoderConfig } from './model.ts';

interface PairWeights {
  /** `bert.pooler`, followed by tanh; undefined for models without it. */
  readonly pooler: F32Matrix | undefined;
  readonly classifier: F32Matrix;
  /** Of the [CLS] row after `layers` layers; undefined: the model has no early exit. */
  readonly early: { readonly layers: number; readonly classifier: F32Matrix } | undefined;
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
  CrossEncoderConfig,
  PairWeights,
  PairWorkspace,
  { readonly logits: Float32Array }
> = {
  workerEntry: 'encoder/rerank/pair-worker',
  lastRows: 'first',
  maxBatchSequences: 32,
  planWeights: (planner, { hidden_size, winnow: { earlyExit } }) => ({
    pooler: planner.has(`${POOLER}.weight`) ? planner.f32Matrix(POOLER, hidden_size, hidden_size) : undefined,
    classifier: planner.f32Matrix('classifier', 1, hidden_size),
    early: earlyExit && {
      layers: earlyExit.layers,
      classifier: planner.f32Matrix(EARLY_CLASSIFIER, 1, hidden_size),
    },
  }),
  planWorkspace: (layout, { classifier }, { sequences }) => ({
    pooled: layout.reserve(4 * sequences * classifier.inputs),
    logits: layout.reserve(4 * sequences),
  }),
  run,
  early: { layers: ({ early }) => early?.layers, estimate },
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

function estimate(
  { dense, arena }: Kernels,
  { work, sequences: rows }: HiddenStates,
  { early }: PairWeights,
  { pooled, logits }: PairWorkspace,
): number[] {
  const { classifier } = early!;
  copyFirstRows(arena, work, { sequences: rows, hiddenSize: classifier.inputs }, pooled);
  dense.gemmF32({ x: pooled, rows, weights: classifier, out: logits });
  return [...arena.floats(logits, rows)];
}
