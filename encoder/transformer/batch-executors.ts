import { setImmediate } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { WinnowError } from '../../errors.ts';
import { startThread } from '../../worker-thread.ts';
import { BatchRunner, type WorkerContext } from './batch-runner.ts';
import type { TokenSequence } from './batches.ts';
import type { Head } from './head.ts';
import { packBatch, type ReplyMessage, resultsOf } from './messages.ts';

export interface BatchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether it goes before batches that wait. */
  readonly isUrgent?: boolean;
}

/** Where batches run. A batch whose signal is aborted before it starts is rejected with the signal's reason. */
export interface BatchExecutor<Result> {
  run(batch: readonly TokenSequence[], options?: BatchOptions): Promise<Result[]>;
  close(): Promise<void>;
}

/** Runs batches on the calling thread, which is blocked meanwhile. */
export class CallingThread<Result> implements BatchExecutor<Result> {
  readonly #runner: BatchRunner<Result>;
  #previous: Promise<unknown> = Promise.resolve();

  constructor(head: Head<Result>, context: WorkerContext) {
    this.#runner = new BatchRunner(head, context);
  }

  async run(batch: readonly TokenSequence[], { signal }: BatchOptions = {}): Promise<Result[]> {
    if (signal === undefined) return this.#runner.run(batch);
    // Between two batches the event loop must turn, or nothing could abort the signal.
    const turn = this.#previous.then(() => setImmediate());
    this.#previous = turn;
    await turn;
    signal.throwIfAborted();
    return this.#runner.run(batch);
  }

  async close(): Promise<void> {}
}

interface Job<Result> {
  readonly batch: readonly TokenSequence[];
  readonly signal: AbortSignal | undefined;
  readonly resolve: (results: Result[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread<Result> {
  readonly worker: Worker;
  job: Job<Result> | undefined;
}

/** Runs batches side by side on worker threads; the calling thread stays free. */
export class WorkerThreads<Result> implements BatchExecutor<Result> {
  readonly #head: Head<Result>;
  readonly #threads: Thread<Result>[];
  readonly #queue: Job<Result>[] = [];
  #failure: WinnowError | undefined;

  /** @param contexts one per thread */
  constructor(head: Head<Result>, contexts: readonly WorkerContext[]) {
    this.#head = head;
    this.#threads = contexts.map((context) => {
      const thread: Thread<Result> = { worker: startThread(head.workerEntry, context), job: undefined };
      thread.worker.on('message', (reply: ReplyMessage) => this.#finish(thread, reply));
      thread.worker.on('error', (cause) => this.#fail(`an inference thread ended: ${cause.message}`, cause));
      thread.worker.on('exit', () => this.#fail('an inference thread ended'));
      // Idle threads do not keep the process alive.
      thread.worker.unref();
      return thread;
    });
  }

  run(batch: readonly TokenSequence[], { signal, isUrgent }: BatchOptions = {}): Promise<Result[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const job = { batch, signal, resolve, reject };
      if (isUrgent) this.#queue.unshift(job);
      else this.#queue.push(job);
      for (const thread of this.#threads) if (thread.job === undefined) this.#startNext(thread);
    });
  }

  async close(): Promise<void> {
    this.#fail('the inference pool is closed');
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #startNext(thread: Thread<Result>): void {
    thread.job = this.#takeJob();
    if (thread.job === undefined) {
      // A thread that is being ended keeps the process alive until it is gone: else nothing settles the promise of its end.
      if (this.#failure === undefined) thread.worker.unref();
      return;
    }
    thread.worker.ref();
    thread.worker.postMessage(packBatch(thread.job.batch));
  }

  #takeJob(): Job<Result> | undefined {
    for (;;) {
      const job = this.#queue.shift();
      if (!job?.signal?.aborted) return job;
      job.reject(job.signal.reason);
    }
  }

  #finish(thread: Thread<Result>, reply: ReplyMessage): void {
    const { job } = thread;
    this.#startNext(thread);
    try {
      job?.resolve(this.#head.unpack(resultsOf(reply)));
    } catch (error) {
      job?.reject(error);
    }
  }

  #fail(message: string, cause?: unknown): void {
    this.#failure ??= new WinnowError('WINNOW_KERNEL_UNAVAILABLE', message, { cause });
    for (const thread of this.#threads) {
      thread.job?.reject(this.#failure);
      thread.job = undefined;
    }
    for (const job of this.#queue.splice(0)) job.reject(this.#failure);
  }
}
