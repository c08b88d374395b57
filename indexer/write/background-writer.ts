import type { DocumentRef } from '../format/stored-id.ts';
import type { MergeScheduler } from '../merge/merge-scheduler.ts';
import type { IndexWriter } from '../store/index-writer.ts';
import type { OpenIndex } from '../store/open-index.ts';
import type { IndexableSource, UpsertResult } from '../types.ts';
import { WriteThread } from './write-thread.ts';

/** Documents after which writes go to a thread: below, starting one costs more than it saves. */
const START_DOCUMENTS = 64;

/**
 * Writes that leave the calling thread to searches. Few documents are written on the calling thread; from {@link START_DOCUMENTS} on
 * a thread is started, and takes the writes when it is there. Either way a write is on disk, and the next view shows it, when its
 * promise resolves; writes are done in the order of the calls.
 */
export class BackgroundWriter {
  private readonly index: OpenIndex;
  private readonly writer: IndexWriter;
  private readonly scheduler: MergeScheduler;
  private readonly thread: WriteThread;
  private readonly writing = new Set<Promise<unknown>>();
  private documents = 0;

  constructor(index: OpenIndex, writer: IndexWriter, scheduler: MergeScheduler) {
    this.index = index;
    this.writer = writer;
    this.scheduler = scheduler;
    this.thread = new WriteThread({ folder: index.path, smallMergeBytes: scheduler.inlineMergeBytes });
    index.beforeClose(() => this.thread.close());
  }

  /** Whether the thread runs, which takes the writes from then on. */
  get hasThread(): boolean {
    return this.thread.isRunning;
  }

  /** Whether a write is under way on the thread. */
  get isBusy(): boolean {
    return this.writing.size > 0;
  }

  /** Waits for the writes that are under way now. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.writing);
  }

  /** As `IndexWriter.upsert`. */
  async upsert(sources: readonly IndexableSource[]): Promise<UpsertResult> {
    this.index.transactions.requireWritable();
    if (this.hasThread) return this.onThread(this.thread.upsert(sources));
    const result = this.writer.upsert(sources);
    for (const { documents } of sources) this.documents += documents.length;
    if (this.documents >= START_DOCUMENTS) this.thread.start();
    return result;
  }

  /** As `IndexWriter.delete`. */
  async delete(refs: readonly DocumentRef[]): Promise<number> {
    this.index.transactions.requireWritable();
    if (this.hasThread) return this.onThread(this.thread.delete(refs));
    return this.writer.delete(refs);
  }

  private async onThread<T>(write: Promise<T>): Promise<T> {
    const shown = this.show(write);
    this.writing.add(shown);
    try {
      return await shown;
    } finally {
      this.writing.delete(shown);
    }
  }

  /** Takes up what the thread has committed. A write that failed may have been the last of several. */
  private async show<T>(write: Promise<T>): Promise<T> {
    try {
      return await write;
    } finally {
      if (!this.index.reader.isClosed) {
        this.index.reader.takeUp();
        this.scheduler.mergeDue();
      }
    }
  }
}
