import type { Worker } from 'node:worker_threads';
import type { WinnowError } from '../../errors.ts';
import { startThread, type ThreadError, unpackThreadError } from '../../worker-thread.ts';

/** One merge. */
export interface MergeTask {
  readonly segments: readonly number[];
  readonly reorderFrom: number;
}

/** Data that the thread starts with. */
export interface MergeThreadData extends MergeTask {
  readonly folder: string;
  /** Not 0: the merge is to stop at its next checkpoint. */
  readonly stop: Int32Array;
}

/** The thread's only message. */
export interface MergeResult {
  readonly error?: ThreadError;
}

/** After a failed merge (on a full disk, for example) this much time passes before the next attempt. */
export const RETRY_MS = 30_000;

/** Runs the merges of one index in a worker thread, one at a time. */
export class MergeThread {
  private readonly folder: string;
  private running: { worker: Worker; stop: Int32Array; done: Promise<void> } | undefined;
  private inputs: ReadonlySet<number> = new Set();
  private failure: WinnowError | undefined;
  private failedAt = Number.NEGATIVE_INFINITY;
  private cannotStart = false;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Segments that are being merged now. */
  get segments(): ReadonlySet<number> {
    return this.inputs;
  }

  get isBusy(): boolean {
    return this.running !== undefined;
  }

  /** Whether a merge can be started now: none is running, and none failed within {@link RETRY_MS}. */
  get isReady(): boolean {
    return !this.isBusy && performance.now() - this.failedAt > RETRY_MS;
  }

  /** Threads cannot be started here (in some bundles and sandboxes), so merges have to run on the calling thread. */
  get isUnavailable(): boolean {
    return this.cannotStart;
  }

  /** Why the last merge failed; undefined when it did not. */
  get lastError(): WinnowError | undefined {
    return this.failure;
  }

  /** @param onFinished is called on success and on failure */
  start(task: MergeTask, onFinished: () => void): void {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const data: MergeThreadData = { ...task, folder: this.folder, stop };
    let worker: Worker;
    try {
      worker = startThread('indexer/merge/merge-worker', data);
    } catch {
      this.cannotStart = true;
      return;
    }
    let result: MergeResult | undefined;
    worker.on('message', (message: MergeResult) => {
      result = message;
    });
    worker.on('error', (cause) => {
      result = { error: { code: 'WINNOW_MERGE', message: `the merge thread ended: ${cause.message}` } };
      if (/Cannot find module|ERR_MODULE_NOT_FOUND/.test(String(cause))) this.cannotStart = true;
    });
    const done = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        this.running = undefined;
        this.inputs = new Set();
        this.settle(result ?? { error: { code: 'WINNOW_MERGE', message: 'the merge thread ended early' } });
        onFinished();
        resolve();
      });
    });
    // A process may end without waiting for a merge: an interrupted merge leaves the index as it was.
    worker.unref();
    this.inputs = new Set(task.segments);
    this.running = { worker, stop, done };
  }

  /** Waits for the running merge. */
  async finished(): Promise<void> {
    this.running?.worker.ref();
    await this.running?.done;
  }

  /** Stops the running merge, and waits until it has cleaned up. */
  async cancel(): Promise<void> {
    if (this.running) Atomics.store(this.running.stop, 0, 1);
    await this.finished();
  }

  private settle({ error }: MergeResult): void {
    this.failure = error && unpackThreadError(error);
    if (error) this.failedAt = performance.now();
  }
}
