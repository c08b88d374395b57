import * as flatbuffers from 'flatbuffers';
import { type BlockMaxima, openBlockMaxima } from './block-maxima.ts';
import { decodeColumn, type FilterColumn } from './filter-columns.ts';
import { checksum, corrupt, FORMAT_VERSION, PartKind, viewU16, viewU32, ZERO_COPY_BYTES } from './format.ts';
import { SegmentHeader } from './generated/segment-header.ts';
import { openPostingLists, type PostingLists, type Rows } from './posting-lists.ts';
import { unpackSections } from './sections.ts';
import { FORWARD_BLOCK, forwardChecksum, type PartEntry } from './segment-builder.ts';
import { parseStoredId } from './stored-id.ts';
import { StringTable } from './string-table.ts';
import type { FilterField, ImpactVector } from './types.ts';

/** Reads a part's bytes from storage; undefined when it is not there. The address must be a multiple of 8. */
export type PartSource = (kind: PartKind) => Uint8Array | undefined;

/**
 * An immutable run of documents, opened for reading. Parts are read when first needed and checked before use:
 * posting lists one by one, everything else as a whole.
 */
export class Segment {
  readonly number: number;
  readonly numDocs: number;
  /** Sparse postings. */
  readonly numPostings: number;
  /** Sum of {@link lengths}. */
  readonly sumLengths: number;
  private readonly place: string;
  private readonly source: PartSource;
  private readonly filterFields: readonly FilterField[];
  /** By {@link PartKind}. */
  readonly entries: ReadonlyMap<number, PartEntry>;
  private readonly opened = new Map<PartKind, unknown>();
  /** Parts whose checksum was found right; a segment never changes, so once is enough. */
  private checked = new Set<PartKind>();
  private byRank: Uint32Array | undefined;
  /** By part: which lists, or blocks of vectors, were checked. */
  private checkedLists = new Map<PartKind, Uint8Array>();

  /**
   * @param formatVersion another version than this build's, for an upgrade
   * @throws WinnowError WINNOW_INDEX_CORRUPT
   */
  constructor(
    headerBytes: Uint8Array,
    source: PartSource,
    filterFields: readonly FilterField[],
    place: string,
    formatVersion = FORMAT_VERSION,
  ) {
    const header = SegmentHeader.getRootAsSegmentHeader(
      new flatbuffers.ByteBuffer(unsealed(headerBytes, `${place}, header`)),
    );
    if (header.formatVersion() !== formatVersion)
      throw corrupt(place, `segment format ${header.formatVersion()}`);
    this.number = header.number();
    this.numDocs = header.numDocs();
    this.numPostings = Number(header.numPostings());
    this.sumLengths = Number(header.sumLengths());
    this.place = place;
    this.source = source;
    this.filterFields = filterFields;
    const entries = new Map<number, PartEntry>();
    for (let i = 0; i < header.partsLength(); i++) {
      const part = header.parts(i)!;
      entries.set(part.kind(), {
        numBytes: Number(part.numBytes()),
        directoryBytes: Number(part.directoryBytes()),
        directoryCrc: part.directoryCrc(),
        bodyCrc: part.bodyCrc(),
      });
    }
    this.entries = entries;
  }

  /** Sparse posting lists; list i belongs to term `terms[i]`. */
  get impacts(): PostingLists {
    return this.once(PartKind.Impacts, (bytes, place) => this.openLists(PartKind.Impacts, bytes, place));
  }

  /** Block maxima of {@link impacts}; undefined in a segment too small to keep them. */
  get maxima(): BlockMaxima | undefined {
    if (!this.entries.has(PartKind.Maxima)) return undefined;
    const { impacts } = this;
    return this.once(PartKind.Maxima, (bytes, place) => {
      const maxima = openBlockMaxima(bytes, impacts, place, this.checkedLists.get(PartKind.Maxima));
      this.checkedLists.set(PartKind.Maxima, maxima.checked);
      return maxima;
    });
  }

  /** Lexical posting lists (value = term frequency); list i belongs to word i of {@link words}. */
  get lexical(): PostingLists {
    return this.once(PartKind.Lexical, (bytes, place) => this.openLists(PartKind.Lexical, bytes, place));
  }

  /** WordPiece ids that occur, ascending. */
  get terms(): Uint16Array {
    return this.termTable.terms;
  }

  /** By list of {@link impacts}: in how many documents the term stands in the text and has weight. */
  get textFrequencies(): Uint32Array {
    return this.termTable.textFrequencies;
  }

  /** Whether any document came with its text; where none did, {@link textFrequencies} say nothing. */
  get hasText(): boolean {
    return this.termTable.hasText;
  }

  private get termTable() {
    return this.once(PartKind.Terms, (bytes, place) => {
      const [terms, counts] = unpackSections(bytes, place);
      const textFrequencies = viewU32(counts!, 0, counts!.length / 4);
      return {
        terms: viewU16(terms!, 0, terms!.length / 2),
        textFrequencies,
        hasText: textFrequencies.some((count) => count > 0),
      };
    });
  }

  /** Bit p set: the term of posting p of {@link forward} stands in the text of its document. */
  get inText(): Uint8Array {
    return this.once(PartKind.InText, (bytes, place) => unpackSections(bytes, place)[0]!);
  }

  /** List number of a term in {@link impacts}, or -1. */
  listOfTerm(termId: number): number {
    const { terms } = this;
    let low = 0;
    let high = terms.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const at = terms[middle]!;
      if (at === termId) return middle;
      if (at < termId) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  get words(): StringTable {
    return this.once(PartKind.Words, (bytes, place) => {
      const [offsets, words] = unpackSections(bytes, place);
      return new StringTable(offsets!, words!, place);
    });
  }

  /** Vectors of all documents, as rows of (termId ascending, impact); views. Checks all of them the first time. */
  get forward(): Rows {
    const { rows, checkedBlocks } = this.vectors;
    for (let block = 0; block < checkedBlocks.length; block++) this.checkVectors(block);
    return rows;
  }

  /** As {@link forward}, for some documents only: of the rest nothing is read. @param docIds rising */
  forwardOf(docIds: Uint32Array): Rows {
    let checked = -1;
    for (let i = 0; i < docIds.length; i++) {
      const block = Math.floor(docIds[i]! / FORWARD_BLOCK);
      if (block !== checked) this.checkVectors(block);
      checked = block;
    }
    return this.vectors.rows;
  }

  private get vectors() {
    return this.once(PartKind.Forward, (bytes, place) => {
      const [offsets, checksums, terms, values] = unpackSections(bytes, place);
      const numBlocks = Math.ceil(this.numDocs / FORWARD_BLOCK);
      const checkedBlocks = this.checkedLists.get(PartKind.Forward) ?? new Uint8Array(numBlocks);
      this.checkedLists.set(PartKind.Forward, checkedBlocks);
      const rows: Rows & { lists: Uint16Array } = {
        offsets: viewU32(offsets!, 0, this.numDocs + 1),
        lists: viewU16(terms!, 0, terms!.length / 2),
        values: values!,
      };
      return { rows, checksums: viewU32(checksums!, 0, numBlocks), checkedBlocks };
    });
  }

  private checkVectors(block: number): void {
    const { rows, checksums, checkedBlocks } = this.vectors;
    if (checkedBlocks[block]) return;
    if (forwardChecksum(rows, block) !== checksums[block])
      throw corrupt(`${this.place}, part Forward, block ${block}`, 'checksum mismatch in the vectors');
    checkedBlocks[block] = 1;
  }

  private get documents() {
    return this.once(PartKind.Documents, (bytes, place) => {
      const [keys, byKey, ranks, lengths, idOffsets, ids] = unpackSections(bytes, place);
      const column = (section: Uint8Array) => viewU32(section, 0, this.numDocs);
      return {
        keys: column(keys!),
        byKey: column(byKey!),
        ranks: column(ranks!),
        lengths: column(lengths!),
        ids: new StringTable(idOffsets!, ids!, place),
      };
    });
  }

  get docKeys(): Uint32Array {
    return this.documents.keys;
  }

  /** Position of each document's id among the ids of the segment, smallest first: the tie-break of equal scores. */
  get ranks(): Uint32Array {
    return this.documents.ranks;
  }

  /** Number of analysed words of each document. */
  get lengths(): Uint32Array {
    return this.documents.lengths;
  }

  get ids(): StringTable {
    return this.documents.ids;
  }

  id(docId: number): string {
    return this.ids.get(docId);
  }

  /** Documents of a source, whole or its passages, deleted ones included. */
  docIdsOfSource(sourceId: string): number[] {
    const { ids } = this.documents;
    const byRank = this.docIdsByRank;
    let low = 0;
    let high = this.numDocs;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ids.get(byRank[middle]!) < sourceId) low = middle + 1;
      else high = middle;
    }
    const found: number[] = [];
    // In UTF-16 order nothing stands between an id and its passages, which go on with NUL.
    for (; low < this.numDocs && parseStoredId(ids.get(byRank[low]!)).id === sourceId; low++)
      found.push(byRank[low]!);
    return found;
  }

  private get docIdsByRank(): Uint32Array {
    this.byRank ??= inverse(this.ranks);
    return this.byRank;
  }

  /** The document with this key, or -1. */
  docIdOf(docKey: number): number {
    const { keys, byKey } = this.documents;
    let low = 0;
    let high = this.numDocs - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const docId = byKey[middle]!;
      if (keys[docId] === docKey) return docId;
      if (keys[docId]! < docKey) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Forward vector of a document (views). */
  vector(docId: number): ImpactVector {
    this.checkVectors(Math.floor(docId / FORWARD_BLOCK));
    const { offsets, lists, values } = this.vectors.rows;
    const from = offsets[docId]!;
    const to = offsets[docId + 1]!;
    return { termIds: lists.subarray(from, to), impacts: values.subarray(from, to) };
  }

  /** Column of a declared filter field. */
  column(index: number): FilterColumn {
    return this.columns[index]!;
  }

  private get columns(): FilterColumn[] {
    return this.once(PartKind.Fields, (bytes, place) => {
      const sections = unpackSections(bytes, place);
      return this.filterFields.map((field, i) =>
        decodeColumn(field, sections.slice(4 * i, 4 * i + 4), place),
      );
    });
  }

  get numBytes(): number {
    let sum = 0;
    for (const { numBytes } of this.entries.values()) sum += numBytes;
    return sum;
  }

  /** Bytes of each part as stored. */
  partBytes(): Map<number, number> {
    return new Map([...this.entries].map(([kind, { numBytes }]) => [kind, numBytes]));
  }

  /** Reads every part and checks every checksum. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(): void {
    for (const lists of [this.impacts, this.lexical]) {
      for (let list = 0; list < lists.numLists; list++) lists.verify(list);
    }
    const { maxima } = this;
    if (maxima) for (let list = 0; list < this.impacts.numLists; list++) maxima.verify(list);
    void [this.terms, this.inText, this.words, this.forward, this.documents, this.columns];
  }

  /** Takes over what another view of the same segment has checked, and its parts where they are not views of the map. */
  adopt(other: Segment): void {
    this.checked = other.checked;
    this.checkedLists = other.checkedLists;
    for (const [kind, part] of other.opened) {
      if (this.entries.get(kind)!.numBytes < ZERO_COPY_BYTES) this.opened.set(kind, part);
    }
  }

  private openLists(kind: PartKind, bytes: Uint8Array, place: string): PostingLists {
    const lists = openPostingLists(bytes, place, this.checkedLists.get(kind));
    this.checkedLists.set(kind, lists.checked);
    return lists;
  }

  private once<T>(kind: PartKind, open: (bytes: Uint8Array, place: string) => T): T {
    if (!this.opened.has(kind)) this.opened.set(kind, this.openPart(kind, open));
    return this.opened.get(kind) as T;
  }

  private openPart<T>(kind: PartKind, open: (bytes: Uint8Array, place: string) => T): T {
    const name = Object.entries(PartKind).find(([, number]) => number === kind)?.[0];
    const place = `${this.place}, part ${name}`;
    const entry = this.entries.get(kind);
    const bytes = this.source(kind);
    if (!entry || !bytes) throw corrupt(place, 'the part is missing');
    if (bytes.length !== entry.numBytes)
      throw corrupt(place, `${bytes.length} bytes stored, ${entry.numBytes} written`);
    if (!this.checked.has(kind)) {
      const [covered, expected] =
        entry.directoryBytes > 0
          ? [bytes.subarray(0, entry.directoryBytes), entry.directoryCrc]
          : [bytes, entry.bodyCrc];
      if (checksum(covered) !== expected) throw corrupt(place, 'checksum mismatch');
      this.checked.add(kind);
    }
    return open(bytes, place);
  }
}

/** `inverse(p)[p[i]] = i`. */
export function inverse(permutation: Uint32Array): Uint32Array {
  const result = new Uint32Array(permutation.length);
  for (let i = 0; i < permutation.length; i++) result[permutation[i]!] = i;
  return result;
}

/** Checks and strips the CRC-32 that every FlatBuffer is stored behind. */
export function unsealed(bytes: Uint8Array, place: string): Uint8Array {
  if (bytes.length <= 8) throw corrupt(place, 'cut short');
  const body = bytes.subarray(8);
  if (checksum(body) !== new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true))
    throw corrupt(place, 'checksum mismatch');
  return body;
}
