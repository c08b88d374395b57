import { asBuffer } from '../format/bytes.ts';
import { decodeManifest, encodeManifest, type Manifest } from '../format/manifest.ts';
import type { IndexSettings } from '../types.ts';
import { IndexReader } from './index-reader.ts';
import { requireSameSettings } from './index-settings.ts';
import { IndexTransactions } from './index-transactions.ts';
import { openStorage, type Storage } from './storage.ts';
import { storageError, withStorageErrors } from './storage-errors.ts';

/**
 * An open index file: what the writer, merges and administration work on. It belongs to one thread; each thread and each process opens
 * the index for itself.
 */
export class OpenIndex {
  readonly storage: Storage;
  readonly reader: IndexReader;
  readonly transactions: IndexTransactions;
  private readonly closeTasks: (() => Promise<void>)[] = [];
  private readonly closedTasks: (() => void)[] = [];
  /** Copies in progress; LMDB must not be closed under them. */
  private readonly copies = new Set<Promise<void>>();
  private closing: Promise<void> | undefined;

  private constructor(storage: Storage, readOnly: boolean) {
    this.storage = storage;
    try {
      this.reader = new IndexReader(storage);
    } catch (error) {
      void storage.root.close();
      throw error;
    }
    this.transactions = new IndexTransactions(storage, this.reader, readOnly);
  }

  /** @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_VERSION, WINNOW_INDEX_CORRUPT, WINNOW_STORAGE */
  static open(folder: string, { readOnly = false } = {}): OpenIndex {
    return new OpenIndex(openStorage(folder, { create: false, readOnly }), readOnly);
  }

  /** As {@link open}, but creates an index where there is none. @throws WinnowError WINNOW_INDEX_MISMATCH for other settings */
  static openOrCreate(folder: string, settings: IndexSettings): OpenIndex {
    const storage = openStorage(folder, { create: true, readOnly: false });
    try {
      withStorageErrors(storage.path, () =>
        storage.root.transactionSync(() => {
          const existing = storage.manifest.get('current');
          if (existing)
            return requireSameSettings(decodeManifest(existing, storage.path).settings, settings, folder);
          const empty: Manifest = { generation: 1, nextSegment: 1, nextDocKey: 1, segments: [], settings };
          storage.manifest.put('current', asBuffer(encodeManifest(empty)));
        }),
      );
    } catch (error) {
      void storage.root.close();
      throw error;
    }
    return new OpenIndex(storage, false);
  }

  get path(): string {
    return this.storage.path;
  }

  /** Writes the index as it is now to a new file, without free pages; searches and writes go on. @throws WinnowError WINNOW_STORAGE */
  async copyTo(file: string): Promise<void> {
    this.reader.requireOpen();
    const copy = this.storage.root.backup(file, true);
    this.copies.add(copy);
    try {
      await copy;
    } catch (error) {
      throw storageError(file, error);
    } finally {
      this.copies.delete(copy);
    }
  }

  /** @param task runs when the index is closed, before the file is */
  beforeClose(task: () => Promise<void>): void {
    this.closeTasks.push(task);
  }

  /** @param task runs when the file is closed */
  afterClose(task: () => void): void {
    this.closedTasks.push(task);
  }

  /** Rejects later calls, ends what is under way, and closes the file. Later calls return the same promise. */
  close(): Promise<void> {
    this.closing ??= this.closeAll();
    return this.closing;
  }

  private async closeAll(): Promise<void> {
    this.reader.close();
    for (const task of this.closeTasks) await task();
    await Promise.allSettled(this.copies);
    await this.storage.root.close();
    for (const task of this.closedTasks) task();
  }
}
