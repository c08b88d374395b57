import { isBitSet } from '../format/bitmap.ts';
import { viewU16, viewU32 } from '../format/bytes.ts';
import { checksum } from '../format/checksum.ts';
import { corrupt } from '../format/errors.ts';
import { FORMAT_VERSION, ZERO_COPY_BYTES } from '../format/format.ts';
import { lowerBound } from '../format/lower-bound.ts';
import { PartKind, partLabel } from '../format/parts.ts';
import { unpackSections } from '../format/sections.ts';
import { parseStoredId } from '../format/stored-id.ts';
import { StringTable } from '../format/string-table.ts';
import { type BlockMaxIndex, openBlockMaxIndex } from '../postings/block-max-index.ts';
import { openPostingLists, type PostingLists } from '../postings/posting-list-reader.ts';
import type { FilterField, ImpactVector } from '../types.ts';
import { DenseVectors } from './dense-vectors.ts';
import { decodeColumn, type FilterColumn } from './filter-columns.ts';
import { ForwardIndex, type ForwardMatrix } from './forward-index.ts';
import { decodeHeader, type PartEntry } from './segment-header.ts';

/** Reads a part's bytes from storage; undefined when it is missing. The address must be a multiple of 8. */
export type PartSource = (kind: PartKind) => Uint8Array | undefined;

/**
 * An immutable run of documents, opened for reading. Parts are read when first needed and checked before use:
 * posting lists one by one, vectors in blocks, everything else as a whole. Every getter and method may throw WINNOW_INDEX_CORRUPT.
 *
 * All arrays are views, valid as long as the view of the index that the segment was opened by.
 */
export class Segment {
  readonly number: number;
  readonly numDocs: number;
  /** Sparse postings. */
  readonly numPostings: number;
  /** Sum of {@link lengths}. */
  readonly sumLengths: number;
  /** What the header says of each part, by {@link PartKind}. */
  readonly entries: ReadonlyMap<number, PartEntry>;
  private readonly place: string;
  private readonly source: PartSource;
  private readonly filterFields: readonly FilterField[];
  /** Opened parts by {@link PartKind}. */
  private readonly opened: unknown[] = [];
  /** Parts whose checksum was verified; a segment never changes, so once is enough. */
  private checked = new Set<PartKind>();
  private byIdRank: Uint32Array | undefined;
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
    const header = decodeHeader(headerBytes, place, formatVersion);
    this.number = header.number;
    this.numDocs = header.numDocs;
    this.numPostings = header.numPostings;
    this.sumLengths = header.sumLengths;
    this.entries = header.entries;
    this.place = place;
    this.source = source;
    this.filterFields = filterFields;
  }

  /** Sparse posting lists; list i belongs to term `termIds[i]`. */
  get impacts(): PostingLists {
    return this.listsOf(PartKind.Impacts);
  }

  /** Block maxima of {@link impacts}; undefined in a segment too small to keep them. */
  get blockMaxIndex(): BlockMaxIndex | undefined {
    if (!this.entries.has(PartKind.Maxima)) return undefined;
    const { impacts } = this;
    return this.once(PartKind.Maxima, (bytes, place) =>
      this.keepChecks(PartKind.Maxima, (checked) => openBlockMaxIndex(bytes, impacts, place, checked)),
    );
  }

  /** Posting lists of words (value = term frequency); list i belongs to word i of {@link words}. */
  get wordPostings(): PostingLists {
    return this.listsOf(PartKind.Lexical);
  }

  /** Distinct words, in byte order. */
  get words(): StringTable {
    return this.once(PartKind.Words, (bytes, place) => {
      const [offsets, words] = unpackSections(bytes, place);
      return new StringTable(offsets!, words!, place);
    });
  }

  /** WordPiece ids that occur, ascending. */
  get termIds(): Uint16Array {
    return this.termTable.termIds;
  }

  /** By list of {@link impacts}: in how many documents the term occurs in the text and has weight. */
  get textFrequencies(): Uint32Array {
    return this.termTable.textFrequencies;
  }

  /** Whether any document came with its text; where none did, {@link textFrequencies} are all 0. */
  get hasText(): boolean {
    return this.termTable.hasText;
  }

  private get termTable() {
    return this.once(PartKind.Terms, (bytes, place) => {
      const [termIds, counts] = unpackSections(bytes, place);
      const textFrequencies = viewU32(counts!, 0, counts!.length / 4);
      const terms = viewU16(termIds!, 0, termIds!.length / 2);
      return {
        termIds: terms,
        lists: listsByTerm(terms),
        textFrequencies,
        hasText: textFrequencies.some((count) => count > 0),
      };
    });
  }

  /** Bit p set: the term of posting p of {@link forwardMatrix} occurs in the text of its document. */
  get inText(): Uint8Array {
    return this.once(PartKind.InText, (bytes, place) => unpackSections(bytes, place)[0]!);
  }

  /** List of a term in {@link impacts}, or -1. */
  listIdOfTerm(termId: number): number {
    const { lists } = this.termTable;
    return termId < lists.length ? lists[termId]! - 1 : -1;
  }

  /** The vectors of all documents. Checks all of them the first time. */
  get forwardMatrix(): ForwardMatrix {
    return this.forwardIndex.all();
  }

  /** As {@link forwardMatrix}, for some documents only: other rows must not be read. @param docIds ascending */
  forwardMatrixOf(docIds: Uint32Array): ForwardMatrix {
    return this.forwardIndex.ofDocuments(docIds);
  }

  /** The vector of a document. */
  vector(docId: number): ImpactVector {
    const { rowOffsets, columnIds, values } = this.forwardIndex.ofDocument(docId);
    const from = rowOffsets[docId]!;
    const to = rowOffsets[docId + 1]!;
    return { termIds: columnIds.subarray(from, to), impacts: values.subarray(from, to) };
  }

  /** Whether a term of {@link vector}, by its place there, occurs in the title or text of the document. */
  isInText(docId: number, place: number): boolean {
    return isBitSet(this.inText, this.forwardIndex.ofDocument(docId).rowOffsets[docId]! + place);
  }

  /** Dense vectors; undefined in a segment none of whose documents has one. */
  get denseVectors(): DenseVectors | undefined {
    if (!this.entries.has(PartKind.Dense)) return undefined;
    return this.once(PartKind.Dense, (bytes, place) =>
      this.keepChecks(PartKind.Dense, (checked) => new DenseVectors(bytes, this.numDocs, place, checked)),
    );
  }

  private get forwardIndex(): ForwardIndex {
    return this.once(PartKind.Forward, (bytes, place) =>
      this.keepChecks(PartKind.Forward, (checked) => new ForwardIndex(bytes, this.numDocs, place, checked)),
    );
  }

  private get documents() {
    return this.once(PartKind.Documents, (bytes, place) => {
      const [keys, byKey, idRanks, lengths, idOffsets, ids] = unpackSections(bytes, place);
      const column = (section: Uint8Array) => viewU32(section, 0, this.numDocs);
      return {
        keys: column(keys!),
        byKey: column(byKey!),
        idRanks: column(idRanks!),
        lengths: column(lengths!),
        ids: new StringTable(idOffsets!, ids!, place),
      };
    });
  }

  /** Keys of the stored fields. */
  get docKeys(): Uint32Array {
    return this.documents.keys;
  }

  /** Rank of each document's stored id among those of the segment, in UTF-16 order: documents with equal scores ascend by it. */
  get idRanks(): Uint32Array {
    return this.documents.idRanks;
  }

  /** Number of analysed words of each document. */
  get lengths(): Uint32Array {
    return this.documents.lengths;
  }

  /** Stored ids. */
  get ids(): StringTable {
    return this.documents.ids;
  }

  /** Stored id of a document. */
  id(docId: number): string {
    return this.ids.get(docId);
  }

  /** Documents of a source, whole or its passages, deleted ones included. */
  docIdsOfSource(sourceId: string): number[] {
    const { ids } = this.documents;
    const { docIdsByIdRank } = this;
    const found: number[] = [];
    // In UTF-16 order nothing comes between an id and those of its passages, which continue with NUL.
    for (
      let rank = lowerBound(this.numDocs, (index) => ids.get(docIdsByIdRank[index]!) < sourceId);
      rank < this.numDocs && parseStoredId(ids.get(docIdsByIdRank[rank]!)).id === sourceId;
      rank++
    )
      found.push(docIdsByIdRank[rank]!);
    return found;
  }

  private get docIdsByIdRank(): Uint32Array {
    this.byIdRank ??= inverse(this.idRanks);
    return this.byIdRank;
  }

  /** The document with this key, or -1. */
  docIdOf(docKey: number): number {
    const { keys, byKey } = this.documents;
    const docId = byKey[lowerBound(this.numDocs, (index) => keys[byKey[index]!]! < docKey)];
    return docId !== undefined && keys[docId] === docKey ? docId : -1;
  }

  /** Values of a declared filter field. @param index of the field in the settings of the index */
  filterColumn(index: number): FilterColumn {
    return this.filterColumns[index]!;
  }

  private get filterColumns(): FilterColumn[] {
    return this.once(PartKind.Fields, (bytes, place) => {
      const sections = unpackSections(bytes, place);
      return this.filterFields.map((field, i) =>
        decodeColumn(field, sections.slice(4 * i, 4 * i + 4), place),
      );
    });
  }

  /** Bytes of all parts. */
  get numBytes(): number {
    let sum = 0;
    for (const { numBytes } of this.entries.values()) sum += numBytes;
    return sum;
  }

  /** Reads every part and checks every checksum. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(): void {
    for (const lists of [this.impacts, this.wordPostings]) {
      for (let listId = 0; listId < lists.numLists; listId++) lists.verify(listId);
    }
    const { blockMaxIndex } = this;
    if (blockMaxIndex)
      for (let listId = 0; listId < this.impacts.numLists; listId++) blockMaxIndex.verify(listId);
    this.denseVectors?.all();
    void [this.termIds, this.inText, this.words, this.forwardMatrix, this.documents, this.filterColumns];
  }

  /** Takes over what another view of the same segment has checked, and its parts where they are not views of the map. */
  adopt(other: Segment): void {
    this.checked = other.checked;
    this.checkedLists = other.checkedLists;
    for (const [kind, { numBytes }] of this.entries)
      if (numBytes < ZERO_COPY_BYTES) this.opened[kind] = other.opened[kind];
  }

  private listsOf(kind: PartKind): PostingLists {
    return this.once(kind, (bytes, place) =>
      this.keepChecks(kind, (checked) => openPostingLists(bytes, place, checked)),
    );
  }

  /** Opens a part with the checks of an earlier opening, and keeps its own for the next. */
  private keepChecks<T extends { readonly checked: Uint8Array }>(
    kind: PartKind,
    open: (alreadyChecked: Uint8Array | undefined) => T,
  ): T {
    const part = open(this.checkedLists.get(kind));
    this.checkedLists.set(kind, part.checked);
    return part;
  }

  private once<T>(kind: PartKind, open: (bytes: Uint8Array, place: string) => T): T {
    const part = this.opened[kind] ?? this.openPart(kind, open);
    this.opened[kind] = part;
    return part as T;
  }

  private openPart<T>(kind: PartKind, open: (bytes: Uint8Array, place: string) => T): T {
    const place = `${this.place}, part ${partLabel(kind)}`;
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

/** 1 + the list of each term, 0 where there is none: every search looks up every token in every segment. */
function listsByTerm(termIds: Uint16Array): Uint32Array {
  const lists = new Uint32Array(termIds.length === 0 ? 0 : termIds.at(-1)! + 1);
  for (let list = 0; list < termIds.length; list++) lists[termIds[list]!] = list + 1;
  return lists;
}
