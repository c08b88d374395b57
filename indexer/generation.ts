import type { Transaction } from 'lmdb';
import { WinnowError } from '../errors.ts';
import { corrupt, isBitSet } from './format.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import { Segment, unsealed } from './segment.ts';
import { getRecord, guard, readPart, type Storage, type StoredRecord, segmentKey } from './storage.ts';
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

  documentById(id: string): StoredRecord | undefined {
    const docKey = this.keyOf(id);
    if (docKey === undefined) return undefined;
    const record = this.document(docKey);
    if (record?.id === id) return record;
    throw corrupt(`${this.storage.path}, database ids`, `"${id}" leads to another document`);
  }

  private keyOf(id: string): number | undefined {
    const key = guard(this.storage.path, () => this.storage.ids.get(id, { transaction: this.transaction }));
    // LMDB has no checksums: with a damaged key it says that there is no such id, the segments know better.
    if (key === undefined && this.segments.some((view) => isAlive(view, view.segment.docIdOfId(id))))
      throw corrupt(`${this.storage.path}, database ids`, `"${id}" is in a segment but not here`);
    return key;
  }

  /** Records of the documents that a source became, in order; empty when there is no such source. */
  passages(sourceId: string): StoredRecord[] {
    const source = guard(this.storage.path, () =>
      this.storage.sources.get(sourceId, { transaction: this.transaction }),
    );
    return (source?.keys ?? []).flatMap((docKey) => this.document(docKey) ?? []);
  }

  /** Segment and docId of a live document. */
  locate(id: string): { view: SegmentView; docId: number } | undefined {
    const docKey = this.keyOf(id);
    if (docKey === undefined) return undefined;
    for (const view of this.segments) {
      const docId = view.segment.docIdOf(docKey);
      if (docId >= 0) return { view, docId };
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
  ): Segment {
    const place = `${storage.path}, segment ${number}`;
    const read = (kind: number) =>
      guard(place, () => readPart(storage, segmentKey(number, kind), transaction));
    const header = read(0);
    if (!header) throw corrupt(place, 'the segment is missing');
    return new Segment(header, read, filterFields, place);
  }

  /** Compares the document of each live place with what is stored under its id. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verifyDocuments(): void {
    const { path } = this.storage;
    for (const { segment, live } of this.segments) {
      for (let docId = 0; docId < segment.numDocs; docId++) {
        if (!isAlive({ live }, docId)) continue;
        const id = segment.id(docId);
        const docKey = segment.docKeys[docId]!;
        if (this.keyOf(id) !== docKey)
          throw corrupt(`${path}, database ids`, `"${id}" is not where it should be`);
        if (this.document(docKey)?.id !== id) throw corrupt(path, `the stored fields of "${id}" are missing`);
      }
    }
  }

  private liveBitmap(number: number, numDocs: number): Uint8Array {
    const place = `${this.storage.path}, tombstones of segment ${number}`;
    const bytes = this.storage.tombstones.get(number, { transaction: this.transaction });
    if (!bytes) throw corrupt(place, 'missing');
    const deleted = unsealed(bytes, place);
    if (deleted.length !== Math.ceil(numDocs / 8)) throw corrupt(place, 'wrong length');
    return deleted.map((byte) => ~byte & 0xff);
  }
}
