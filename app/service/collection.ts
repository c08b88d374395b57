import { statSync } from 'node:fs';
import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import type { CompactReport } from '../../indexer/admin/compact.ts';
import { INDEX_FILE } from '../../indexer/store/files.ts';
import type { IndexStats } from '../../indexer/types.ts';
import type { BackendStats, SearchBackend } from '../../query/backend.ts';
import { Lane } from '../lane.ts';
import { compactInThread } from './compact.ts';
import { Gate } from './gate.ts';
import { GuardedBackend } from './guarded-backend.ts';

/** Batches of documents that wait for their turn, beside those of tasks. */
const BATCHES_WAITING = 16;

/** One collection: its index, which is opened when it is first used. */
export class Collection {
  /** The same for the life of the collection, whichever index file is open. */
  readonly backend: GuardedBackend;
  /** Batches of documents, which are encoded and committed one after another. */
  readonly commits = new Lane('batches', BATCHES_WAITING);
  /** Folder of the index; undefined where the caller's backend is served. */
  readonly folder: string | undefined;
  private readonly gate: Gate<SearchBackend>;
  private readonly closing = new AbortController();

  constructor(open: () => SearchBackend, folder?: string) {
    this.gate = new Gate(open);
    this.backend = new GuardedBackend(this.gate);
    this.folder = folder;
  }

  get isOpen(): boolean {
    return this.gate.isOpen;
  }

  /** Opens the index now. @throws WinnowError of opening */
  open(): void {
    void this.gate.backend;
  }

  /** Size of the index file; 0 where it is not in this process. */
  get bytes(): number {
    if (this.folder === undefined) return 0;
    return statSync(join(this.folder, INDEX_FILE), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** With the figures of an index file where there is one. */
  async stats(): Promise<BackendStats & Partial<IndexStats>> {
    return this.backend.stats();
  }

  /**
   * Makes the file small. Searches go on, writes wait.
   *
   * @param signal stops it at its next step; closing the collection does so, too
   * @throws WinnowError WINNOW_UNSUPPORTED, WINNOW_INDEX_IN_USE, WINNOW_STORAGE, WINNOW_INDEX_CLOSED when it was stopped
   */
  async compact(signal?: AbortSignal): Promise<CompactReport> {
    const { folder } = this;
    if (folder === undefined)
      throw new WinnowError('WINNOW_UNSUPPORTED', 'this server did not open the index itself', {
        place: 'type',
        hint: 'stop it and run: winnow compact',
      });
    this.open();
    const signals = [this.closing.signal, ...(signal ? [signal] : [])];
    return this.gate.replace(() => compactInThread(folder, AbortSignal.any(signals)));
  }

  /** Ends all work. Never rejects. */
  close(): Promise<void> {
    this.closing.abort();
    return this.gate.close();
  }
}
