import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { ranksOf } from './batch-content.ts';
import { bitmapFor, FORMAT_VERSION, isBitSet, PartKind, setBit } from './format.ts';
import { Generation, readTombstones } from './generation.ts';
import { IndexStore } from './index-store.ts';
import { checkLmdbFile } from './lmdb-check.ts';
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  manifestVersion,
  type SegmentRef,
} from './manifest.ts';
import { mergeRecords, removeRecord } from './merge-records.ts';
import { getRecord, getSource, putRecord, putSource, type StoredRecord } from './records.ts';
import type { Segment } from './segment.ts';
import { documentsPart, encodeHeader, entryOf, sealed } from './segment-builder.ts';
import {
  dropSegment,
  guard,
  INDEX_FILE,
  openStorage,
  requireSpace,
  type Storage,
  segmentKey,
} from './storage.ts';
import { displayId, parseStoredId, storedId } from './stored-id.ts';
import { encodeStrings } from './string-table.ts';

/** What a repair or an upgrade kept and dropped. */
export interface RepairReport {
  /** Documents and passages in the index now. */
  readonly documents: number;
  /** Documents that were dropped since they cannot be read. */
  readonly dropped: readonly { readonly id: string; readonly why: string }[];
  /** Segments that were dropped, with all their documents. */
  readonly segments: readonly { readonly number: number; readonly documents: number; readonly why: string }[];
  /** Sources of which something is missing: indexing them again brings it back. */
  readonly incomplete: readonly { readonly id: string; readonly documentsLeft: number }[];
}

/** How a format version stores what a segment does not hold. */
export interface FormatReader {
  readonly version: number;
  /** Makes the parts that this build's segments have beside the version's own, before the segment is opened. */
  prepareSegment?(number: number): void;
  /** @throws WinnowError WINNOW_INDEX_CORRUPT for fields that are not those that were written */
  document(docKey: number): StoredRecord | undefined;
  /** What a segment calls the document. */
  storedId(docKey: number, record: StoredRecord): string;
  /** Removes what this build's format has no use for. */
  discard(): void;
  /** Entries of all sources; `keys` undefined where the entry cannot be read. */
  sources(): Iterable<{ id: string; keys: readonly number[] | undefined; hash: string | undefined }>;
}

/**
 * Drops what is damaged in an index: documents whose stored fields fail their checksum, segments with damaged postings, entries
 * that lead nowhere. What is left is whole, and sources that lost something are indexed again by the next run. One transaction:
 * interrupted, the index is as it was.
 *
 * @throws WinnowError WINNOW_INDEX_CORRUPT when too little can be read to repair it, WINNOW_INDEX_VERSION, WINNOW_STORAGE
 */
export async function repairIndex(folder: string): Promise<RepairReport> {
  const report = await rebuildIndex(folder, (storage, version) => {
    if (version !== FORMAT_VERSION) decodeManifest(storage.manifest.get('current')!, storage.path); // throws
    return currentFormat(storage);
  });
  const store = IndexStore.open(folder, { readOnly: true });
  try {
    store.verify();
  } finally {
    await store.close();
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
    return guard(storage.path, () => {
      requireStructure(storage.path);
      const current = storage.manifest.get('current');
      if (!current) throw beyondRepair(storage.path, 'the index has no manifest');
      const reader = readerOf(storage, manifestVersion(current, storage.path));
      requireSpace(storage.path, 0);
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
    for (const { output } of mergeRecords(storage)) removeRecord(storage, output, { parts: true });
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
      const segment = Generation.readSegment(storage, number, filterFields, undefined, reader.version);
      segment.verify();
      const deleted =
        ref.numDeleted === 0 ? bitmapFor(numDocs) : Uint8Array.from(readTombstones(storage, number, numDocs));
      return { ref, segment, deleted };
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.droppedSegments.push({ number, documents: numDocs - ref.numDeleted, why: String(error) });
      dropSegment(storage, number);
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

  /** Stores tombstones, and in an upgrade what of a segment the new format says otherwise: ids, and the header. */
  private storeSegment({ ref, segment, deleted }: OpenSegment): SegmentRef | undefined {
    const { storage, reader } = this;
    let numDeleted = 0;
    for (let docId = 0; docId < segment.numDocs; docId++) if (isBitSet(deleted, docId)) numDeleted++;
    if (numDeleted === segment.numDocs) {
      dropSegment(storage, ref.number);
      return undefined;
    }
    if (numDeleted > 0) storage.tombstones.put(ref.number, Buffer.from(sealed(deleted)));
    else storage.tombstones.remove(ref.number);
    if (reader.version !== FORMAT_VERSION) this.convertSegment(segment);
    return { ...ref, numDeleted };
  }

  private convertSegment(segment: Segment): void {
    const { storage } = this;
    const idOf = new Map<number, string>();
    for (const [id, documents] of this.kept)
      for (const { docKey, passage } of documents) idOf.set(docKey, storedId(id, passage));
    // Deleted documents keep what they were called.
    const ids = Array.from(segment.docKeys, (docKey, docId) => idOf.get(docKey) ?? segment.id(docId));
    const { docKeys, lengths } = segment;
    const part = documentsPart({ docKeys, lengths, ranks: ranksOf(ids), ids: encodeStrings(ids) });
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

const isDamage = (error: unknown): error is WinnowError =>
  error instanceof WinnowError && error.code === 'WINNOW_INDEX_CORRUPT';
