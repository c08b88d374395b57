import { setImmediate } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { WinnowError } from '../../errors.ts';
import { startThread } from '../../worker-thread.ts';
import { BatchRunner, type WorkerContext } from './batch-runner.ts';
import type { Head, PackedResults } from './head.ts';
import { type ReplyMessage, resultsOf, type WorkMessage } from './messages.ts';

/** One batch of work: what the calling thread does, or the message to a thread and what its answer says. */
export interface BatchWork<Result, Value> {
  run(runner: BatchRunner<Result>): Value[];
  message(): WorkMessage;
  unpack(packed: PackedResults): Value[];
}

export interface BatchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether it goes before batches that wait. */
  readonly isUrgent?: boolean;
}

/** Where batches run. A batch whose signal is aborted before it starts is rejected with the signal's reason. */
export interface BatchExecutor<Result> {
  run<Value>(work: BatchWork<Result, Value>, options?: BatchOptions): Promise<Value[]>;
  close(): Promise<void>;
}

/** Runs batches on the calling thread, which is blocked meanwhile. */
export class CallingThread<Result> implements BatchExecutor<Result> {
  readonly #runner: BatchRunner<Result>;
  #previous: Promise<unknown> = Promise.resolve();

  constructor(head: Head<Result>, context: WorkerContext) {
    this.#runner = new BatchRunner(head, context);
  }

  async run<Value>(work: BatchWork<Result, Value>, { signal }: BatchOptions = {}): Promise<Value[]> {
    if (signal === undefined) return work.run(this.#runner);
    // Between two batches the event loop must turn, or nothing could abort the signal.
    const turn = this.#previous.then(() => setImmediate());
    this.#previous = turn;
    await turn;
    signal.throwIfAborted();
    return work.run(this.#runner);
  }

  async close(): Promise<void> {}
}

interface Job {
  readonly work: Pick<BatchWork<never, unknown>, 'message'>;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (packed: PackedResults) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | undefined;
}

/** Runs batches side by side on worker threads; the calling thread stays free. */
export class WorkerThreads<Result> implements BatchExecutor<Result> {
  readonly #threads: Thread[];
  readonly #queue: Job[] = [];
  #failure: WinnowError | undefined;

  /** @param contexts one per thread */
  constructor(head: Head<Result>, contexts: readonly WorkerContext[]) {
    this.#threads = contexts.map((context) => {
      const thread: Thread = { worker: startThread(head.workerEntry, context), job: undefined };
      thread.worker.on('message', (reply: ReplyMessage) => this.#finish(thread, reply));
      thread.worker.on('error', (cause) => this.#fail(`an inference thread ended: ${cause.message}`, cause));
      thread.worker.on('exit', () => this.#fail('an inference thread ended'));
      // Idle threads do not keep the process alive.
      thread.worker.unref();
      return thread;
    });
  }

  async run<Value>(
    work: BatchWork<Result, Value>,
    { signal, isUrgent }: BatchOptions = {},
  ): Promise<Value[]> {
    const packed = await new Promise<PackedResults>((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      const job = { work, signal, resolve, reject };
      if (isUrgent) this.#queue.unshift(job);
      else this.#queue.push(job);
      for (const thread of this.#threads) if (thread.job === undefined) this.#startNext(thread);
    });
    return work.unpack(packed);
  }

  async close(): Promise<void> {
    this.#fail('the inference pool is closed');
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #startNext(thread: Thread): void {
    thread.job = this.#takeJob();
    if (thread.job === undefined) {
      // A thread that is being ended keeps the process alive until it is gone: else nothing settles the promise of its end.
      if (this.#failure === undefined) thread.worker.unref();
      return;
    }
    thread.worker.ref();
    const message = thread.job.work.message();
    // Rows are large and made for this message alone: they are moved, not copied.
    thread.worker.postMessage(message, message.layers === 'late' ? [message.rows.buffer as ArrayBuffer] : []);
  }

  #takeJob(): Job | undefined {
    for (;;) {
      const job = this.#queue.shift();
      if (!job?.signal?.aborted) return job;
      job.reject(job.signal.reason);
    }
  }

  #finish(thread: Thread, reply: ReplyMessage): void {
    const { job } = thread;
    this.#startNext(thread);
    try {
      job?.resolve(resultsOf(reply));
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
