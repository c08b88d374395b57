import { isMainThread } from 'node:worker_threads';
import type { WinnowError } from '../../errors.ts';
import type { OpenIndex } from '../store/open-index.ts';
import { storageError, withStorageErrors } from '../store/storage-errors.ts';
import {
  logMergePolicy,
  MERGE_FACTOR,
  type MergeCandidate,
  type MergePolicy,
  type MergeRun,
  sizeOfRun,
} from './merge-policy.ts';
import { MergeThread, RETRY_MS } from './merge-thread.ts';
import { SegmentMerger } from './segment-merger.ts';

/** Merging so many bytes takes a few ms, for which searches on the same thread wait. */
const INLINE_MERGE_BYTES = 256 * 1024;

/** With more segments than this a write waits for its merges: each segment adds to the cost of every search. */
const MAX_WAITING_SEGMENTS = 128;

/** How an index merges. The defaults suit programs; most leave them alone. */
export interface MergeOptions {
  /** Decides what is merged. Default `logMergePolicy`. */
  readonly mergePolicy?: MergePolicy;
  /**
   * `background` (default): merges of more than `inlineMergeBytes` run in a worker thread after the write that made them due.
   * `inline`: the write does them before it returns.
   */
  readonly merges?: 'background' | 'inline';
  /** Merges of at most this many bytes are done on the calling thread in one transaction. Default 256 KiB. */
  readonly inlineMergeBytes?: number;
  /** Documents of a merged segment from which similar ones are put next to each other; Infinity = never. Default 65,536. */
  readonly reorderFrom?: number;
}

/**
 * Decides when and on which thread segments are merged. The writer calls {@link mergeDue} after each commit; nothing else has to.
 *
 * A merge that fails leaves the index as it was. Its error is kept ({@link lastError}) and not thrown at the writer, whose documents are
 * on disk; after half a minute the next write tries again.
 */
export class MergeScheduler {
  private readonly index: OpenIndex;
  private readonly policy: MergePolicy;
  /** See {@link MergeOptions}. */
  readonly inlineMergeBytes: number;
  private readonly merger: SegmentMerger;
  private readonly thread: MergeThread | undefined;
  private inlineFailure: { readonly error: WinnowError; readonly at: number } | undefined;

  constructor(
    index: OpenIndex,
    {
      mergePolicy = logMergePolicy,
      merges = 'background',
      inlineMergeBytes = INLINE_MERGE_BYTES,
      reorderFrom,
    }: MergeOptions = {},
  ) {
    this.index = index;
    this.policy = mergePolicy;
    this.inlineMergeBytes = inlineMergeBytes;
    const thread = merges === 'background' ? new MergeThread(index.path) : undefined;
    this.thread = thread;
    this.merger = new SegmentMerger(index, () => (thread ? thread.isBusy : !isMainThread), reorderFrom);
    if (thread) index.beforeClose(() => thread.cancel());
  }

  /** Starts or does the merges that the policy asks for. Never throws. */
  mergeDue(): void {
    if (this.inlineFailure && performance.now() - this.inlineFailure.at < RETRY_MS) return;
    try {
      while (this.mergeNext());
      this.inlineFailure = undefined;
    } catch (error) {
      this.inlineFailure = { error: storageError(this.index.path, error), at: performance.now() };
    }
  }

  /**
   * Merges all segments into one (or as few as the largest size of a segment allows) and drops deleted documents, before
   * it returns. Segments that a thread or another process is merging are left to it.
   *
   * @throws WinnowError WINNOW_STORAGE, WINNOW_INDEX_CORRUPT, WINNOW_INDEX_READ_ONLY, WINNOW_INDEX_CLOSED
   */
  forceMerge(): void {
    for (const run of this.policy.findForcedMerges(this.candidates())) this.mergeHere(run);
  }

  /**
   * Waits until no merge is running or due.
   *
   * @throws WinnowError why the last merge failed; the index is as it was before it
   */
  async finish(): Promise<void> {
    while (this.thread?.isBusy) await this.thread.finished();
    if (this.lastError) throw this.lastError;
  }

  /** Why the last merge failed; undefined when it did not. */
  get lastError(): WinnowError | undefined {
    return this.thread?.lastError ?? this.inlineFailure?.error;
  }

  /** Segments that are free to be merged, oldest first. */
  candidates(): MergeCandidate[] {
    const { manifest, segments } = this.index.reader.view();
    const taken = withStorageErrors(this.index.path, () => this.merger.segmentsInMerges());
    return manifest.segments
      .map((ref, i) => ({ ...ref, numBytes: segments[i]!.segment.numBytes }))
      .filter(({ number }) => !taken.has(number) && !this.thread?.segments.has(number));
  }

  /** Does or starts the most urgent merge. @returns whether there may be another */
  private mergeNext(): boolean {
    const all = this.candidates();
    const { thread } = this;
    const mustMergeHere = !thread || thread.isUnavailable || all.length > MAX_WAITING_SEGMENTS;
    // While the thread works on large segments, small ones are still merged here.
    const allowed =
      mustMergeHere || thread.isReady
        ? all
        : all.filter(({ numBytes }) => numBytes <= this.inlineMergeBytes / MERGE_FACTOR);
    const [run] = this.policy.findMerges(allowed);
    if (!run) return false;
    if (mustMergeHere || sizeOfRun(run) <= this.inlineMergeBytes) {
      this.mergeHere(run);
    } else {
      const task = { segments: run.map(({ number }) => number), reorderFrom: this.merger.reorderFrom };
      thread.start(task, () => this.afterBackgroundMerge());
    }
    return true;
  }

  private mergeHere(run: MergeRun): void {
    const numbers = run.map(({ number }) => number);
    if (sizeOfRun(run) > this.inlineMergeBytes) this.merger.mergePartByPart(numbers);
    else this.merger.mergeInOneTransaction(numbers);
  }

  private afterBackgroundMerge(): void {
    if (this.index.reader.isClosed) return;
    this.index.reader.expire();
    if (!this.thread?.lastError) this.mergeDue();
  }
}
