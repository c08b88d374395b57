import {
  type ArenaLayout,
  gatherOutputs,
  type Int8Matrix,
  type Kernels,
  padTo,
  type QuantizedRows,
  reserveInt8Matrix,
  reserveQuantizedRows,
} from '../kernels/index.ts';
import type { HiddenStates } from './transformer/body.ts';
import { isMadeFor, madeFor } from './transformer/made-for.ts';
import type { WeightPlanner } from './transformer/weight-planner.ts';
import type { Tensor } from './transformer/weights-file.ts';
import { type BatchLimits, inChunks } from './transformer/workspace.ts';

/** File of a model folder that holds a screen: a weights file with the tensors below. A model works without it, more slowly. */
export const SCREEN_FILE = 'head-screen.winnow';

/** Names of the tensors: [size][H] with a bias, and [V][size] with a bias that includes each term's margin. */
export const SCREEN = {
  states: ['screen.states.weight', 'screen.states.bias'],
  terms: ['screen.terms.weight', 'screen.terms.bias'],
} as const;

/** Name under which the file says whose screen it is (transformer/made-for.ts). */
const SCREEN_NAME = 'screen';

/** @param weightsHash hexadecimal, of the weights that the screen is made for */
export const screenOf = (weightsHash: string): readonly [string, Tensor] => madeFor(SCREEN_NAME, weightsHash);

/** Whether {@link screenOf} these weights is among the tensors. */
export const isScreenOf = (screen: ReadonlyMap<string, Tensor>, weightsHash: string): boolean =>
  isMadeFor(SCREEN_NAME, screen, weightsHash);

/**
 * An estimate of every term's logit from a projection of the states to `size` numbers, plus a margin by term. Some 2 of 100 terms
 * have an estimate above 0 for one of a document's tokens; the others are taken to be off.
 */
export interface ScreenWeights {
  readonly states: Int8Matrix;
  readonly terms: Int8Matrix;
}

/** Buffers of one thread. */
export interface ScreenWorkspace {
  /** [tokens]: the projected states. */
  readonly projected: QuantizedRows;
  /** The decoder's rows of one document's candidates. */
  readonly decoder: Int8Matrix;
  /** f32 and i32[MOST_CANDIDATES]: their largest logits, and the rows that have them. */
  readonly maxima: number;
  readonly argmaxRows: number;
}

/** A document with more candidates is multiplied with the whole decoder: such a document says that the screen does not fit it. */
export const MOST_CANDIDATES = 8192;

/** @returns undefined for a model without a screen @throws WinnowError WINNOW_MODEL_INVALID for tensors that do not fit the model */
export function planScreen(
  planner: WeightPlanner,
  vocabulary: number,
  hiddenSize: number,
): ScreenWeights | undefined {
  const size = planner.outputsOf(SCREEN.states[0]);
  if (size === undefined) return undefined;
  return {
    states: planner.int8Matrix(SCREEN.states, size, hiddenSize),
    terms: planner.int8Matrix(SCREEN.terms, vocabulary, size),
  };
}

export function planScreenWorkspace(
  layout: ArenaLayout,
  { states, terms }: ScreenWeights,
  { tokens }: BatchLimits,
): ScreenWorkspace {
  const most = Math.min(MOST_CANDIDATES, padTo(terms.outputs, 32));
  return {
    projected: reserveQuantizedRows(layout, tokens, states.outputs),
    decoder: reserveInt8Matrix(layout, most, states.inputs),
    maxima: layout.reserve(4 * most),
    argmaxRows: layout.reserve(4 * most),
  };
}

/**
 * Estimates the largest logit of every term in each sequence.
 *
 * @param states whose `finalQuantized` holds the rows that the decoder takes; `chunkHidden` is overwritten
 * @param out f32[sequences][outStride]
 */
export function estimateMaxima(
  kernels: Kernels,
  { work, rows, sequences }: HiddenStates,
  { states, terms }: ScreenWeights,
  { projected }: ScreenWorkspace,
  { out, outStride }: { readonly out: number; readonly outStride: number },
): void {
  inChunks(rows, (first, count) => {
    kernels.dense.gemmInt8({
      input: work.finalQuantized,
      firstRow: first,
      rows: count,
      weights: states,
      out: work.chunkHidden,
    });
    kernels.rows.quantizeRows({ x: work.chunkHidden, rows: count, out: projected, firstRow: first });
  });
  kernels.head.argmaxInt8({
    input: projected,
    starts: work.starts,
    documents: sequences,
    weights: terms,
    out,
    outStride,
  });
}

/**
 * The largest logits of one sequence's candidates, as the whole decoder gives them.
 *
 * @param candidates 1..MOST_CANDIDATES term ids
 * @returns the logits, and for each the row that has it: views that the next call overwrites
 */
export function maximaOfCandidates(
  kernels: Kernels,
  { work }: HiddenStates,
  sequence: number,
  decoder: Int8Matrix,
  candidates: Int32Array,
  own: ScreenWorkspace,
): { readonly maxima: Float32Array; readonly rows: Int32Array } {
  kernels.head.argmaxInt8({
    input: work.finalQuantized,
    starts: work.starts + 4 * sequence,
    documents: 1,
    weights: gatherOutputs(kernels.arena, decoder, candidates, own.decoder),
    out: own.maxima,
    argmaxRow: own.argmaxRows,
    outStride: padTo(candidates.length, 32),
  });
  return {
    maxima: kernels.arena.floats(own.maxima, candidates.length),
    rows: kernels.arena.ints(own.argmaxRows, candidates.length),
  };
}
