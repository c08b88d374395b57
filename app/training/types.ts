import type { Train, TrainingProgress, TrainingScope, TrainingStage } from '../../encoder/training/types.ts';
import type { WinnowError } from '../../errors.ts';

/** What a run is about: kept with it, so that a later process goes on with the same. */
export interface TrainingInput {
  /** Corpus to read, as `openCorpus` takes it. Absent with {@link index}, or where the pairs bring their texts. */
  readonly docs?: string | undefined;
  /** Index folder to read instead of a corpus. */
  readonly index?: string | undefined;
  /** File of training pairs; absent: queries are cut out of the documents. */
  readonly pairs?: string | undefined;
  /** File of clicks. */
  readonly clicks?: string | undefined;
  readonly stage: TrainingStage;
  readonly scope: TrainingScope;
  /** Model to start from: bundled name or folder. Default: the bundled one of the stage. */
  readonly model?: string | undefined;
  /** Reranker that labels queries. Default: the bundled one. */
  readonly reranker?: string | undefined;
  /** Begin with a tiny model of random weights. Without {@link docs} it learns from the control set. */
  readonly fromScratch: boolean;
  /** Share of the trained weights in the model that is made, above 0, at most 1; the model to start from has the rest. */
  readonly trainedShare: number;
  /** Minutes that the whole run may take, some of which it keeps for measuring. */
  readonly minutes: number;
  /** Queries that are cut out of the documents, at most; beside those of pairs and clicks. */
  readonly queries: number;
  /** Passages per query that the reranker reads to label them, 0..; it takes most of the time of labelling. */
  readonly rerankDepth: number;
  /** Passages of the collection that the verdict is measured on. */
  readonly measureOn: number;
  readonly seed: number;
}

/** What a run does at the moment. */
export type RunPhase = 'index' | 'label' | 'train' | 'measure';

export interface RunProgressReport {
  readonly phase: RunPhase;
  /** Share of the phase, 0..1. */
  readonly fraction: number;
  /** A few words of detail. */
  readonly note?: string;
}

export interface TrainModelOptions {
  /** Folder of the model that is made. */
  readonly out: string;
  /** Replace the model at {@link out} whether the new one is better or not. Default false. */
  readonly force?: boolean;
  /** Threads of encoders and trainer; default: the cores, at most 8. */
  readonly threads?: number | undefined;
  /** Bounds the trainer's memory; default: the trainer's. */
  readonly memoryMB?: number | undefined;
  /** Aborted: the run stops after the current step, and a later process can go on with it. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: RunProgressReport) => void;
  /** Progress of the trainer itself. */
  readonly onStep?: (progress: TrainingProgress) => void;
  /** Something that a user should know and that stops nothing. */
  readonly onNotice?: (message: string) => void;
  /** A row of the documents, pairs or clicks that was left out. */
  readonly onBadRow?: (error: WinnowError) => void;
  /** Trainer; default: the one of `encoder/training/`. */
  readonly trainer?: Train;
}
