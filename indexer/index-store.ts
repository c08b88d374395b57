import type { WinnowError } from '../errors.ts';
import { type SnapshotInfo, takeSnapshot } from './admin/snapshot.ts';
import { indexStats } from './admin/stats.ts';
import { verifyIndex } from './admin/verify.ts';
import type { DocumentRef } from './format/stored-id.ts';
import { type MergeOptions, MergeScheduler } from './merge/merge-scheduler.ts';
import { holdsIndex } from './store/files.ts';
import { requireSameSettings } from './store/index-settings.ts';
import type { IndexView } from './store/index-view.ts';
import { IndexWriter } from './store/index-writer.ts';
import { OpenIndex } from './store/open-index.ts';
import type { StoredRecord, StoredSource } from './store/records.ts';
import type { Checked, StorableSource } from './store/storable.ts';
import type { IndexableSource, IndexSettings, IndexStats, SourceDocument, UpsertResult } from './types.ts';
import { BackgroundWriter } from './write/background-writer.ts';

export interface OpenOptions extends MergeOptions {
  /** Open for searching only; writes throw WINNOW_INDEX_READ_ONLY. Default false. */
  readonly readOnly?: boolean;
}

/**
 * A durable inverted index in one LMDB file: reader, writer and merges of one open index. What can be done to an index as a whole,
 * open or not, is in `admin/`.
 *
 * **Processes and threads.** Any number of processes and threads may have an index open, each through an IndexStore of its own.
 * One of them writes at a time; writes of the others wait for LMDB's write lock. Readers see whole commits only and never wait.
 * Calls are synchronous unless they return a promise. Merges of more than 256 KiB run in a worker thread.
 *
 * **Writes.** A write is one transaction: when it returns, all of it is on disk and the next {@link view} shows it; when it
 * throws, nothing was changed. It starts the merges that it makes due. A merge that fails is not an error of the write: see
 * {@link mergeError}.
 *
 * **Errors.** All are WinnowErrors. After {@link close} every call throws WINNOW_INDEX_CLOSED, as it does after another process replaced
 * the file by a restore or a compaction. Damage is found where it is read: WINNOW_INDEX_CORRUPT.
 */
export class IndexStore {
  private readonly index: OpenIndex;
  private readonly scheduler: MergeScheduler;
  private readonly writer: IndexWriter;
  /** Writes that leave the calling thread to searches; those of this object itself are done before they return. */
  readonly background: BackgroundWriter;

  private constructor(index: OpenIndex, options: MergeOptions) {
    this.index = index;
    this.scheduler = new MergeScheduler(index, options);
    this.writer = new IndexWriter(index, () => this.scheduler.mergeDue());
    this.background = new BackgroundWriter(index, this.writer, this.scheduler);
  }

  /** @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_VERSION, WINNOW_INDEX_CORRUPT, WINNOW_STORAGE */
  static open(folder: string, { readOnly = false, ...merging }: OpenOptions = {}): IndexStore {
    return new IndexStore(OpenIndex.open(folder, { readOnly }), merging);
  }

  /** @throws WinnowError WINNOW_INDEX_MISMATCH when an existing index has other settings, and what {@link open} throws */
  static openOrCreate(folder: string, settings: IndexSettings, merging: MergeOptions = {}): IndexStore {
    return new IndexStore(OpenIndex.openOrCreate(folder, settings), merging);
  }

  /** Whether the folder holds an index file that is not empty. */
  static exists(folder: string): boolean {
    return holdsIndex(folder);
  }

  get path(): string {
    return this.index.path;
  }

  get settings(): IndexSettings {
    return this.index.reader.settings;
  }

  /** @throws WinnowError WINNOW_INDEX_MISMATCH naming the first setting that differs */
  requireSettings(wanted: IndexSettings): void {
    requireSameSettings(this.settings, wanted, this.path);
  }

  /** @throws WinnowError WINNOW_INDEX_CLOSED, WINNOW_INDEX_READ_ONLY */
  requireWritable(): void {
    this.index.transactions.requireWritable();
  }

  /** The newest view; see `IndexReader.view` for how new and how long it is valid. */
  view(): IndexView {
    return this.index.reader.view();
  }

  /** As {@link view}, with every commit of others so far. */
  newestView(): IndexView {
    this.index.reader.expire();
    return this.index.reader.view();
  }

  /** Content hashes of those of the sources that are stored whole; others have no entry. */
  contentHashes(ids: readonly string[]): ReadonlyMap<string, string> {
    return this.index.reader.contentHashes(ids);
  }

  /** Ids of all sources, in the order of their UTF-8 bytes. Sources that are written meanwhile may or may not appear. */
  sourceIds(): Generator<string> {
    return this.index.reader.sourceIds();
  }

  /** A document, a passage, or a source that was cut into passages. */
  get(document: DocumentRef): StoredRecord | StoredSource | undefined {
    return this.index.reader.get(document);
  }

  /** Checks a source before time is spent on encoding it; see `IndexWriter.prepare`. @throws WinnowError WINNOW_BAD_ROW */
  prepare(source: SourceDocument): Checked<StorableSource> {
    return this.writer.prepare(source);
  }

  /** Adds or replaces sources; see `IndexWriter.upsert`. @throws WinnowError WINNOW_BAD_ROW, WINNOW_STORAGE, WINNOW_INDEX_READ_ONLY */
  upsert(sources: readonly IndexableSource[]): UpsertResult {
    return this.writer.upsert(sources);
  }

  /** Makes an index that keeps no dense vectors keep them; see `IndexWriter.keepVectors`. @throws WinnowError WINNOW_STORAGE, WINNOW_INDEX_READ_ONLY */
  keepVectors(vectorSize: number): void {
    this.writer.keepVectors(vectorSize);
  }

  /** Deletes sources and passages; see `IndexWriter.delete`. @returns how many of `refs` were found */
  delete(refs: readonly DocumentRef[]): number {
    return this.writer.delete(refs);
  }

  /** Merges as much as the policy's largest segment allows, before it returns; see `MergeScheduler.forceMerge`. */
  forceMerge(): void {
    this.scheduler.forceMerge();
  }

  /** Waits until no merge is running or due. @throws WinnowError why the last merge failed */
  merged(): Promise<void> {
    return this.scheduler.finish();
  }

  /** Why the last merge failed; undefined when it did not. The index is as it was before that merge. */
  get mergeError(): WinnowError | undefined {
    return this.scheduler.lastError;
  }

  stats(): IndexStats {
    return indexStats(this.index, this.segments().merging);
  }

  /** Number of segments, and of those that a merge is replacing now. */
  segments(): { readonly segments: number; readonly merging: number } {
    const segments = this.view().segments.length;
    return { segments, merging: segments - this.scheduler.candidates().length };
  }

  /** Reads every byte of the index. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(): void {
    verifyIndex(this.index);
  }

  /** Copies the index into a new folder; see `takeSnapshot`. @throws WinnowError WINNOW_ALREADY_EXISTS, WINNOW_STORAGE */
  takeSnapshot(folder: string): Promise<SnapshotInfo> {
    return takeSnapshot(this.index, folder);
  }

  /** @param task runs once, when the file is closed */
  afterClose(task: () => void): void {
    this.index.afterClose(task);
  }

  /** Stops the running merge, waits for background writes and copies, and closes the file. */
  close(): Promise<void> {
    return this.index.close();
  }
}
