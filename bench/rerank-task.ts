// What `bench rerank` and the processes of its systems say to each other.
import type { TextPair } from './rerank-inputs.ts';

export interface RerankTask {
  readonly kind: 'winnow' | 'onnxruntime' | 'transformers';
  readonly stage: 'cross' | 'vector';
  readonly threads: number;
  /** Winnow: a model folder; the others: an ONNX file in a folder that transformers.js reads. */
  readonly path: string;
  readonly backend: 'native' | 'wasm';
  readonly pairs: string;
  /** Whether one turn is all that is asked, so that no way to run needs to be chosen. */
  readonly isOnce: boolean;
}

/** What a turn brought. */
export interface RerankOutcome {
  /** Milliseconds: of all pairs together, or of each query. */
  readonly millis: readonly number[];
  /** The logit of each pair, or the vectors of all queries end to end. */
  readonly outputs: readonly number[];
  /** What the system chose: instructions, or the batches that were fastest. */
  readonly chosen: string;
}

/** Scores pairs, or encodes the queries of one pair. @returns a logit per pair, or a vector */
export type Scorer = (pairs: readonly TextPair[]) => Promise<ArrayLike<number>>;

/** Ways to run a system, of which the fastest is measured. */
export type Ways = ReadonlyMap<string, Scorer>;
