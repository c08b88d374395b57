import { join } from 'node:path';
import { WinnowError } from '../../errors.ts';
import { bitmapFor, isBitSet, setBit } from '../format/bitmap.ts';
import { withChecksum } from '../format/checksum.ts';
import { isDamage } from '../format/errors.ts';
import { FORMAT_VERSION, isReadable } from '../format/format.ts';
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  manifestVersion,
  type SegmentRef,
} from '../format/manifest.ts';
import { PartKind, segmentKey } from '../format/parts.ts';
import { displayId, parseStoredId, storedId } from '../format/stored-id.ts';
import { encodeStrings } from '../format/string-table.ts';
import { removeAllMerges } from '../merge/merge-records.ts';
import type { Segment } from '../segment/segment.ts';
import { ranksOf } from '../segment/segment-content.ts';
import { encodeHeader, entryOf } from '../segment/segment-header.ts';
import { documentsPart } from '../segment/segment-writer.ts';
import { requireDiskSpace } from '../store/disk-space.ts';
import { INDEX_FILE } from '../store/files.ts';
import { checkLmdbFile } from '../store/lmdb-check.ts';
import { OpenIndex } from '../store/open-index.ts';
import { getRecord, getSource, putRecord, putSource, type StoredRecord } from '../store/records.ts';
import { openSegment, readTombstones } from '../store/segment-access.ts';
import { openStorage, removeSegment, type Storage } from '../store/storage.ts';
import { withStorageErrors } from '../store/storage-errors.ts';
import { verifyIndex } from './verify.ts';

/** What a repair or an upgrade kept and dropped. */
export interface RepairReport {
  /** Documents and passages in the index now. */
  readonly documents: number;
  /** Documents that were dropped because they cannot be read. */
  readonly dropped: readonly { readonly id: string; readonly why: string }[];
  /** Segments that were dropped, with all their documents. */
  readonly segments: readonly { readonly number: number; readonly documents: number; readonly why: string }[];
  /** Sources of which something is missing: indexing them again restores it. */
  readonly incomplete: readonly { readonly id: string; readonly documentsLeft: number }[];
}

/** Reads what a format version stores outside of segments. */
export interface FormatReader {
  readonly version: number;
  /** Adds the parts that this build's segments have and the version's do not, before the segment is opened. */
  prepareSegment?(number: number): void;
  /** @throws WinnowError WINNOW_INDEX_CORRUPT when the stored bytes are not those that were written */
  document(docKey: number): StoredRecord | undefined;
  /** Id of the document in the segments of that version. */
  storedId(docKey: number, record: StoredRecord): string;
  /** Removes what this build's format does not use. */
  discard(): void;
  /** Entries of all sources; `keys` is undefined where the entry cannot be read. */
  sources(): Iterable<{ id: string; keys: readonly number[] | undefined; hash: string | undefined }>;
}

/**
 * Drops what is damaged in an index: documents whose stored fields fail their checksum, segments with damaged postings, entries
 * that refer to nothing. What is left is whole, and sources that lost something are indexed again by the next run. It is one
 * transaction: if it is interrupted, the index is as it was.
 *
 * @throws WinnowError WINNOW_INDEX_CORRUPT when too little can be read to repair it, WINNOW_INDEX_VERSION, WINNOW_STORAGE
 */
export async function repairIndex(folder: string): Promise<RepairReport> {
  const report = await rebuildIndex(folder, (storage, version) => {
    if (!isReadable(version)) decodeManifest(storage.manifest.get('current')!, storage.path); // throws
    return currentFormat(storage);
  });
  const index = OpenIndex.open(folder, { readOnly: true });
  try {
    verifyIndex(index);
  } finally {
    await index.close();
  }
  return report;
}

/** Rebuilds the directory of an index from the documents that can be read in full, in one transaction. */
export async function rebuildIndex(
  folder: string,
  readerOf: (storage: Storage, version: number) => FormatReader,
): Promise<RepairReport> {
  const storage = openStorage(folder, { create: false, readOnly: false });
  try {
    return withStorageErrors(storage.path, () => {
      requireStructure(storage.path);
      const current = storage.manifest.get('current');
      if (!current) throw beyondRepair(storage.path, 'the index has no manifest');
      const reader = readerOf(storage, manifestVersion(current, storage.path));
      requireDiskSpace(storage.path, 0);
      return storage.root.transactionSync(() => new Rebuild(storage, reader).run());
    });
  } finally {
    await storage.root.close();
  }
}

function requireStructure(path: string): void {
  try {
    checkLmdbFile(join(path, INDEX_FILE), { deep: true });
  } catch (error) {
    throw error instanceof WinnowError ? beyondRepair(path, error.message) : error;
  }
}

const beyondRepair = (place: string, message: string): WinnowError =>
  new WinnowError('WINNOW_INDEX_CORRUPT', `too much is damaged to repair it: ${message}`, {
    place,
    hint: 'restore a snapshot with `winnow restore SNAPSHOT --index DIR --overwrite`, or delete the folder and run `winnow index` again',
  });

/** @returns a reader of this build's own format */
function currentFormat(storage: Storage): FormatReader {
  return {
    version: FORMAT_VERSION,
    document: (docKey) => getRecord(storage, docKey),
    storedId: (_, { id, passage }) => storedId(id, passage),
    discard() {},
    *sources() {
      for (const id of storage.sources.getKeys({ snapshot: false }) as Iterable<string>) {
        try {
          const { keys, hash } = getSource(storage, id)!;
          yield { id, keys, hash };
        } catch (error) {
          if (!isDamage(error)) throw error;
          yield { id, keys: undefined, hash: undefined };
        }
      }
    },
  };
}

interface Kept {
  readonly docKey: number;
  readonly passage: number | undefined;
}

interface OpenSegment {
  readonly ref: SegmentRef;
  readonly segment: Segment;
  readonly deleted: Uint8Array;
}

/** One pass over an index, inside a write transaction. */
class Rebuild {
  private readonly storage: Storage;
  private readonly reader: FormatReader;
  private readonly manifest: Manifest;
  private readonly dropped: { id: string; why: string }[] = [];
  private readonly droppedSegments: { number: number; documents: number; why: string }[] = [];
  /** By source: its documents that can be read. */
  private readonly kept = new Map<string, Kept[]>();
  private readonly keptKeys = new Set<number>();

  constructor(storage: Storage, reader: FormatReader) {
    this.storage = storage;
    this.reader = reader;
    this.manifest = decodeManifest(storage.manifest.get('current')!, storage.path, reader.version);
  }

  run(): RepairReport {
    const { storage, manifest } = this;
    removeAllMerges(storage);
    const segments = manifest.segments.flatMap((ref) => this.openSegment(ref) ?? []);
    // Newest first: of two documents with one id the older one should have been deleted.
    for (const one of [...segments].reverse()) this.keepReadable(one);
    const refs = segments.flatMap((one) => this.storeSegment(one) ?? []);
    this.dropOrphans();
    const incomplete = this.storeSources();
    this.reader.discard();
    storage.manifest.put(
      'current',
      Buffer.from(encodeManifest({ ...manifest, segments: refs, generation: manifest.generation + 1 })),
    );
    return {
      documents: this.keptKeys.size,
      dropped: this.dropped,
      segments: this.droppedSegments,
      incomplete,
    };
  }

  private openSegment(ref: SegmentRef): OpenSegment | undefined {
    const { storage, manifest, reader } = this;
    const { number, numDocs } = ref;
    try {
      const { filterFields } = manifest.settings;
      reader.prepareSegment?.(number);
      const segment = openSegment(storage, number, filterFields, { formatVersion: reader.version });
      segment.verify();
      const deleted =
        ref.numDeleted === 0 ? bitmapFor(numDocs) : Uint8Array.from(readTombstones(storage, number, numDocs));
      return { ref, segment, deleted };
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.droppedSegments.push({ number, documents: numDocs - ref.numDeleted, why: String(error) });
      removeSegment(storage, number);
      return undefined;
    }
  }

  private keepReadable({ segment, deleted }: OpenSegment): void {
    for (let docId = 0; docId < segment.numDocs; docId++) {
      if (isBitSet(deleted, docId)) continue;
      const docKey = segment.docKeys[docId]!;
      const why = this.keep(docKey, segment.id(docId));
      if (why === undefined) continue;
      this.dropped.push({ id: displayId(parseStoredId(segment.id(docId))), why });
      setBit(deleted, docId);
    }
  }

  /** @returns why the document cannot be kept */
  private keep(docKey: number, expectedId: string): string | undefined {
    let record: StoredRecord | undefined;
    try {
      record = this.reader.document(docKey);
    } catch (error) {
      if (!isDamage(error)) throw error;
      return `its stored fields cannot be read (${error.message})`;
    }
    if (!record) return 'its stored fields are missing';
    if (this.reader.storedId(docKey, record) !== expectedId)
      return 'its stored fields are those of another document';
    const { id, passage } = record;
    const ofSource = this.kept.get(id) ?? [];
    if (
      ofSource.some(
        (other) => other.passage === passage || other.passage === undefined || passage === undefined,
      )
    )
      return 'a newer document has its id';
    ofSource.push({ docKey, passage });
    this.kept.set(id, ofSource);
    this.keptKeys.add(docKey);
    if (this.reader.version !== FORMAT_VERSION) putRecord(this.storage, docKey, record);
    return undefined;
  }

  /** Stores tombstones; in an upgrade also the parts of a segment that differ in the new format: ids and header. */
  private storeSegment({ ref, segment, deleted }: OpenSegment): SegmentRef | undefined {
    const { storage, reader } = this;
    let numDeleted = 0;
    for (let docId = 0; docId < segment.numDocs; docId++) if (isBitSet(deleted, docId)) numDeleted++;
    if (numDeleted === segment.numDocs) {
      removeSegment(storage, ref.number);
      return undefined;
    }
    if (numDeleted > 0) storage.tombstones.put(ref.number, Buffer.from(withChecksum(deleted)));
    else storage.tombstones.remove(ref.number);
    if (reader.version !== FORMAT_VERSION) this.convertSegment(segment);
    return { ...ref, numDeleted };
  }

  private convertSegment(segment: Segment): void {
    const { storage } = this;
    const idOf = new Map<number, string>();
    for (const [id, documents] of this.kept)
      for (const { docKey, passage } of documents) idOf.set(docKey, storedId(id, passage));
    // Deleted documents keep their old ids.
    const ids = Array.from(segment.docKeys, (docKey, docId) => idOf.get(docKey) ?? segment.id(docId));
    const { docKeys, lengths } = segment;
    const part = documentsPart({ docKeys, lengths, idRanks: ranksOf(ids), ids: encodeStrings(ids) });
    storage.segments.put(segmentKey(segment.number, PartKind.Documents), Buffer.from(part));
    const entries = new Map(segment.entries).set(PartKind.Documents, entryOf(part));
    storage.segments.put(segmentKey(segment.number, 0), Buffer.from(encodeHeader(segment, entries)));
  }

  private dropOrphans(): void {
    const { documents } = this.storage;
    const orphans = [...documents.getKeys({ snapshot: false })].filter((key) => !this.keptKeys.has(key));
    for (const docKey of orphans) documents.remove(docKey);
  }

  /** @returns sources of which something is missing */
  private storeSources(): RepairReport['incomplete'] {
    const { storage } = this;
    const incomplete: { id: string; documentsLeft: number }[] = [];
    const known = new Map([...this.reader.sources()].map(({ id, keys, hash }) => [id, { keys, hash }]));
    for (const id of known.keys()) {
      if (this.kept.has(id)) continue;
      storage.sources.remove(id);
      incomplete.push({ id, documentsLeft: 0 });
    }
    for (const [id, documents] of this.kept) {
      documents.sort((a, b) => (a.passage ?? 0) - (b.passage ?? 0));
      const keys = documents.map(({ docKey }) => docKey);
      const before = known.get(id);
      const isWhole =
        before?.keys?.length === keys.length && before.keys.every((key) => this.keptKeys.has(key));
      if (!isWhole) incomplete.push({ id, documentsLeft: keys.length });
      putSource(storage, id, {
        hash: isWhole ? before.hash : undefined,
        keys,
        passages: documents[0]!.passage === undefined ? undefined : documents.map(({ passage }) => passage!),
      });
    }
    return incomplete;
  }
}
