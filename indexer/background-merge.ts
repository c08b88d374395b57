import type { Worker } from 'node:worker_threads';
import { type ErrorCode, WinnowError } from '../errors.ts';
import { startThread } from '../worker-thread.ts';

/** What the thread is told. */
export interface MergeTask {
  readonly folder: string;
  readonly segments: readonly number[];
  readonly reorderFrom: number;
  /** Not 0: stop at the next checkpoint. */
  readonly stop: Int32Array;
}

/** What the thread answers, once. */
export interface MergeAnswer {
  readonly error?: { code: ErrorCode; message: string; place?: string; hint?: string };
}

/** After a failed merge (a full disk, say) the next is not tried before. */
const RETRY_MS = 30_000;

/** Runs the merges of one index in a worker thread, one at a time. */
export class BackgroundMerge {
  private readonly folder: string;
  private readonly reorderFrom: number;
  private running: { worker: Worker; stop: Int32Array; done: Promise<void> } | undefined;
  private inputs: ReadonlySet<number> = new Set();
  private failure: WinnowError | undefined;
  private failedAt = Number.NEGATIVE_INFINITY;
  private broken = false;

  constructor(folder: string, reorderFrom: number) {
    this.folder = folder;
    this.reorderFrom = reorderFrom;
  }

  /** Segments being merged now. */
  get segments(): ReadonlySet<number> {
    return this.inputs;
  }

  get busy(): boolean {
    return this.running !== undefined;
  }

  /** Whether a merge can be started now: none runs, and none failed a moment ago. */
  get ready(): boolean {
    return !this.busy && performance.now() - this.failedAt > RETRY_MS;
  }

  /** Threads cannot be started here (some bundlers and sandboxes): the caller's own has to do. */
  get unavailable(): boolean {
    return this.broken;
  }

  /** Why the last merge failed; undefined when it did not. */
  get lastError(): WinnowError | undefined {
    return this.failure;
  }

  /** @param finished is called on success and on failure */
  start(segments: readonly number[], finished: () => void): void {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const task: MergeTask = { folder: this.folder, segments, reorderFrom: this.reorderFrom, stop };
    let worker: Worker;
    try {
      worker = startThread('indexer/merge-worker', task);
    } catch {
      this.broken = true;
      return;
    }
    let answer: MergeAnswer | undefined;
    worker.on('message', (message: MergeAnswer) => {
      answer = message;
    });
    worker.on('error', (cause) => {
      answer = { error: { code: 'WINNOW_MERGE', message: `the merge thread ended: ${cause.message}` } };
      if (/Cannot find module|ERR_MODULE_NOT_FOUND/.test(String(cause))) this.broken = true;
    });
    const done = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        this.running = undefined;
        this.inputs = new Set();
        this.settle(answer ?? { error: { code: 'WINNOW_MERGE', message: 'the merge thread ended early' } });
        finished();
        resolve();
      });
    });
    // A process that is done need not wait for a merge: one that was broken off leaves the index as it was.
    worker.unref();
    this.inputs = new Set(segments);
    this.running = { worker, stop, done };
  }

  /** Waits for the merge under way. */
  async finished(): Promise<void> {
    this.running?.worker.ref();
    await this.running?.done;
  }

  /** Asks the merge under way to stop, and waits until it has cleaned up. */
  async cancel(): Promise<void> {
    if (this.running) Atomics.store(this.running.stop, 0, 1);
    await this.finished();
  }

  private settle({ error }: MergeAnswer): void {
    const { code, message, ...place } = error ?? {};
    this.failure = error && new WinnowError(code!, message!, place);
    if (error) this.failedAt = performance.now();
  }
}
