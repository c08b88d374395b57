import { WinnowError } from '../../errors.ts';
import { decodeManifest } from '../format/manifest.ts';
import { type DocumentRef, refOf } from '../format/stored-id.ts';
import type { IndexSettings } from '../types.ts';
import { IndexView } from './index-view.ts';
import { getSource, type StoredRecord, type StoredSource } from './records.ts';
import type { Storage } from './storage.ts';
import { withStorageErrors } from './storage-errors.ts';

/**
 * Readers may serve a view that is this old. Checking LMDB for a newer one costs more than a typical search, so it is done at most
 * once per interval.
 */
const REFRESH_MS = 20;

/**
 * The reading side of an open index. Any number of processes and threads may read an index, each with readers of its own, while
 * one writes; readers never block a writer and are never blocked. One reader is not shared between threads.
 */
export class IndexReader {
  private readonly storage: Storage;
  private current: IndexView;
  private closed = false;
  /** Until then (performance.now) the current view is returned without checking LMDB. */
  private freshUntil = 0;

  /** @throws WinnowError WINNOW_INDEX_CORRUPT, WINNOW_INDEX_VERSION, WINNOW_INDEX_CLOSED */
  constructor(storage: Storage) {
    this.storage = storage;
    this.current = withStorageErrors(storage.path, () => new IndexView(storage));
  }

  get settings(): IndexSettings {
    return this.current.manifest.settings;
  }

  /** As {@link view}, without checking for a newer one. */
  get latest(): IndexView {
    return this.current;
  }

  /**
   * The newest view. Own commits show at once, those of other processes after 20 ms at the latest. Valid until the next call of this
   * method or of one that writes; code that awaits in between must acquire the view.
   *
   * @throws WinnowError WINNOW_INDEX_CLOSED, WINNOW_INDEX_CORRUPT
   */
  view(): IndexView {
    this.requireOpen();
    if (performance.now() < this.freshUntil) return this.current;
    const { path, manifest } = this.storage;
    const stored = withStorageErrors(path, () => manifest.get('current'));
    if (!stored || decodeManifest(stored, path).generation !== this.current.manifest.generation)
      this.reload();
    this.freshUntil = performance.now() + REFRESH_MS;
    return this.current;
  }

  /** Replaces the view by one of the newest commit. */
  reload(): void {
    const previous = this.current;
    this.current = withStorageErrors(this.storage.path, () => new IndexView(this.storage, previous));
    previous.release();
  }

  /** Replaces the view by one that has every commit of other threads so far. */
  takeUp(): void {
    // lmdb-js reads from one snapshot until the event loop turns.
    this.storage.root.resetReadTxn();
    this.reload();
  }

  /** Makes the next {@link view} check LMDB. */
  expire(): void {
    this.freshUntil = 0;
  }

  /**
   * Content hashes of those of the sources that are stored whole; others have no entry. A document without the dense vector that
   * the index keeps is not whole: indexing its source again adds the vector.
   *
   * @throws WinnowError WINNOW_INDEX_CORRUPT
   */
  contentHashes(ids: readonly string[]): ReadonlyMap<string, string> {
    this.requireOpen();
    const hashes = new Map<string, string>();
    for (const id of ids) {
      const source = getSource(this.storage, id);
      if (source?.hash === undefined || this.lacksVector(source.keys)) continue;
      hashes.set(id, source.hash);
    }
    return hashes;
  }

  private lacksVector(docKeys: readonly number[]): boolean {
    const { segments, manifest } = this.view();
    if (manifest.settings.vectorSize === undefined) return false;
    return docKeys.some((docKey) => {
      for (const { segment } of segments) {
        const docId = segment.docIdOf(docKey);
        if (docId >= 0) return !segment.denseVectors?.has(docId);
      }
      return false; // written by another process since this view was made
    });
  }

  /** Ids of all sources, in the order of their UTF-8 bytes. Sources that are written meanwhile may or may not appear. */
  *sourceIds(): Generator<string> {
    this.requireOpen();
    for (const id of this.storage.sources.getKeys({ snapshot: false })) yield id as string;
  }

  /** A document, a passage, or a source that was cut into passages. @throws WinnowError WINNOW_INDEX_CORRUPT */
  get(document: DocumentRef): StoredRecord | StoredSource | undefined {
    const ref = refOf(document);
    const records = this.view().documentsOf(ref);
    const [first] = records;
    if (!first || first.passage === undefined || ref.passage !== undefined) return first;
    return {
      id: ref.id,
      title: first.title,
      text: records.map(({ text }) => text).join('\n\n'),
      metadata: first.metadata,
      passages: records.map(({ passage }) => passage!),
    };
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** @throws WinnowError WINNOW_INDEX_CLOSED */
  requireOpen(): void {
    if (this.closed)
      throw new WinnowError('WINNOW_INDEX_CLOSED', 'the index was closed', { place: this.storage.path });
  }

  /** Rejects later calls and releases the current view. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.current.release();
  }
}
