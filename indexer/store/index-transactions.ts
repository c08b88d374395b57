import { WinnowError } from '../../errors.ts';
import { bitmapFor, setBit } from '../format/bitmap.ts';
import { asBuffer } from '../format/bytes.ts';
import { verifyChecksum, withChecksum } from '../format/checksum.ts';
import { decodeManifest, encodeManifest, type Manifest, type SegmentRef } from '../format/manifest.ts';
import { segmentKey } from '../format/parts.ts';
import type { Segment } from '../segment/segment.ts';
import { DiskSpaceGuard } from './disk-space.ts';
import type { IndexReader } from './index-reader.ts';
import { openSegment } from './segment-access.ts';
import { removeSegment, type Storage } from './storage.ts';
import { withStorageErrors } from './storage-errors.ts';

/**
 * A change of the index inside a write transaction.
 *
 * @param manifest as it is on disk
 * @param deletions keys of deleted documents are added here; tombstones are written after the change, in the same transaction
 * @returns the next manifest, and the result of the commit
 */
export type Change<T> = (manifest: Manifest, deletions: Set<number>) => readonly [Manifest, T];

/**
 * Write transactions of an index. LMDB lets one transaction write at a time and makes those of other threads and processes wait for
 * their turn. A commit is synced to disk before it returns; a transaction that throws changes nothing.
 */
export class IndexTransactions {
  readonly readOnly: boolean;
  private readonly storage: Storage;
  private readonly reader: IndexReader;
  private readonly space: DiskSpaceGuard;

  constructor(storage: Storage, reader: IndexReader, readOnly: boolean) {
    this.storage = storage;
    this.reader = reader;
    this.readOnly = readOnly;
    this.space = new DiskSpaceGuard(storage.path);
  }

  /** @throws WinnowError WINNOW_INDEX_CLOSED, WINNOW_INDEX_READ_ONLY */
  requireWritable(): void {
    this.reader.requireOpen();
    if (!this.readOnly) return;
    throw new WinnowError('WINNOW_INDEX_READ_ONLY', 'the index was opened for reading', {
      place: this.storage.path,
    });
  }

  /**
   * Makes a change the next generation of the index.
   *
   * @throws WinnowError WINNOW_STORAGE, WINNOW_INDEX_CORRUPT, WINNOW_INDEX_CLOSED, WINNOW_INDEX_READ_ONLY
   */
  commit<T>(change: Change<T>): T {
    this.requireWritable();
    const result = this.inWriteTransaction(() => {
      const stored = this.storage.manifest.get('current');
      const manifest = decodeManifest(stored ?? Buffer.alloc(0), this.storage.path);
      const deletions = new Set<number>();
      const [next, value] = change(manifest, deletions);
      const segments = this.applyDeletions(next.segments, deletions);
      const committed = { ...next, segments, generation: manifest.generation + 1 };
      this.storage.manifest.put('current', asBuffer(encodeManifest(committed)));
      return value;
    });
    this.reader.reload();
    return result;
  }

  /** A transaction that changes no generation: it writes what no manifest names yet. */
  inWriteTransaction<T>(action: () => T): T {
    return withStorageErrors(this.storage.path, () => {
      this.space.begin();
      return this.storage.root.transactionSync(action);
    });
  }

  /** Inside a write transaction: checks the disk for bytes that are about to be written. @throws WinnowError WINNOW_STORAGE */
  reserve(bytes: number): void {
    this.space.reserve(bytes);
  }

  /** Inside a write transaction: stores a part of a segment, or its header (`HEADER_KIND`). */
  putPart(segment: number, kind: number, bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.storage.segments.put(segmentKey(segment, kind), asBuffer(bytes));
  }

  /** Inside a write transaction: the bitmap of a segment's deleted documents (a copy). */
  tombstonesOf({ number, numDocs }: SegmentRef): Uint8Array {
    const stored = this.storage.tombstones.get(number);
    if (!stored) return bitmapFor(numDocs);
    return Uint8Array.from(verifyChecksum(stored, `${this.storage.path}, tombstones of segment ${number}`));
  }

  /**
   * Segments as the write transaction sees them: another process, or this transaction, may have written some that no view has.
   *
   * @param refs default: those of the manifest on disk
   */
  openSegments(refs?: readonly SegmentRef[]): { ref: SegmentRef; segment: Segment }[] {
    const { storage, reader } = this;
    const known = new Map(reader.latest.segments.map(({ segment }) => [segment.number, segment]));
    const stored = () => decodeManifest(storage.manifest.get('current')!, storage.path).segments;
    return (refs ?? stored()).map((ref) => ({
      ref,
      segment: known.get(ref.number) ?? openSegment(storage, ref.number, reader.settings.filterFields),
    }));
  }

  /** Sets tombstones and removes segments without a live document. */
  private applyDeletions(refs: readonly SegmentRef[], deletions: ReadonlySet<number>): SegmentRef[] {
    if (deletions.size === 0) return [...refs];
    const kept: SegmentRef[] = [];
    for (const { ref, segment } of this.openSegments(refs)) {
      const docIds = [...deletions].map((docKey) => segment.docIdOf(docKey)).filter((docId) => docId >= 0);
      if (docIds.length === 0) {
        kept.push(ref);
        continue;
      }
      const bitmap = this.tombstonesOf(ref);
      for (const docId of docIds) setBit(bitmap, docId);
      const numDeleted = ref.numDeleted + docIds.length;
      if (numDeleted === ref.numDocs) {
        removeSegment(this.storage, ref.number);
      } else {
        this.storage.tombstones.put(ref.number, asBuffer(withChecksum(bitmap)));
        kept.push({ ...ref, numDeleted });
      }
    }
    return kept;
  }
}
