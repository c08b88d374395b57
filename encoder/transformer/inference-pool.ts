import { availableParallelism } from 'node:os';
import { WinnowError } from '../../errors.ts';
import { type KernelBackend, loadKernels } from '../../kernels/index.ts';
import { type BatchExecutor, type BatchWork, CallingThread, WorkerThreads } from './batch-executors.ts';
import { prepareContexts } from './batch-runner.ts';
import { checkSequences, splitIntoBatches, type TokenSequence } from './batches.ts';
import type { TransformerConfig } from './config.ts';
import type { Head } from './head.ts';
import { type PausedSequence, packBatch, packResume, unpackPaused } from './messages.ts';
import type { ModelWeights } from './weights-file.ts';
import type { BatchLimits } from './workspace.ts';

export interface InferencePoolOptions {
  /** Kernel backend; default WINNOW_KERNELS, else the first of native, wasm, reference that loads. */
  readonly backend?: KernelBackend | undefined;
  /** Worker threads, 0..64; default: the cores, at most 8. 0 computes on the calling thread. */
  readonly threads?: number | undefined;
  /**
   * Tokens per batch, from the model's window (512) to 131,072; default 1,024. Each thread holds some 4 KB of activations
   * per token (hidden size 384) beside 12 MB. Larger batches are not faster, so most callers should leave this alone.
   */
  readonly maxBatchTokens?: number | undefined;
}

/** Options of one {@link InferencePool.run}. */
export interface RunOptions {
  /** Aborts the run: batches that wait are dropped. `AbortSignal.timeout(ms)` sets a time limit. */
  readonly signal?: AbortSignal | undefined;
  /** Whether its batches go before those that wait. Default false. */
  readonly isUrgent?: boolean;
}

const MAX_DEFAULT_THREADS = 8;
const MAX_THREADS = 64;
const DEFAULT_BATCH_TOKENS = 1024;
const MAX_BATCH_TOKENS = 1 << 17;

/**
 * A transformer with a head, ready to turn token sequences into results. Any number of runs may be under way at once; their
 * batches share the threads in the order in which they came, urgent ones first.
 */
export class InferencePool<Result> {
  readonly backend: KernelBackend;
  /** Worker threads; 0: the calling thread computes. */
  readonly threads: number;
  /** Weights and the workspaces of all threads. */
  readonly memoryBytes: number;
  readonly #head: Head<Result>;
  readonly #executor: BatchExecutor<Result>;
  readonly #limits: BatchLimits;
  readonly #longest: number;
  readonly #hiddenSize: number;

  private constructor(
    head: Head<Result>,
    executor: BatchExecutor<Result>,
    facts: {
      backend: KernelBackend;
      threads: number;
      memoryBytes: number;
      limits: BatchLimits;
      longest: number;
      hiddenSize: number;
    },
  ) {
    this.#head = head;
    this.#executor = executor;
    this.#limits = facts.limits;
    this.#longest = facts.longest;
    this.#hiddenSize = facts.hiddenSize;
    this.backend = facts.backend;
    this.threads = facts.threads;
    this.memoryBytes = facts.memoryBytes;
  }

  /**
   * Packs the weights once into shared memory and starts the threads; the model's tensors can be dropped afterwards.
   *
   * @throws WinnowError WINNOW_MODEL_INVALID for a missing or misshapen tensor, WINNOW_KERNEL_UNAVAILABLE,
   *   WINNOW_BAD_ARGUMENT for an option out of range
   */
  static create<Result, Config extends TransformerConfig>(
    head: Head<Result, Config>,
    model: ModelWeights<Config>,
    options: InferencePoolOptions = {},
  ): InferencePool<Result> {
    const { max_position_embeddings: longest, hidden_size: hiddenSize } = model.config;
    const {
      threads = Math.min(availableParallelism(), MAX_DEFAULT_THREADS),
      maxBatchTokens = Math.max(DEFAULT_BATCH_TOKENS, longest),
    } = options;
    requireWholeNumber('threads', threads, 0, MAX_THREADS);
    requireWholeNumber('maxBatchTokens', maxBatchTokens, longest, MAX_BATCH_TOKENS);
    const { backend } = loadKernels(options.backend);
    const limits = { tokens: maxBatchTokens, sequences: head.maxBatchSequences };
    const { contexts, memoryBytes } = prepareContexts(head, model, {
      backend,
      threads: Math.max(1, threads),
      limits,
    });
    const executor =
      threads === 0 ? new CallingThread(head, contexts[0]!) : new WorkerThreads(head, contexts);
    return new InferencePool(head, executor, { backend, threads, memoryBytes, limits, longest, hiddenSize });
  }

  /**
   * @param sequences token ids with [CLS] and [SEP], 1..window tokens each, any number and order
   * @returns one result per sequence, in the same order; a result does not depend on batch or thread
   * @throws WinnowError WINNOW_BAD_ARGUMENT for an empty or too long sequence, an unknown id or token type;
   *   WINNOW_KERNEL_UNAVAILABLE after {@link close} or when a thread died; the signal's reason when it is aborted
   */
  async run(sequences: readonly TokenSequence[], options: RunOptions = {}): Promise<Result[]> {
    checkSequences(sequences, this.#longest);
    const head = this.#head;
    return this.#inBatches(
      sequences,
      ({ ids }) => ids.length,
      options,
      (batch) => ({
        run: (runner) => runner.run(batch),
        message: () => packBatch(batch, 'all'),
        unpack: (packed) => head.unpack(packed),
      }),
    );
  }

  /**
   * As {@link run}, through the layers before the head's early exit: an estimate of each result, and what {@link resume} needs, which
   * is 4 bytes times hidden size times tokens.
   *
   * @throws as run; only for a model with an early exit
   */
  async runEarly(sequences: readonly TokenSequence[], options: RunOptions = {}): Promise<PausedSequence[]> {
    checkSequences(sequences, this.#longest);
    return this.#inBatches(
      sequences,
      ({ ids }) => ids.length,
      options,
      (batch) => ({
        run: (runner) => runner.runEarly(batch),
        message: () => packBatch(batch, 'early'),
        unpack: unpackPaused,
      }),
    );
  }

  /** The other layers for sequences that went through {@link runEarly}. @returns the results that run gives, in every bit */
  resume(paused: readonly PausedSequence[], options: RunOptions = {}): Promise<Result[]> {
    const head = this.#head;
    return this.#inBatches(
      paused,
      ({ rows }) => rows.length / this.#hiddenSize,
      options,
      (batch) => ({
        run: (runner) => runner.resume(batch.map(({ rows }) => rows)),
        message: () => packResume(batch),
        unpack: (packed) => head.unpack(packed),
      }),
    );
  }

  /** @returns one value per item, in their order */
  async #inBatches<Item, Value>(
    items: readonly Item[],
    tokensOf: (item: Item) => number,
    { signal, isUrgent = false }: RunOptions,
    workOf: (batch: readonly Item[]) => BatchWork<Result, Value>,
  ): Promise<Value[]> {
    signal?.throwIfAborted();
    const values = new Array<Value>(items.length);
    const batches = splitIntoBatches(items.map(tokensOf), this.#limits, Math.max(1, this.threads));
    const runs = batches.map(async (batch) => {
      const work = workOf(batch.map((index) => items[index]!));
      const own = await this.#executor.run(work, { signal, isUrgent });
      batch.forEach((index, at) => {
        values[index] = own[at]!;
      });
    });
    await (signal === undefined ? Promise.all(runs) : untilAborted(Promise.all(runs), signal));
    return values;
  }

  /** Ends the threads; runs under way are rejected. */
  async close(): Promise<void> {
    await this.#executor.close();
  }
}

function requireWholeNumber(place: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  throw new WinnowError('WINNOW_BAD_ARGUMENT', `${place} must be ${low}..${high}, not ${value}`, { place });
}

/** Settles as `work` does, or rejects as soon as the signal is aborted, without waiting for batches that have begun. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
