import type { Database } from 'lmdb';
import type { Metadata } from '../../corpus/types.ts';
import { WinnowError } from '../../errors.ts';
import { bitmapFor } from '../format/bitmap.ts';
import { checksum } from '../format/checksum.ts';
import { corrupt } from '../format/errors.ts';
import { FORMAT_VERSION, isReadable, UPGRADABLE } from '../format/format.ts';
import { wrongVersion } from '../format/manifest.ts';
import { PartKind, segmentKey } from '../format/parts.ts';
import { packSections, unpackSections } from '../format/sections.ts';
import { Segment } from '../segment/segment.ts';
import { encodeHeader, entryOf } from '../segment/segment-header.ts';
import type { StoredRecord } from '../store/records.ts';
import { readPart, type Storage } from '../store/storage.ts';
import { withStorageErrors } from '../store/storage-errors.ts';
import { type FormatReader, type RepairReport, rebuildIndex } from './repair.ts';

export interface UpgradeReport extends RepairReport {
  /** Format version before. */
  readonly from: number;
  readonly to: number;
}

/**
 * Brings an index of an older format to this build's, in place and in one transaction: vectors, postings and words stay as they are, and
 * nothing is encoded again. What the older build damaged or lost is dropped and reported, as in a repair.
 *
 * @throws WinnowError WINNOW_INDEX_VERSION for a format that cannot be read, WINNOW_INDEX_NOT_FOUND, WINNOW_INDEX_CORRUPT,
 *   WINNOW_STORAGE
 */
export async function upgradeIndex(folder: string): Promise<UpgradeReport> {
  let from = FORMAT_VERSION;
  const report = await rebuildIndex(folder, (storage, version) => {
    from = version;
    if (isReadable(version))
      throw new WinnowError(
        'WINNOW_BAD_ARGUMENT',
        `the index has format ${version}, which is read as it is`,
        {
          place: storage.path,
          hint: 'nothing needs to be done',
        },
      );
    if (!UPGRADABLE.includes(version)) throw wrongVersion('index', version, storage.path);
    return version === 2 ? new Format2(storage) : new Format3(storage);
  });
  return { ...report, from, to: FORMAT_VERSION };
}

/** Stored fields in format 3: MessagePack of this, the checksum over the JSON of what was given. */
interface Format3Document {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly metadata: Metadata;
  readonly parentId?: string;
  readonly crc: number;
}

interface Format3Source {
  readonly hash: string;
  readonly keys: readonly number[];
}

/**
 * Format 3: passages are stored under `source#ordinal` among the users' own ids, and the database `ids` leads from each to its
 * document.
 */
class Format3 implements FormatReader {
  readonly version: number = 3;
  protected readonly storage: Storage;
  private readonly documents: Database<Format3Document, number>;
  private readonly sourceEntries: Database<Format3Source, string>;
  private readonly ids: Database<number, string>;
  /** By document key: its source, and its place in it. */
  private readonly owners = new Map<number, { id: string; place: number; isCut: boolean }>();
  /** Ids in the segments, of the documents read so far. */
  private readonly formerIds = new Map<number, string>();

  constructor(storage: Storage) {
    this.storage = storage;
    const { root } = storage;
    this.documents = root.openDB({ name: 'documents', keyEncoding: 'uint32', compression: true });
    this.sourceEntries = root.openDB({ name: 'sources' });
    this.ids = root.openDB({ name: 'ids' });
    for (const { id, keys } of this.sources())
      keys?.forEach((docKey, place) => {
        this.owners.set(docKey, { id, place, isCut: keys.length > 1 });
      });
  }

  document(docKey: number): StoredRecord | undefined {
    const place = `${this.storage.path}, stored fields of document ${docKey}`;
    const stored = withStorageErrors(place, () => this.documents.get(docKey));
    if (!stored) return undefined;
    const { id, title, text, parentId, crc } = stored;
    const metadata = [stored.metadata, withProto(stored.metadata) as Metadata].find(
      (given) => checksum(JSON.stringify([id, title, text, given, parentId ?? null])) === crc,
    );
    if (!metadata) throw corrupt(place, 'checksum mismatch');
    this.formerIds.set(docKey, id);
    const owner = this.owners.get(docKey);
    const source = parentId ?? owner?.id ?? id;
    if (parentId === undefined && !owner?.isCut) return { id: source, title, text, metadata };
    const ordinal = id.startsWith(`${source}#`) ? Number(id.slice(source.length + 1)) : Number.NaN;
    const passage = Number.isSafeInteger(ordinal) ? ordinal : (owner?.place ?? 0);
    return { id: source, passage, title, text, metadata };
  }

  storedId(docKey: number): string {
    return this.formerIds.get(docKey)!;
  }

  discard(): void {
    this.ids.dropSync();
  }

  *sources(): Generator<{ id: string; keys: readonly number[] | undefined; hash: string | undefined }> {
    for (const { key, value } of this.sourceEntries.getRange({ snapshot: false }))
      yield {
        id: key,
        keys: Array.isArray(value?.keys) ? value.keys : undefined,
        hash: typeof value?.hash === 'string' ? value.hash : undefined,
      };
  }
}

/**
 * Format 2: as format 3, but its segments do not record which terms occur in the text. The upgrade records none: queries are weighted
 * by the model's table alone, as for documents that came without text.
 */
class Format2 extends Format3 {
  override readonly version = 2;

  prepareSegment(number: number): void {
    const { segments, path } = this.storage;
    const place = `${path}, segment ${number}`;
    const read = (kind: number) => readPart(this.storage, segmentKey(number, kind));
    const header = read(0);
    if (!header) throw corrupt(place, 'the segment is missing');
    const segment = new Segment(header, read, [], place, this.version);
    if (segment.entries.get(PartKind.Forward)?.directoryBytes === 0)
      throw new WinnowError(
        'WINNOW_INDEX_VERSION',
        'the index has an early form of format 2, without checksums of vectors',
        {
          place,
          hint: 'index the documents again into a new folder with `winnow index`',
        },
      );
    const bytes = read(PartKind.Terms);
    if (!bytes || checksum(bytes) !== segment.entries.get(PartKind.Terms)?.bodyCrc)
      throw corrupt(`${place}, part Terms`, 'checksum mismatch');
    const [terms] = unpackSections(bytes, place);
    const entries = new Map(segment.entries);
    const put = (kind: PartKind, part: Uint8Array): void => {
      entries.set(kind, entryOf(part));
      segments.put(segmentKey(number, kind), Buffer.from(part));
    };
    put(PartKind.Terms, packSections([terms!, new Uint8Array(2 * terms!.length)]));
    put(PartKind.InText, packSections([bitmapFor(segment.numPostings)]));
    segments.put(segmentKey(number, 0), Buffer.from(encodeHeader(segment, entries, this.version)));
  }
}

/**
 * The value with the name `__proto__` where MessagePack's decoder returns `__proto_`, which it does so that no prototype is changed. The
 * checksum covers the original name and decides which of the two it was.
 */
function withProto(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withProto);
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name === '__proto_' ? '__proto__' : name, withProto(item)]),
  );
}
