import type { Worker } from 'node:worker_threads';
import { WinnowError } from '../../errors.ts';
import { startThread, type ThreadError, unpackThreadError } from '../../worker-thread.ts';
import type { DocumentRef } from '../format/stored-id.ts';
import type { IndexableSource, UpsertResult } from '../types.ts';
import { packSources, type SourceMessage } from './source-message.ts';

/** Data that the thread starts with. */
export interface WriteThreadData {
  readonly folder: string;
  /** Merges of at most this many bytes are done by the thread. */
  readonly smallMergeBytes: number;
}

/** One transaction. */
export type WriteTask = { readonly upserts: SourceMessage } | { readonly deletes: readonly DocumentRef[] };

/** What the thread says of a task when it is on disk, in the order of the tasks; `ready` comes before all others. */
export type WriteReply =
  | { readonly upserted: UpsertResult }
  | { readonly deleted: number }
  | { readonly error: ThreadError };

interface Waiting {
  readonly resolve: (reply: WriteReply) => void;
  readonly reject: (error: WinnowError) => void;
}

/** A thread without work for so long ends: it holds some 15 MB. */
const IDLE_MS = 30_000;

/**
 * Writes to an index on a thread of its own, which has the index open through a handle of its own: building segments, commits with
 * their sync, and small merges. Writes are done in the order of the calls.
 */
export class WriteThread {
  private readonly data: WriteThreadData;
  private worker: Worker | undefined;
  private exited: Promise<void> = Promise.resolve();
  private isReady = false;
  private cannotStart = false;
  private readonly waiting: Waiting[] = [];
  private idleTimer: NodeJS.Timeout | undefined;

  constructor(data: WriteThreadData) {
    this.data = data;
  }

  /** Whether it takes writes now. Until then the caller writes itself. */
  get isRunning(): boolean {
    return this.isReady;
  }

  /** Starts the thread, which takes some 100 ms, unless it was started or threads cannot be started here (in some bundles and sandboxes). */
  start(): void {
    if (this.worker || this.cannotStart) return;
    let worker: Worker;
    try {
      worker = startThread('indexer/write/write-worker', this.data);
    } catch {
      this.cannotStart = true;
      return;
    }
    this.worker = worker;
    worker.on('message', (message: WriteReply | 'ready') => {
      if (message === 'ready') this.isReady = !this.cannotStart;
      else this.waiting.shift()?.resolve(message);
      this.rest();
    });
    // An index that it cannot open is an error of the write that the caller does itself.
    worker.on('error', () => {
      if (!this.isReady) this.cannotStart = true;
    });
    this.exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.worker = undefined;
        this.isReady = false;
        clearTimeout(this.idleTimer);
        for (const { reject } of this.waiting.splice(0)) reject(threadEnded(this.data.folder));
        resolve();
      });
    });
    // An idle thread does not keep the process alive.
    worker.unref();
  }

  /** As `IndexWriter.upsert`. {@link isRunning} must be true. */
  async upsert(sources: readonly IndexableSource[]): Promise<UpsertResult> {
    const reply = await this.run({ upserts: packSources(sources) });
    return (reply as { upserted: UpsertResult }).upserted;
  }

  /** As `IndexWriter.delete`. {@link isRunning} must be true. */
  async delete(refs: readonly DocumentRef[]): Promise<number> {
    const reply = await this.run({ deletes: refs });
    return (reply as { deleted: number }).deleted;
  }

  /** Ends the thread when it has written what it was given. */
  async close(): Promise<void> {
    this.cannotStart = true;
    this.end();
    await this.exited;
  }

  private async run(task: WriteTask): Promise<WriteReply> {
    const { worker } = this;
    if (!worker) throw threadEnded(this.data.folder);
    clearTimeout(this.idleTimer);
    worker.ref();
    const reply = await new Promise<WriteReply>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      worker.postMessage(task);
    });
    if ('error' in reply) throw unpackThreadError(reply.error);
    return reply;
  }

  private rest(): void {
    // One that is being ended keeps the process alive until it is gone: else nothing settles the promise of its end.
    if (this.waiting.length > 0 || !this.isReady) return;
    this.worker?.unref();
    clearTimeout(this.idleTimer);
    this.idleTimer = setTimeout(() => this.end(), IDLE_MS).unref();
  }

  /** Messages are read in order, so that this one comes after all writes. */
  private end(): void {
    clearTimeout(this.idleTimer);
    this.isReady = false;
    this.worker?.ref();
    this.worker?.postMessage('close');
  }
}

const threadEnded = (place: string): WinnowError =>
  new WinnowError('WINNOW_STORAGE', 'the thread that writes ended before it answered', {
    place,
    hint: 'write the documents again: those of this call are stored all or not at all',
  });
