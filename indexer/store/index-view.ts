import type { Transaction } from 'lmdb';
import { WinnowError } from '../../errors.ts';
import { isLive } from '../format/bitmap.ts';
import { corrupt } from '../format/errors.ts';
import { decodeManifest, type Manifest, type SegmentRef } from '../format/manifest.ts';
import { type PassageRef, parseStoredId } from '../format/stored-id.ts';
import type { Segment } from '../segment/segment.ts';
import { getRecord, getSource, type SourceRecord, type StoredRecord } from './records.ts';
import { openSegment, readTombstones } from './segment-access.ts';
import type { Storage } from './storage.ts';

/** A segment as one generation sees it: the immutable postings and which of its documents are alive. */
export interface SegmentView {
  readonly segment: Segment;
  /** Bit docId set = alive; undefined when nothing is deleted. Length ceil(numDocs / 8). */
  readonly live: Uint8Array | undefined;
  readonly numLive: number;
}

/**
 * A consistent view of the index as of one commit. It holds a read transaction, so that large parts can be views of the memory
 * map. While any view is held, LMDB cannot reuse the pages that it shows, and the file grows with each write: {@link release} it as
 * soon as possible.
 *
 * A view belongs to the thread that made it. All typed arrays that come from it are valid until its last user releases it.
 */
export class IndexView {
  readonly manifest: Manifest;
  readonly segments: readonly SegmentView[];
  private readonly storage: Storage;
  private readonly transaction: Transaction;
  private users = 1;

  /** @param previous an earlier view: what it has read and checked of a segment is not read again */
  constructor(storage: Storage, previous?: IndexView) {
    this.storage = storage;
    this.transaction = storage.root.useReadTransaction();
    try {
      const bytes = storage.manifest.get('current', { transaction: this.transaction });
      if (!bytes) throw corrupt(storage.path, 'the index has no manifest');
      this.manifest = decodeManifest(bytes, storage.path);
      const known = new Map(previous?.segments.map(({ segment }) => [segment.number, segment]));
      this.segments = this.manifest.segments.map((ref) => this.openSegment(ref, known.get(ref.number)));
    } catch (error) {
      this.transaction.done();
      throw error;
    }
  }

  /** Live documents; passages count one each. */
  get numLive(): number {
    return this.segments.reduce((sum, { numLive }) => sum + numLive, 0);
  }

  /** Stored fields by key. @throws WinnowError WINNOW_INDEX_CORRUPT */
  document(docKey: number): StoredRecord | undefined {
    return getRecord(this.storage, docKey, this.transaction);
  }

  /**
   * The documents that a source became, in order, or the one that `passage` names; empty when the index does not have it.
   *
   * @throws WinnowError WINNOW_INDEX_CORRUPT
   */
  documentsOf({ id, passage }: PassageRef): StoredRecord[] {
    const source = this.source(id);
    const keys =
      passage === undefined
        ? (source?.keys ?? [])
        : (source?.keys ?? []).filter((_, i) => source!.passages?.[i] === passage);
    return keys.map((docKey) => {
      const record = this.document(docKey);
      if (record?.id === id) return record;
      throw corrupt(`${this.storage.path}, database sources`, `"${id}" leads to another document`);
    });
  }

  /** The entry of a source. @throws WinnowError WINNOW_INDEX_CORRUPT */
  source(id: string): SourceRecord | undefined {
    const source = getSource(this.storage, id, this.transaction);
    // LMDB has no checksums: a damaged key makes it report the id as missing, so the segments are searched as well.
    if (!source && this.segments.some((view) => hasSource(view, id)))
      throw corrupt(`${this.storage.path}, database sources`, `"${id}" is in a segment but not here`);
    return source;
  }

  /** Segment and docId of a live document by its stored id. */
  locate(stored: string): { view: SegmentView; docId: number } | undefined {
    const { id } = parseStoredId(stored);
    this.source(id);
    for (const view of this.segments) {
      const docId = view.segment
        .docIdsOfSource(id)
        .find((docId) => view.segment.id(docId) === stored && isLive(view.live, docId));
      if (docId !== undefined) return { view, docId };
    }
    return undefined;
  }

  /**
   * Keeps the view open across an await; pair it with {@link release}.
   *
   * @throws WinnowError WINNOW_INDEX_CLOSED when its last user has released it
   */
  acquire(): this {
    if (this.users === 0)
      throw new WinnowError('WINNOW_INDEX_CLOSED', 'this view of the index was closed', {
        place: this.storage.path,
      });
    this.users++;
    return this;
  }

  release(): void {
    if (--this.users === 0) this.transaction.done();
  }

  private openSegment({ number, numDocs, numDeleted }: SegmentRef, known: Segment | undefined): SegmentView {
    const { storage, transaction } = this;
    const segment = openSegment(storage, number, this.manifest.settings.filterFields, { transaction });
    if (known) segment.adopt(known);
    if (segment.numDocs !== numDocs)
      throw corrupt(
        storage.path,
        `segment ${number} has ${segment.numDocs} documents, the manifest says ${numDocs}`,
      );
    const live =
      numDeleted > 0
        ? readTombstones(storage, number, numDocs, transaction).map((byte) => ~byte & 0xff)
        : undefined;
    return { segment, live, numLive: numDocs - numDeleted };
  }
}

const hasSource = ({ segment, live }: SegmentView, id: string): boolean =>
  segment.docIdsOfSource(id).some((docId) => isLive(live, docId));
