import type { Transaction } from 'lmdb';
import { WinnowError } from '../errors.ts';
import { corrupt, isBitSet } from './format.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import { getRecord, getSource, type SourceRecord, type StoredRecord } from './records.ts';
import { Segment, unsealed } from './segment.ts';
import { guard, readPart, type Storage, segmentKey } from './storage.ts';
import { displayId, type PassageRef, parseStoredId, storedId } from './stored-id.ts';
import type { FilterField } from './types.ts';

/** A segment as one generation sees it: the immutable postings and which of its documents are alive. */
export interface SegmentView {
  readonly segment: Segment;
  /** Bit docId set = alive; undefined when nothing is deleted. Length ceil(numDocs / 8). */
  readonly live: Uint8Array | undefined;
  readonly numLive: number;
}

const isAlive = ({ live }: Pick<SegmentView, 'live'>, docId: number): boolean =>
  docId >= 0 && (live === undefined || isBitSet(live, docId));

/**
 * A consistent view of the index. It holds a read transaction, so that large parts can be views of the memory map;
 * {@link release} it when no search uses it any more, or LMDB cannot reuse pages and the file grows.
 */
export class Generation {
  readonly manifest: Manifest;
  readonly segments: readonly SegmentView[];
  private readonly storage: Storage;
  private readonly transaction: Transaction;
  private users = 1;

  /** @param previous the generation before this one: what it has read and checked of a segment is not read again */
  constructor(storage: Storage, previous?: Generation) {
    this.storage = storage;
    this.transaction = storage.root.useReadTransaction();
    try {
      const bytes = storage.manifest.get('current', { transaction: this.transaction });
      if (!bytes) throw corrupt(storage.path, 'the index has no manifest');
      this.manifest = decodeManifest(bytes, storage.path);
      const known = new Map(previous?.segments.map(({ segment }) => [segment.number, segment]));
      this.segments = this.manifest.segments.map(({ number, numDocs, numDeleted }) => {
        const segment = this.openSegment(number);
        const opened = known.get(number);
        if (opened) segment.adopt(opened);
        if (segment.numDocs !== numDocs)
          throw corrupt(
            storage.path,
            `segment ${number} has ${segment.numDocs} documents, the manifest says ${numDocs}`,
          );
        return {
          segment,
          live: numDeleted > 0 ? this.liveBitmap(number, numDocs) : undefined,
          numLive: numDocs - numDeleted,
        };
      });
    } catch (error) {
      this.transaction.done();
      throw error;
    }
  }

  get numLive(): number {
    return this.segments.reduce((sum, { numLive }) => sum + numLive, 0);
  }

  /** Stored fields by key. @throws WinnowError WINNOW_INDEX_CORRUPT */
  document(docKey: number): StoredRecord | undefined {
    return getRecord(this.storage, docKey, this.transaction);
  }

  /** The documents that a source became, in order, or the one that `passage` names; empty when there is no such. */
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

  private source(id: string): SourceRecord | undefined {
    const source = getSource(this.storage, id, this.transaction);
    // LMDB has no checksums: with a damaged key it says that there is no such id, the segments know better.
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
        .find((docId) => view.segment.id(docId) === stored && isAlive(view, docId));
      if (docId !== undefined) return { view, docId };
    }
    return undefined;
  }

  /** Keeps the generation open while a search runs; pair with {@link release}. */
  use(): this {
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

  private openSegment(number: number): Segment {
    return Generation.readSegment(
      this.storage,
      number,
      this.manifest.settings.filterFields,
      this.transaction,
    );
  }

  /** Opens a segment under a held read transaction, or inside the write transaction when none is given. */
  static readSegment(
    storage: Storage,
    number: number,
    filterFields: readonly FilterField[],
    transaction?: Transaction,
    formatVersion?: number,
  ): Segment {
    const place = `${storage.path}, segment ${number}`;
    const read = (kind: number) =>
      guard(place, () => readPart(storage, segmentKey(number, kind), transaction));
    const header = read(0);
    if (!header) throw corrupt(place, 'the segment is missing');
    return new Segment(header, read, filterFields, place, formatVersion);
  }

  /** Compares the document of each live place with what is stored under its id. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verifyDocuments(): void {
    const { path } = this.storage;
    // Passages of one source mostly stand together.
    let last: { readonly id: string; readonly keys: ReadonlySet<number> } | undefined;
    for (const { segment, live } of this.segments) {
      for (let docId = 0; docId < segment.numDocs; docId++) {
        if (!isAlive({ live }, docId)) continue;
        const stored = segment.id(docId);
        const ref = parseStoredId(stored);
        const docKey = segment.docKeys[docId]!;
        if (last?.id !== ref.id) last = { id: ref.id, keys: new Set(this.source(ref.id)?.keys) };
        if (!last.keys.has(docKey))
          throw corrupt(`${path}, database sources`, `"${displayId(ref)}" is not where it should be`);
        const record = this.document(docKey);
        if (!record || storedId(record.id, record.passage) !== stored)
          throw corrupt(path, `the stored fields of "${displayId(ref)}" are missing`);
      }
    }
  }

  private liveBitmap(number: number, numDocs: number): Uint8Array {
    return readTombstones(this.storage, number, numDocs, this.transaction).map((byte) => ~byte & 0xff);
  }
}

const hasSource = (view: SegmentView, id: string): boolean =>
  view.segment.docIdsOfSource(id).some((docId) => isAlive(view, docId));

/** Deleted documents of a segment that has some. @throws WinnowError WINNOW_INDEX_CORRUPT */
export function readTombstones(
  storage: Storage,
  number: number,
  numDocs: number,
  transaction?: Transaction,
): Uint8Array {
  const place = `${storage.path}, tombstones of segment ${number}`;
  const bytes = storage.tombstones.get(number, transaction ? { transaction } : undefined);
  if (!bytes) throw corrupt(place, 'missing');
  const deleted = unsealed(bytes, place);
  if (deleted.length !== Math.ceil(numDocs / 8)) throw corrupt(place, 'wrong length');
  return deleted;
}
