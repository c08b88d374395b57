import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { WinnowError } from '../errors.ts';
import { BackgroundMerge } from './background-merge.ts';
import { contentOf } from './batch-content.ts';
import { fieldValues } from './filter-columns.ts';
import { bitmapFor, isBitSet, PartKind, setBit } from './format.ts';
import { Generation } from './generation.ts';
import { checkLmdbFile } from './lmdb-check.ts';
import { decodeManifest, encodeManifest, type Manifest, REPLACED, type SegmentRef } from './manifest.ts';
import { SegmentMerge } from './merge.ts';
import { chooseAll, chooseMerge, MERGE_FACTOR, type MergeCandidate } from './merge-policy.ts';
import {
  mergeRecords,
  ownsRecord,
  putMergeRecord,
  removeLeftovers,
  removeRecord,
  segmentsInMerges,
} from './merge-records.ts';
import {
  getSource,
  putRecord,
  putSource,
  type SourceRecord,
  type StoredRecord,
  type StoredSource,
} from './records.ts';
import { type Segment, unsealed } from './segment.ts';
import { buildSegment, type SegmentContent, type SegmentHeaderMaker, sealed } from './segment-builder.ts';
import { storableSource } from './storable.ts';
import {
  dropSegment,
  guard,
  INDEX_FILE,
  openStorage,
  requireSpace,
  type Storage,
  segmentKey,
  storageError,
} from './storage.ts';
import { type DocumentRef, parseStoredId, refOf } from './stored-id.ts';
import type {
  IndexableDocument,
  IndexableSource,
  IndexSettings,
  IndexStats,
  SourceDocument,
} from './types.ts';

/** How long a reader may miss another process's commit: asking LMDB costs more than many a search. */
export const REFRESH_MS = 20;

/** A merge that makes a segment of at least so many documents also puts similar ones next to each other. */
export const REORDER_FROM = 65_536;

/** Merges of at most so many bytes take some 20 ms, less than starting a thread, and are done in place. */
export const INLINE_MERGE_BYTES = 4 * 1024 * 1024;

/** A transaction asks for room on the disk each time it has grown by so much. */
const SPACE_CHECK_BYTES = 4 * 1024 * 1024;

/** With more segments than this a write waits for its merges: each segment makes searches dearer. */
const MAX_WAITING_SEGMENTS = 128;

export interface OpenOptions {
  /** Size of merged segments, in documents, from which they are reordered; Infinity = never. Default {@link REORDER_FROM}. */
  readonly reorderFrom?: number;
  /**
   * `background` (default): {@link IndexStore.mergeIfNeeded} leaves merges of more than {@link INLINE_MERGE_BYTES} to a
   * worker thread. `inline`: it does them itself before it returns.
   */
  readonly merges?: 'background' | 'inline';
  /** Merges of at most so many bytes are done in one transaction, in place. Default {@link INLINE_MERGE_BYTES}. */
  readonly inlineMergeBytes?: number;
  /** Open for searching only; writes throw WINNOW_INDEX_READ_ONLY. Default false. */
  readonly readOnly?: boolean;
}

export interface UpsertResult {
  readonly added: number;
  /** Sources that the index had under the same id. */
  readonly replaced: number;
  /** Sources of the batch that a later one of the same id took the place of: the last one wins. */
  readonly duplicates: number;
  /** Sources whose text or metadata held unpaired surrogates; they are stored with U+FFFD in their place. */
  readonly mended: number;
}

/**
 * A durable inverted index in one LMDB file.
 *
 * One process writes at a time (LMDB's write lock queues others), any number read. Every write is one transaction:
 * when its promise resolves the documents are on disk and the next {@link generation} shows them, all or none.
 */
export class IndexStore {
  readonly path: string;
  readonly readOnly: boolean;
  private readonly storage: Storage;
  private current: Generation;
  private closed = false;
  /** Until then (performance.now) the current generation is taken for the newest without asking LMDB. */
  private freshUntil = 0;

  private readonly reorderFrom: number;
  private readonly inlineMergeBytes: number;
  /** Bytes that the transaction under way is going to write, and up to how many the disk was asked for room. */
  private planned = 0;
  private roomChecked = 0;
  /** Copies under way; LMDB must not be closed under them. */
  private readonly copying = new Set<Promise<void>>();
  private readonly background: BackgroundMerge | undefined;

  private constructor(
    storage: Storage,
    {
      readOnly = false,
      reorderFrom = REORDER_FROM,
      merges = 'background',
      inlineMergeBytes = INLINE_MERGE_BYTES,
    }: OpenOptions,
  ) {
    this.inlineMergeBytes = inlineMergeBytes;
    this.storage = storage;
    this.reorderFrom = reorderFrom;
    this.background = merges === 'background' ? new BackgroundMerge(storage.path, reorderFrom) : undefined;
    this.path = storage.path;
    this.readOnly = readOnly;
    try {
      this.current = guard(storage.path, () => new Generation(storage));
    } catch (error) {
      void storage.root.close();
      throw error;
    }
  }

  /**
   * Opens an existing index.
   *
   * @throws WinnowError WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_VERSION, WINNOW_INDEX_CORRUPT
   */
  static open(folder: string, options: OpenOptions = {}): IndexStore {
    return new IndexStore(
      openStorage(folder, { create: false, readOnly: options.readOnly ?? false }),
      options,
    );
  }

  /**
   * Opens the index in a folder, or creates it.
   *
   * @throws WinnowError WINNOW_INDEX_MISMATCH when an index is there that was built with other settings
   */
  static openOrCreate(
    folder: string,
    settings: IndexSettings,
    options: Omit<OpenOptions, 'readOnly'> = {},
  ): IndexStore {
    const storage = openStorage(folder, { create: true, readOnly: false });
    try {
      guard(storage.path, () =>
        storage.root.transactionSync(() => {
          const existing = storage.manifest.get('current');
          if (existing)
            return checkSettings(decodeManifest(existing, storage.path).settings, settings, folder);
          const empty: Manifest = { generation: 1, nextSegment: 1, nextDocKey: 1, segments: [], settings };
          storage.manifest.put('current', asBuffer(encodeManifest(empty)));
        }),
      );
    } catch (error) {
      void storage.root.close();
      throw error;
    }
    return new IndexStore(storage, options);
  }

  /** Whether the folder holds an index file; an empty one is what a start that was broken off leaves behind. */
  static exists(folder: string): boolean {
    const file = join(folder, INDEX_FILE);
    return existsSync(file) && statSync(file).size > 0;
  }

  /** @throws WinnowError WINNOW_INDEX_MISMATCH naming the first setting that differs */
  requireSettings(wanted: IndexSettings): void {
    checkSettings(this.settings, wanted, this.path);
  }

  get settings(): IndexSettings {
    return this.current.manifest.settings;
  }

  /**
   * The newest view; what other processes wrote shows after {@link REFRESH_MS} at the latest. Valid until the next call
   * that changes or refreshes the index; a search that awaits in between must `use()` and `release()` it.
   */
  generation(): Generation {
    this.assertOpen();
    if (performance.now() < this.freshUntil) return this.current;
    const stored = guard(this.path, () => this.storage.manifest.get('current'));
    if (!stored || decodeManifest(stored, this.path).generation !== this.current.manifest.generation)
      this.swap();
    this.freshUntil = performance.now() + REFRESH_MS;
    return this.current;
  }

  /** @throws WinnowError WINNOW_INDEX_CLOSED, WINNOW_INDEX_READ_ONLY */
  requireWritable(): void {
    this.assertOpen();
    if (!this.readOnly) return;
    throw new WinnowError('WINNOW_INDEX_READ_ONLY', 'the index was opened for reading', { place: this.path });
  }

  /** Hash of a source as last indexed; undefined when the index does not hold all of it. */
  sourceHash(id: string): string | undefined {
    this.assertOpen();
    return getSource(this.storage, id)?.hash;
  }

  /** Ids of all sources. */
  *sourceIds(): Generator<string> {
    this.assertOpen();
    for (const id of this.storage.sources.getKeys({ snapshot: false })) yield id as string;
  }

  /** A document, a passage, or a source that was cut into passages. */
  get(document: DocumentRef): StoredRecord | StoredSource | undefined {
    const ref = refOf(document);
    const records = this.generation().documentsOf(ref);
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

  /**
   * Checks a source before it costs an encoding.
   *
   * @returns it in the form that is stored, and whether that took a change (see {@link UpsertResult.mended})
   * @throws WinnowError WINNOW_BAD_ROW
   */
  prepare(source: SourceDocument): ReturnType<typeof storableSource> {
    const checked = storableSource(source);
    for (const document of checked.value.documents)
      for (const field of this.settings.filterFields) fieldValues(field, document);
    return checked;
  }

  /**
   * Adds sources, or replaces those with the same id, in one transaction.
   *
   * @throws WinnowError WINNOW_BAD_ROW for what cannot be stored, WINNOW_STORAGE when the disk refuses
   */
  upsert(sources: readonly IndexableSource[]): UpsertResult {
    this.assertOpen();
    let mended = 0;
    const prepared = sources.map((source): IndexableSource => {
      const documents = source.documents.map(({ document }) => document);
      const checked = this.prepare({ ...source, documents });
      if (checked.mended) mended++;
      return {
        ...checked.value,
        documents: source.documents.map((item, i) => ({ ...item, document: checked.value.documents[i]! })),
      };
    });
    const latest = [...new Map(prepared.map((source) => [source.id, source])).values()];
    const duplicates = sources.length - latest.length;
    if (latest.length === 0) return { added: 0, replaced: 0, duplicates, mended };
    return this.write((manifest, deletions) => {
      let replaced = 0;
      for (const { id } of latest) if (this.removeSource(id, deletions)) replaced++;
      let docKey = manifest.nextDocKey;
      const documents: { docKey: number; item: IndexableDocument }[] = [];
      for (const source of latest) {
        const keys: number[] = [];
        for (const item of source.documents) {
          this.plan(putRecord(this.storage, docKey, item.document));
          documents.push({ docKey, item });
          keys.push(docKey++);
        }
        const isCut = source.documents[0]!.document.passage !== undefined;
        putSource(this.storage, source.id, {
          hash: source.contentHash,
          keys,
          passages: isCut ? source.documents.map(({ document }) => document.passage!) : undefined,
        });
      }
      this.putSegment(manifest.nextSegment, contentOf(documents, manifest.settings));
      const added = { number: manifest.nextSegment, numDocs: documents.length, numDeleted: 0 };
      const next = {
        ...manifest,
        segments: [...manifest.segments, added],
        nextSegment: manifest.nextSegment + 1,
        nextDocKey: docKey,
      };
      return [next, { added: latest.length - replaced, replaced, duplicates, mended }];
    });
  }

  /**
   * Deletes sources, with all their passages, and single passages. A source that lost a passage has no content hash any more,
   * so that indexing it again brings the passage back. No stored field is read, so what is damaged can be deleted, too.
   *
   * @returns how many of the documents that `refs` name were found
   */
  delete(refs: readonly DocumentRef[]): number {
    return this.write((manifest, deletions) => {
      let found = 0;
      for (const { id, passage } of refs.map(refOf)) {
        const isThere =
          passage === undefined
            ? this.removeSource(id, deletions)
            : this.removePassage(id, passage, deletions);
        if (isThere) found++;
      }
      return [manifest, found];
    });
  }

  /**
   * Merges all segments into one (or as few as the largest size of a segment allows) and drops deleted documents, before
   * it returns. Segments that a thread or another process is merging are left to it.
   */
  optimize(): void {
    for (const run of chooseAll(this.candidates())) this.merge(run);
  }

  /**
   * Merges while the policy asks for it; called after writes. Large merges go to a worker thread, one at a time: wait
   * for them with {@link merged}. A merge that fails there is tried again after half a minute.
   */
  mergeIfNeeded(): void {
    for (;;) {
      const all = this.candidates();
      const late = all.length > MAX_WAITING_SEGMENTS;
      const { background } = this;
      const inPlace = !background || background.unavailable || late;
      // While a thread works on large segments the small ones still go on.
      const able =
        inPlace || background.ready
          ? all
          : all.filter(({ numBytes }) => numBytes <= this.inlineMergeBytes / MERGE_FACTOR);
      const chosen = chooseMerge(able);
      if (chosen.length === 0) return;
      if (inPlace || sizeOf(chosen) <= this.inlineMergeBytes) {
        this.merge(chosen);
      } else {
        background.start(
          chosen.map(({ number }) => number),
          () => this.afterBackgroundMerge(),
        );
      }
    }
  }

  /**
   * Waits until no merge is under way or due.
   *
   * @throws WinnowError why the last merge failed; the index is as it was before it
   */
  async merged(): Promise<void> {
    while (this.background?.busy) await this.background.finished();
    const failure = this.background?.lastError;
    if (failure) throw failure;
  }

  /** Why the last merge in the background failed; undefined when it did not. */
  get mergeError(): WinnowError | undefined {
    return this.background?.lastError;
  }

  private afterBackgroundMerge(): void {
    if (this.closed) return;
    this.freshUntil = 0;
    if (!this.background?.lastError) this.mergeIfNeeded();
  }

  /** Reads every byte of every segment, every stored document, and every page of the file. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(): void {
    checkLmdbFile(join(this.path, INDEX_FILE), { deep: true });
    const generation = this.generation();
    for (const { segment } of generation.segments) segment.verify();
    generation.verifyDocuments();
  }

  stats(): IndexStats {
    const generation = this.generation();
    const { manifest } = generation;
    const bytes: Record<string, number> = {};
    const partNames = new Map<number, string>(
      Object.entries(PartKind).map(([name, kind]) => [kind, name.toLowerCase()]),
    );
    for (const { segment } of generation.segments) {
      for (const [kind, size] of segment.partBytes()) {
        const name = partNames.get(kind) ?? String(kind);
        bytes[name] = (bytes[name] ?? 0) + size;
      }
    }
    return {
      generation: manifest.generation,
      documents: generation.numLive,
      deleted: manifest.segments.reduce((sum, { numDeleted }) => sum + numDeleted, 0),
      sources: this.storage.sources.getCount(),
      segments: manifest.segments.length,
      merging: manifest.segments.length - this.candidates().length,
      postings: generation.segments.reduce((sum, { segment }) => sum + segment.numPostings, 0),
      bytes,
      settings: manifest.settings,
    };
  }

  /** Bytes of the pages in use: what a copy without free pages takes. */
  usedBytes(): number {
    this.assertOpen();
    const { root, ...databases } = this.storage;
    const own = [root, databases.manifest, databases.segments, databases.tombstones];
    return [...own, databases.documents, databases.sources].reduce((sum, db) => {
      const stats = db.getStats() as Record<string, number>;
      const pages = stats.treeBranchPageCount! + stats.treeLeafPageCount! + stats.overflowPages!;
      return sum + pages * stats.pageSize!;
    }, 0);
  }

  /** Writes the index as it is now to a new file, without free pages; searches and writes go on. */
  async copyTo(file: string): Promise<void> {
    this.assertOpen();
    const copying = this.storage.root.backup(file, true);
    this.copying.add(copying);
    try {
      await copying;
    } catch (error) {
      throw storageError(file, error);
    } finally {
      this.copying.delete(copying);
    }
  }

  /** Removes the records of merges, in a copy of an index in which nobody merges. */
  forgetMerges(): void {
    if (mergeRecords(this.storage).length === 0) return;
    this.write((manifest) => {
      for (const { output } of mergeRecords(this.storage))
        removeRecord(this.storage, output, { parts: true });
      return [manifest, undefined];
    });
  }

  /** @throws WinnowError WINNOW_INDEX_IN_USE when another process has the index open */
  requireAlone(): void {
    this.assertOpen();
    const { root } = this.storage;
    root.readerCheck();
    const others = String(root.readerList())
      .split('\n')
      .map((line) => Number.parseInt(line, 10))
      .filter((pid) => pid > 0 && pid !== process.pid);
    if (others.length === 0) return;
    throw new WinnowError('WINNOW_INDEX_IN_USE', `process ${others[0]} has the index open`, {
      place: this.path,
      hint: 'stop it and try again',
    });
  }

  /**
   * Puts another index file in the place of this one and closes. Whoever still has the old file open gets an error instead of
   * writing into a file that nobody will read.
   */
  replaceFileBy(file: string): void {
    this.assertOpen();
    const own = join(this.path, INDEX_FILE);
    guard(this.path, () =>
      this.storage.root.transactionSync(() => {
        this.storage.manifest.put('current', asBuffer(sealed(REPLACED)));
        renameSync(file, own);
        rmSync(`${own}-lock`, { force: true });
      }),
    );
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.background?.cancel();
    await Promise.allSettled(this.copying);
    this.current.release();
    await this.storage.root.close();
  }

  /** The segments that are free to be merged. */
  private candidates(): MergeCandidate[] {
    const { manifest, segments } = this.generation();
    const taken = guard(this.path, () => segmentsInMerges(this.storage, this.ownMergeRuns));
    return manifest.segments
      .map((ref, i) => ({ ...ref, numBytes: segments[i]!.segment.numBytes }))
      .filter(({ number }) => !taken.has(number) && !this.background?.segments.has(number));
  }

  /** Whether a record of this process may be one of a merge that runs; it may also be one that could not be removed. */
  private get ownMergeRuns(): boolean {
    return this.background ? this.background.busy : !isMainThread;
  }

  private merge(candidates: readonly MergeCandidate[]): void {
    const numbers = candidates.map(({ number }) => number);
    if (sizeOf(candidates) > this.inlineMergeBytes) this.mergeSegments(numbers);
    else this.mergeSmall(numbers);
  }

  /** Builds the merged segment in memory and stores it in the transaction that swaps it in. */
  private mergeSmall(numbers: readonly number[]): void {
    const merged = new SegmentMerge(this.generation(), numbers, this.reorderFrom);
    const parts: [PartKind, Uint8Array][] = [];
    const header = merged.build((kind, bytes) => parts.push([kind, bytes]));
    this.write((manifest, deletions) => {
      removeLeftovers(this.storage, this.ownMergeRuns);
      const taken = segmentsInMerges(this.storage, this.ownMergeRuns);
      if (numbers.some((number) => taken.has(number))) return [manifest, undefined];
      if (!numbers.every((wanted) => manifest.segments.some(({ number }) => number === wanted)))
        return [manifest, undefined]; // another writer merged or emptied them first
      const output = manifest.nextSegment;
      for (const [kind, bytes] of parts) this.putPart(output, kind, bytes);
      const next = this.replaceSegments(manifest, merged, output, header, deletions);
      return [{ ...next, nextSegment: output + 1 }, undefined];
    });
  }

  /**
   * Merges segments of any size: stores each part in a transaction of its own as soon as it is made, so that memory is
   * one part's beside the vectors', and other writers wait for one part at most. Nobody sees the parts before the last
   * transaction swaps them in; what a killed merge leaves behind, the next writer removes.
   *
   * @param stopped asked now and then: true breaks the merge off and removes what it stored
   */
  mergeSegments(numbers: readonly number[], stopped: () => boolean = () => false): void {
    const output = this.write((manifest) => {
      removeLeftovers(this.storage, this.ownMergeRuns);
      const taken = segmentsInMerges(this.storage, this.ownMergeRuns);
      const free = numbers.every(
        (wanted) => !taken.has(wanted) && manifest.segments.some(({ number }) => number === wanted),
      );
      if (!free) return [manifest, undefined];
      putMergeRecord(this.storage, manifest.nextSegment, numbers);
      return [{ ...manifest, nextSegment: manifest.nextSegment + 1 }, manifest.nextSegment];
    });
    if (output === undefined) return;
    const generation = this.generation().use();
    try {
      const checkpoint = (): void => {
        if (stopped()) throw new MergeStopped();
      };
      const merged = new SegmentMerge(generation, numbers, this.reorderFrom, checkpoint);
      const header = merged.build((kind, bytes) => {
        checkpoint();
        this.transact(() => {
          this.putPart(output, kind, bytes);
        });
      });
      checkpoint();
      this.write((manifest, deletions) => {
        if (!ownsRecord(this.storage, output)) return [manifest, undefined]; // taken for dead, and cleaned up
        removeRecord(this.storage, output, { parts: false });
        return [this.replaceSegments(manifest, merged, output, header, deletions), undefined];
      });
    } catch (error) {
      try {
        this.write((manifest) => {
          removeRecord(this.storage, output, { parts: true });
          return [manifest, undefined];
        });
      } catch {
        // On a full disk this fails too: the next merge clears up, and the first error is the one to tell.
      }
      if (!(error instanceof MergeStopped)) throw error;
    } finally {
      generation.release();
    }
  }

  /** Inside a write transaction: swaps a merged segment in for its inputs, less what was deleted meanwhile. */
  private replaceSegments(
    manifest: Manifest,
    merged: SegmentMerge,
    output: number,
    header: SegmentHeaderMaker,
    deletions: Set<number>,
  ): Manifest {
    const inputs = new Set(merged.numbers);
    const stay = manifest.segments.filter(({ number }) => !inputs.has(number));
    const present = manifest.segments.filter(({ number }) => inputs.has(number));
    const tombstones = new Map(present.map((ref) => [ref.number, this.tombstonesOf(ref)]));
    for (const docKey of merged.deletedSince(tombstones)) deletions.add(docKey);
    for (const { number } of present) this.dropSegment(number);
    if (merged.numDocs === 0) return { ...manifest, segments: stay };
    this.putPart(output, 0, header(output));
    return {
      ...manifest,
      segments: [...stay, { number: output, numDocs: merged.numDocs, numDeleted: 0 }],
    };
  }

  /**
   * Runs a change under LMDB's write lock. `change` gets the manifest as it is on disk and a set to name deleted
   * document keys in; tombstones and manifest are written after it, in the same transaction.
   */
  private write<T>(change: (manifest: Manifest, deletions: Set<number>) => [Manifest, T]): T {
    this.requireWritable();
    const result = this.transact(() => {
      const stored = this.storage.manifest.get('current');
      const manifest = decodeManifest(stored ?? Buffer.alloc(0), this.path);
      const deletions = new Set<number>();
      const [next, value] = change(manifest, deletions);
      const segments = this.applyDeletions(next.segments, deletions);
      this.storage.manifest.put(
        'current',
        asBuffer(encodeManifest({ ...next, segments, generation: manifest.generation + 1 })),
      );
      return value;
    });
    this.swap();
    return result;
  }

  /** Inside a write transaction. @returns whether the source was there */
  private removeSource(id: string, deletions: Set<number>): boolean {
    const source = this.sourceInTransaction(id);
    if (!source) return false;
    for (const docKey of source.keys) this.removeDocument(docKey, deletions);
    this.storage.sources.remove(id);
    return true;
  }

  private removePassage(id: string, passage: number, deletions: Set<number>): boolean {
    const source = this.sourceInTransaction(id);
    const at = source?.passages?.indexOf(passage) ?? -1;
    if (!source?.passages || at < 0) return false;
    this.removeDocument(source.keys[at]!, deletions);
    const keys = source.keys.toSpliced(at, 1);
    if (keys.length === 0) this.storage.sources.remove(id);
    else putSource(this.storage, id, { hash: undefined, keys, passages: source.passages.toSpliced(at, 1) });
    return true;
  }

  /** An entry that cannot be read is made again from the segments, which know ids and keys, too. */
  private sourceInTransaction(id: string): SourceRecord | undefined {
    try {
      return getSource(this.storage, id);
    } catch (error) {
      if (!(error instanceof WinnowError) || error.code !== 'WINNOW_INDEX_CORRUPT') throw error;
      const documents = this.segmentsInTransaction().flatMap(({ segment, ref }) => {
        const deleted = this.tombstonesOf(ref);
        return segment
          .docIdsOfSource(id)
          .filter((docId) => !isBitSet(deleted, docId))
          .map((docId) => ({ docKey: segment.docKeys[docId]!, ...parseStoredId(segment.id(docId)) }));
      });
      const keys = documents.map(({ docKey }) => docKey);
      const isCut = documents.some(({ passage }) => passage !== undefined);
      const passages = isCut ? documents.map(({ passage }) => passage ?? -1) : undefined;
      return { hash: undefined, keys, passages };
    }
  }

  private removeDocument(docKey: number, deletions: Set<number>): void {
    this.storage.documents.remove(docKey);
    deletions.add(docKey);
  }

  /** Sets tombstones, drops segments in which nothing lives any more. */
  private applyDeletions(refs: readonly SegmentRef[], deletions: ReadonlySet<number>): SegmentRef[] {
    if (deletions.size === 0) return [...refs];
    const kept: SegmentRef[] = [];
    for (const { ref, segment } of this.segmentsInTransaction(refs)) {
      const hits = [...deletions].map((docKey) => segment.docIdOf(docKey)).filter((docId) => docId >= 0);
      if (hits.length === 0) {
        kept.push(ref);
        continue;
      }
      const bitmap = this.tombstonesOf(ref);
      for (const docId of hits) setBit(bitmap, docId);
      const numDeleted = ref.numDeleted + hits.length;
      if (numDeleted === ref.numDocs) {
        this.dropSegment(ref.number);
      } else {
        this.storage.tombstones.put(ref.number, asBuffer(sealed(bitmap)));
        kept.push({ ...ref, numDeleted });
      }
    }
    return kept;
  }

  /** Inside a write transaction: the bitmap of a segment's deleted documents (a copy). */
  private tombstonesOf({ number, numDocs }: SegmentRef): Uint8Array {
    const stored = this.storage.tombstones.get(number);
    if (!stored) return bitmapFor(numDocs);
    return Uint8Array.from(unsealed(stored, `${this.path}, tombstones of segment ${number}`));
  }

  /** Segments as the write transaction sees them: another process, or this transaction, may have written some a moment ago. */
  private segmentsInTransaction(refs?: readonly SegmentRef[]): { ref: SegmentRef; segment: Segment }[] {
    const known = new Map(this.current.segments.map(({ segment }) => [segment.number, segment]));
    const current = () => decodeManifest(this.storage.manifest.get('current')!, this.path).segments;
    return (refs ?? current()).map((ref) => ({
      ref,
      segment:
        known.get(ref.number) ?? Generation.readSegment(this.storage, ref.number, this.settings.filterFields),
    }));
  }

  private putSegment(number: number, content: SegmentContent): void {
    const header = buildSegment(content, (kind, bytes) => this.putPart(number, kind, bytes));
    this.putPart(number, 0, header(number));
  }

  private putPart(number: number, kind: number, bytes: Uint8Array): void {
    this.plan(bytes.length);
    this.storage.segments.put(segmentKey(number, kind), asBuffer(bytes));
  }

  /** Counts what a transaction is going to write; refuses it when the disk has no room. */
  private plan(bytes: number): void {
    this.planned += bytes;
    if (this.planned < this.roomChecked) return;
    requireSpace(this.path, this.planned);
    this.roomChecked = this.planned + SPACE_CHECK_BYTES;
  }

  /** Runs a write transaction. */
  private transact<T>(action: () => T): T {
    this.planned = 0;
    this.roomChecked = 0;
    return guard(this.path, () => {
      this.plan(0);
      return this.storage.root.transactionSync(action);
    });
  }

  private dropSegment(number: number): void {
    dropSegment(this.storage, number);
  }

  private swap(): void {
    const previous = this.current;
    this.current = guard(this.path, () => new Generation(this.storage, previous));
    previous.release();
  }

  private assertOpen(): void {
    if (this.closed)
      throw new WinnowError('WINNOW_INDEX_CLOSED', 'the index was closed', { place: this.path });
  }
}

/** A merge was told to stop. */
class MergeStopped extends Error {}

const sizeOf = (candidates: readonly MergeCandidate[]): number =>
  candidates.reduce((sum, { numBytes }) => sum + numBytes, 0);

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function checkSettings(existing: IndexSettings, wanted: IndexSettings, folder: string): void {
  const differing = (['modelName', 'modelHash', 'impactScale'] as const).find((key) =>
    key === 'impactScale'
      ? Math.fround(existing[key]) !== Math.fround(wanted[key])
      : existing[key] !== wanted[key],
  );
  const fields = (settings: IndexSettings) =>
    JSON.stringify(settings.filterFields.map(({ name, type }) => `${name}:${type}`).sort());
  const what = differing ?? (fields(existing) === fields(wanted) ? undefined : 'filterFields');
  if (!what) return;
  throw new WinnowError(
    'WINNOW_INDEX_MISMATCH',
    `the index was built with ${what} ${JSON.stringify(existing[what])}, this run has ${JSON.stringify(wanted[what])}`,
    { place: folder, hint: 'use the same model and options, or index into a new folder' },
  );
}
