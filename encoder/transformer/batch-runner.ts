import { WinnowError } from '../../errors.ts';
import {
  ArenaLayout,
  type ArenaMemory,
  type KernelBackend,
  type Kernels,
  loadKernels,
} from '../../kernels/index.ts';
import type { TokenSequence } from './batches.ts';
import { runBody } from './body.ts';
import { type BodyWeights, planBody } from './body-weights.ts';
import type { TransformerConfig } from './config.ts';
import type { Head } from './head.ts';
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
    const { limits } = work;
    const tokens = batch.reduce((sum, { ids }) => sum + ids.length, 0);
    if (batch.length === 0 || batch.length > limits.sequences || tokens > limits.tokens) {
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `a batch of ${batch.length} sequences and ${tokens} tokens exceeds ${limits.sequences} and ${limits.tokens}`,
      );
    }
    const states = runBody(this.#kernels, body, work, batch);
    return this.#head.run(this.#kernels, states, headWeights, headWorkspace);
  }
}
