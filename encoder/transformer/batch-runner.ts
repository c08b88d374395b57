import { WinnowError } from '../../errors.ts';
import {
  ArenaLayout,
  type ArenaMemory,
  type KernelBackend,
  type Kernels,
  loadKernels,
} from '../../kernels/index.ts';
import type { TokenSequence } from './batches.ts';
import { resumeBody, rowsOf, runBody, startBody } from './body.ts';
import { type BodyWeights, planBody } from './body-weights.ts';
import type { TransformerConfig } from './config.ts';
import type { Head, PackedResults } from './head.ts';
import { type PausedSequence, packPaused, unpackBatch, unpackResume, type WorkMessage } from './messages.ts';
import { calibrateOutlierSplits } from './outlier-calibration.ts';
import { WeightPlanner } from './weight-planner.ts';
import type { ModelWeights } from './weights-file.ts';
import { type BatchLimits, type BodyWorkspace, planWorkspace } from './workspace.ts';

/** Everything that a thread needs to run batches: plain data and shared memory, so it travels by message. */
export interface WorkerContext {
  readonly backend: KernelBackend;
  readonly memory: ArenaMemory;
  readonly stack: number;
  readonly body: BodyWeights;
  readonly work: BodyWorkspace;
  /** Weights and workspace as the head planned them. */
  readonly headWeights: unknown;
  readonly headWorkspace: unknown;
}

/**
 * Packs a model once into shared memory and gives each thread a context: the same weights, a workspace of its own.
 *
 * @param backend `undefined` takes the best that loads
 * @param threads contexts to prepare, 1 or more
 */
export function prepareContexts<Result, Config extends TransformerConfig>(
  head: Head<Result, Config>,
  { config, tensors }: ModelWeights<Config>,
  options: {
    readonly backend: KernelBackend | undefined;
    readonly threads: number;
    readonly limits: BatchLimits;
  },
): { contexts: WorkerContext[]; memoryBytes: number } {
  const library = loadKernels(options.backend);
  const channelCopies = calibrateOutlierSplits({ config, tensors }, library);
  const layout = new ArenaLayout(library.arenaStart);
  const planner = new WeightPlanner(layout, tensors, library);
  const body = planBody(planner, config, head.lastRows, channelCopies);
  const headWeights = head.planWeights(planner, config, body);
  const workspaces = Array.from({ length: options.threads }, () => ({
    stack: layout.reserve(library.stackBytes),
    work: planWorkspace(layout, body, options.limits),
    headWorkspace: head.planWorkspace(layout, headWeights, options.limits),
  }));
  const memory = library.newMemory(layout.sizeBytes);
  planner.fill(library.bind(memory).arena);
  return {
    memoryBytes: layout.sizeBytes,
    contexts: workspaces.map((workspace) => ({
      ...workspace,
      backend: library.backend,
      memory,
      body,
      headWeights,
    })),
  };
}

/** Runs batches on the thread that made it, one at a time. */
export class BatchRunner<Result> {
  readonly #head: Head<Result>;
  readonly #context: WorkerContext;
  readonly #kernels: Kernels;

  constructor(head: Head<Result>, context: WorkerContext) {
    this.#head = head;
    this.#context = context;
    this.#kernels = loadKernels(context.backend).bind(context.memory, context.stack);
  }

  /**
   * @param batch as {@link runBody} takes it
   * @returns one result per sequence, in order
   */
  run(batch: readonly TokenSequence[]): Result[] {
    const { body, work, headWeights, headWorkspace } = this.#context;
    this.#requireRoom(batch.map(({ ids }) => ids.length));
    const states = runBody(this.#kernels, body, work, batch);
    return this.#head.run(this.#kernels, states, headWeights, headWorkspace);
  }

  /** As {@link run}, through the layers before the head's early exit alone. The model must have one. */
  runEarly(batch: readonly TokenSequence[]): PausedSequence[] {
    const { body, work, headWeights, headWorkspace } = this.#context;
    const early = this.#head.early!;
    this.#requireRoom(batch.map(({ ids }) => ids.length));
    const states = startBody(this.#kernels, body, work, batch, early.layers(headWeights)!);
    // The estimate may overwrite what a head may overwrite, and that includes the rows.
    const rows = batch.map((_, index) => rowsOf(this.#kernels, states, index).slice());
    const estimates = early.estimate(this.#kernels, states, headWeights, headWorkspace);
    return rows.map((own, index) => ({ estimate: estimates[index]!, rows: own }));
  }

  /** The results of sequences whose early layers have run. @param batch rows of each, as {@link runEarly} gave them */
  resume(batch: readonly Float32Array[]): Result[] {
    const { body, work, headWeights, headWorkspace } = this.#context;
    this.#requireRoom(batch.map(({ length }) => length / body.hiddenSize));
    const layers = this.#head.early!.layers(headWeights)!;
    const states = resumeBody(this.#kernels, body, work, batch, layers);
    return this.#head.run(this.#kernels, states, headWeights, headWorkspace);
  }

  /** Does what a message from another thread asks for. @returns the packed results */
  answer(message: WorkMessage): PackedResults {
    if (message.layers === 'late') return this.#head.pack(this.resume(unpackResume(message)));
    const batch = unpackBatch(message);
    return message.layers === 'early' ? packPaused(this.runEarly(batch)) : this.#head.pack(this.run(batch));
  }

  #requireRoom(lengths: readonly number[]): void {
    const { limits } = this.#context.work;
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    if (lengths.length > 0 && lengths.length <= limits.sequences && tokens <= limits.tokens) return;
    throw new WinnowError(
      'WINNOW_BAD_ARGUMENT',
      `a batch of ${lengths.length} sequences and ${tokens} tokens exceeds ${limits.sequences} and ${limits.tokens}`,
    );
  }
}
