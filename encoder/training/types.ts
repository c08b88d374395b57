import type { SparseVector } from '../types.ts';

/**
 * What is trained. `encoder`: the term weights of a document encoder; `vector`: its second output; `rerank`: a cross-encoder's logit.
 */
export const TRAINING_STAGES = ['encoder', 'vector', 'rerank'] as const;
export type TrainingStage = (typeof TRAINING_STAGES)[number];

/**
 * Which weights change. `head`: those behind the body, whose states are computed once with the product's own kernels. `channels`: also a
 * slice of the attention heads and feed-forward channels of the upper layers (S2FT, arXiv 2412.06289). `all`: every weight.
 */
export const TRAINING_SCOPES = ['head', 'channels', 'all'] as const;
export type TrainingScope = (typeof TRAINING_SCOPES)[number];

/** A query and passages to rank for it. */
export interface TrainingExample {
  readonly query: string;
  /** 1 or more; the first one is relevant. A passage is what an index would encode: title and text in one string. */
  readonly passages: readonly string[];
  /** A teacher's score of each passage, on any scale that is linear; absent: the first passage is right and the others are wrong. */
  readonly targets?: readonly number[];
}

/** Where a run is. */
export interface TrainingProgress {
  /** `states`: the frozen part of the body runs over the passages; `steps`: training; `validation`: `validate` was called. */
  readonly phase: 'states' | 'steps' | 'validation';
  /** Passages done, or optimiser steps done. */
  readonly step: number;
  /** Passages or optimiser steps of the whole run. */
  readonly steps: number;
  /** Of this step: the whole loss, and its parts by name, unweighted (`rank`, `flops`, `revival`, `vector`). */
  readonly loss?: number;
  readonly parts?: Readonly<Record<string, number>>;
  /** Mean number of terms per passage of this step (stage `encoder`). */
  readonly terms?: number;
  readonly learningRate?: number;
  /** Tokens of the steps so far, this process only, and seconds since it began. */
  readonly tokens: number;
  readonly seconds: number;
  /** What `validate` gave, in phase `validation`. */
  readonly score?: number;
}

export interface TrainingOptions {
  /** Name of a bundled model or its folder, never changed. Stage `rerank` takes a cross-encoder. */
  readonly modelFolder: string;
  /** Folder to write; created if missing. It is replaced as a whole once training has ended. Must not be `modelFolder`. */
  readonly target: string;
  /** Default `encoder`. */
  readonly stage?: TrainingStage;
  /** Default `head`. */
  readonly scope?: TrainingScope;
  /** Upper layers that scope `channels` or `all` trains, 1 to the model's; default 2 for `channels`, all of them for `all`. */
  readonly layers?: number;
  /** Peak of the schedule, above 0; default by stage and scope (defaults.ts). */
  readonly learningRate?: number;
  /** Passes over the examples, above 0; ignored where `steps` is given. */
  readonly epochs?: number;
  /** Optimiser steps of the whole run, which the schedule is made for. */
  readonly steps?: number;
  /** Examples per step; default 16. The passages of the others are negatives of each (stages `encoder` and `vector`). */
  readonly batchSize?: number;
  /**
   * Weight of FLOPS = sum over terms of (mean weight over the passages)^2. Absent: controlled so that passages keep as many terms as the
   * model gave them at the start (or `terms`).
   */
  readonly flops?: number;
  /** Terms per passage that the controlled penalty aims at; default: those of the model at the start. */
  readonly terms?: number;
  /** Passages with at most this many terms are not shrunk further (l0 mask, arXiv 2504.14839); default: no mask. */
  readonly l0?: number;
  /**
   * Share of the trained weights in the model that is judged and written, above 0, at most 1; those of the start have the rest, so that less is
   * forgotten (weight-space ensembles, arXiv 2109.01903). Default 1.
   */
  readonly trainedShare?: number;
  /** Tokens that are read of a passage (rerank: of query and passage), at most the model's window; default 256. */
  readonly maxTokens?: number;
  /** Order of the examples, and what is random in a new model; default 1. */
  readonly seed?: number;
  /** Threads, 0..64; default: the cores, at most 8. 0 computes on the calling thread. Results do not depend on it. */
  readonly threads?: number;
  /** Bounds activations and weights in memory; default 2048. More means fewer recomputations. */
  readonly memoryMB?: number;
  /**
   * Weights of a query's tokens. Default: the model's idf table; a caller that knows the index should pass the weights of its searches.
   */
  readonly queryWeights?: (query: string) => SparseVector;
  /**
   * Where states of the frozen body, the run's state and the best model so far are kept; a run that finds its own state there goes on with it.
   * Default: a temporary folder that is removed at the end. A state of other examples or options is WINNOW_TRAINING_MISMATCH.
   */
  readonly checkpointFolder?: string;
  /** Steps between checkpoints; default 25. */
  readonly checkpointEvery?: number;
  /** Aborts between two steps, after a checkpoint: the promise is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onStep?: (progress: TrainingProgress) => void;
  /** Judges a complete model folder, higher is better. The best one becomes the result. Absent: the last one does. */
  readonly validate?: (modelFolder: string) => Promise<number>;
  /** Steps between two validations; default: a tenth of the run. The start is validated too. */
  readonly validateEvery?: number;
  /** Validations without a new best one after which training ends; default 3. */
  readonly patience?: number;
}

export interface TrainingResult {
  /** Optimiser steps done, those before a resumption included. */
  readonly steps: number;
  /** Loss of each step, from the first one. */
  readonly losses: readonly number[];
  /** Score and step of the state that was written; undefined without `validate`. Step 0: training never helped. */
  readonly bestScore: number | undefined;
  readonly bestStep: number;
  /** What `validate` gave for the model before training. */
  readonly firstScore: number | undefined;
  /** Of this process. */
  readonly seconds: number;
  readonly tokens: number;
  readonly stoppedEarly: boolean;
  /** Step of the checkpoint that this process began with. */
  readonly resumedFrom?: number;
}

export interface NewModelOptions {
  /** Texts of the domain, 1 or more: the vocabulary and the idf table are counted over them. */
  readonly texts: readonly string[];
  /** Folder to write. */
  readonly target: string;
  /** Tokens of the vocabulary, 600..30,522: the most frequent ones of the bundled tokenizer, and all single characters; default 6,000. */
  readonly vocabulary?: number;
  /** Default 2. */
  readonly layers?: number;
  /** Default 128, a multiple of 16 * heads. */
  readonly hiddenSize?: number;
  /** Default 4. */
  readonly heads?: number;
  /** Longest sequence in tokens; default 256. */
  readonly maxTokens?: number;
  readonly seed?: number;
}

/** Examples in, a model folder out: the shape of `train` in train.ts. */
export type Train = (
  examples: readonly TrainingExample[],
  options: TrainingOptions,
) => Promise<TrainingResult>;
