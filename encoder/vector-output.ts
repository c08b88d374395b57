import type { ArenaLayout, F32Matrix, Kernels } from '../kernels/index.ts';
import { type HiddenStates, rowsOf } from './transformer/body.ts';
import type { WeightPlanner } from './transformer/weight-planner.ts';
import type { BatchLimits } from './transformer/workspace.ts';

/** Buffers of one thread. */
export interface VectorOutputWorkspace {
  /** f32[sequences][H] */
  readonly means: number;
  /** f32[sequences][size] */
  readonly vectors: number;
}

/** Tensor of the map; a model that has it has a second output. */
const NAME = 'dense';

/**
 * The linear map of the second output.
 *
 * @param size numbers per vector
 * @throws WinnowError WINNOW_MODEL_INVALID for a missing or misshapen tensor
 */
export const planVectorOutput = (planner: WeightPlanner, size: number, hiddenSize: number): F32Matrix =>
  planner.f32Matrix(NAME, size, hiddenSize);

export const planVectorWorkspace = (
  layout: ArenaLayout,
  { inputs, outputs }: F32Matrix,
  { sequences }: BatchLimits,
): VectorOutputWorkspace => ({
  means: layout.reserve(4 * sequences * inputs),
  vectors: layout.reserve(4 * sequences * outputs),
});

/**
 * The vector of each sequence of a batch: the mean of its last states, [CLS] and [SEP] included, through a linear map, scaled to
 * length 1. Means are summed in double precision and in the order of the rows, so that a vector depends on nothing but its rows.
 *
 * @returns f32[size] each; all 0 where the map gives 0
 */
export function vectorsOf(
  kernels: Kernels,
  states: HiddenStates,
  map: F32Matrix,
  { means, vectors }: VectorOutputWorkspace,
): Float32Array[] {
  const { arena, dense } = kernels;
  const { sequences } = states;
  for (let sequence = 0; sequence < sequences; sequence++)
    arena.floats(means + 4 * sequence * map.inputs, map.inputs).set(meanOf(kernels, states, sequence));
  dense.gemmF32({ x: means, rows: sequences, weights: map, out: vectors });
  return Array.from({ length: sequences }, (_, sequence) =>
    normalized(arena.floats(vectors + 4 * sequence * map.outputs, map.outputs)),
  );
}

function meanOf(kernels: Kernels, states: HiddenStates, sequence: number): Float64Array {
  const { hiddenSize } = states.body;
  const rows = rowsOf(kernels, states, sequence);
  const mean = new Float64Array(hiddenSize);
  for (let at = 0; at < rows.length; at += hiddenSize)
    for (let k = 0; k < hiddenSize; k++) mean[k]! += rows[at + k]!;
  const count = rows.length / hiddenSize;
  return mean.map((sum) => sum / count);
}

/** @returns the vector with length 1, or unchanged when it is 0 */
export function normalized(vector: Float32Array | Float64Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.sqrt(squares);
  return Float32Array.from(vector, (value) => (length > 0 ? value / length : 0));
}
