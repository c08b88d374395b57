import type { ArenaLayout, Kernels } from '../../kernels/index.ts';
import type { HiddenStates } from './body.ts';
import type { BodyWeights, LastRows } from './body-weights.ts';
import type { TransformerConfig } from './config.ts';
import type { WeightPlanner } from './weight-planner.ts';
import type { BatchLimits } from './workspace.ts';

/** Results of a batch as they cross threads: typed arrays by name, moved rather than copied. */
export type PackedResults = Readonly<
  Record<string, Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array | Int8Array>
>;

/** Estimates results from the rows of an early layer (early exit: DeeBERT, arXiv 2004.12993). */
export interface EarlyExit<Weights = unknown, Workspace = unknown> {
  /** Layers after which it reads the rows; undefined: the model has no early exit. */
  layers(weights: Weights): number | undefined;
  /** One number per sequence, in order. It may overwrite what {@link Head.run} may. */
  estimate(kernels: Kernels, states: HiddenStates, weights: Weights, workspace: Workspace): number[];
}

/**
 * What turns the last layer's rows into one result per sequence. Everything else (body, batches, threads, messages) is the
 * same for every head.
 *
 * A head is a stateless value: the calling thread plans with it, and each worker thread runs the one that its own entry
 * module imports. `Weights` and `Workspace` are plain data (offsets into the arena, numbers, strings) and travel by
 * message.
 *
 * Two heads share one pass as a third head that plans both and runs them one after the other, the one that overwrites
 * {@link HiddenStates} last.
 *
 * @typeParam Result what one sequence becomes; it must not depend on the other sequences of the batch
 * @typeParam Config fields of config.json that the head needs beside those of the body
 */
export interface Head<
  Result,
  Config extends TransformerConfig = TransformerConfig,
  Weights = unknown,
  Workspace = unknown,
  Packed extends PackedResults = PackedResults,
> {
  /**
   * Module that calls {@link serveBatches} with this head: its path inside the package without the ending, such as
   * `encoder/sparse-worker`.
   */
  readonly workerEntry: string;
  /** Rows of the last layer that it reads. Others are not computed there, which spares a model of 6 layers a seventh of its work. */
  readonly lastRows: LastRows;
  /** Sequences per batch at most, 1 or more; bounds the workspace of a thread. */
  readonly maxBatchSequences: number;

  /**
   * Plans the head's weights, which all threads share.
   *
   * @param body already planned; a head may tie its weights to those of the body
   * @throws WinnowError WINNOW_MODEL_INVALID for a missing or misshapen tensor
   */
  planWeights(planner: WeightPlanner, config: Config, body: BodyWeights): Weights;

  /** Reserves the buffers of one thread. */
  planWorkspace(layout: ArenaLayout, weights: Weights, limits: BatchLimits): Workspace;

  /**
   * Computes the results of a batch, in the order of its sequences. It may overwrite the rows in `states`, whose memory is
   * reused by the next batch: results must not be views of the arena.
   */
  run(kernels: Kernels, states: HiddenStates, weights: Weights, workspace: Workspace): Result[];

  /** What may be said of a result before all layers have run; absent: nothing. */
  readonly early?: EarlyExit<Weights, Workspace>;

  /** Serialises results for another thread; the arrays must own their buffers. */
  pack(results: readonly Result[]): Packed;
  /** The inverse of {@link pack}. */
  unpack(packed: Packed): Result[];
}
