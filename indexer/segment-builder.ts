import * as flatbuffers from 'flatbuffers';
import { buildBlockMaxima, MAXIMA_MIN_DOCS } from './block-maxima.ts';
import { bytesOf, checksum, FORMAT_VERSION, isBitSet, PartKind, viewU16, viewU32 } from './format.ts';
import { Part } from './generated/part.ts';
import { SegmentHeader } from './generated/segment-header.ts';
import { type BuiltLists, buildPostingLists, openPostingLists, type Rows } from './posting-lists.ts';
import { allocateSections, packSections } from './sections.ts';
import type { EncodedStrings } from './string-table.ts';

/** Everything a segment holds, by docId; the input of {@link buildSegment} for new batches and for merges alike. */
export interface SegmentContent {
  /** Key of the stored document, unique in the index for ever. */
  readonly docKeys: Uint32Array;
  /** User ids. */
  readonly ids: EncodedStrings;
  /** Place of each id among the segment's ids in UTF-16 order. */
  readonly ranks: Uint32Array;
  /** Number of words of each document. */
  readonly lengths: Uint32Array;
  /** Vectors, as rows of (termId ascending, impact 1..255) inside the part that will be stored. */
  readonly forward: ForwardDraft;
  /** Bit p set: the term of posting p of {@link forward} stands in the text of its document. */
  readonly inText: Uint8Array;
  /** Makes the posting lists of words (value = term frequency clamped to 255), list i for word i. */
  readonly lexical: () => BuiltLists;
  /** Distinct words of the segment in byte order. */
  readonly words: EncodedStrings;
  /** Sections of all filter fields, in the order of the index settings. */
  readonly fields: readonly Uint8Array[];
}

/** Vectors that share a checksum: the first hit of a search reads a block, not the part. */
export const FORWARD_BLOCK = 1024;

/** An empty Forward part of known size; fill in `rows` (FORMAT.md, kind 3). */
export function allocateForward(numDocs: number, numPostings: number): ForwardDraft {
  const blocks = Math.ceil(numDocs / FORWARD_BLOCK);
  const { packed, views } = allocateSections([4 * (numDocs + 1), 4 * blocks, 2 * numPostings, numPostings]);
  const [offsets, checksums, lists, values] = views as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  return {
    bytes: packed,
    rows: { offsets: viewU32(offsets, 0, numDocs + 1), lists: viewU16(lists, 0, numPostings), values },
    checksums: viewU32(checksums, 0, blocks),
    directoryBytes: lists.byteOffset,
  };
}

/** The Forward part of a segment under construction. */
export interface ForwardDraft {
  readonly bytes: Uint8Array;
  /** Views into `bytes`. */
  readonly rows: Rows & { readonly lists: Uint16Array };
  /** One a block, made by {@link buildSegment}. */
  readonly checksums: Uint32Array;
  readonly directoryBytes: number;
}

/** Checksum of the vectors of block `block`. */
export function forwardChecksum({ offsets, lists, values }: Rows, block: number): number {
  const from = offsets[block * FORWARD_BLOCK]!;
  const to = offsets[Math.min(offsets.length - 1, (block + 1) * FORWARD_BLOCK)]!;
  return (checksum(bytesOf(lists.subarray(from, to))) ^ checksum(values.subarray(from, to))) >>> 0;
}

/** Makes the header of a segment under the number that it was given. */
export type SegmentHeaderMaker = (number: number) => Uint8Array;

/**
 * Lays out a segment, part by part.
 *
 * @param put stores a part; it is not used again, so that one part at a time is in memory beside the content
 * @returns makes the header, to be stored last
 */
export function buildSegment(
  content: SegmentContent,
  put: (kind: PartKind, bytes: Uint8Array) => void,
): SegmentHeaderMaker {
  const { docKeys, lengths, inText } = content;
  const { rows } = content.forward;
  const numDocs = docKeys.length;
  const written = new Map<PartKind, PartEntry>();
  const whole = (kind: PartKind, bytes: Uint8Array): void => {
    written.set(kind, entryOf(bytes));
    put(kind, bytes);
  };
  const lists = (kind: PartKind, { bytes, directoryBytes }: BuiltLists): void => {
    const directoryCrc = checksum(bytes.subarray(0, directoryBytes));
    written.set(kind, { numBytes: bytes.length, directoryBytes, directoryCrc, bodyCrc: 0 });
    put(kind, bytes);
  };
  const { terms, numbering } = termsOf(rows);
  const impacts = buildPostingLists(rows, terms.length, numbering);
  if (numDocs >= MAXIMA_MIN_DOCS)
    lists(PartKind.Maxima, buildBlockMaxima(openPostingLists(impacts.bytes, 'new segment, part Impacts')));
  lists(PartKind.Impacts, impacts);
  lists(PartKind.Lexical, content.lexical());
  const { checksums } = content.forward;
  for (let block = 0; block < checksums.length; block++) checksums[block] = forwardChecksum(rows, block);
  lists(PartKind.Forward, content.forward);
  whole(PartKind.Documents, documentsPart(content));
  whole(
    PartKind.Terms,
    packSections([bytesOf(terms), bytesOf(countInText(rows, inText, numbering, terms.length))]),
  );
  whole(PartKind.InText, packSections([inText]));
  whole(PartKind.Words, packSections(content.words));
  whole(PartKind.Fields, packSections(content.fields));

  let sumLengths = 0;
  for (let docId = 0; docId < numDocs; docId++) sumLengths += lengths[docId]!;
  const numPostings = rows.lists.length;
  return (number) => encodeHeader({ number, numDocs, numPostings, sumLengths }, written);
}

/** What a segment's header says of a part. */
export interface PartEntry {
  readonly numBytes: number;
  /** Leading bytes that {@link directoryCrc} covers; 0 when {@link bodyCrc} covers the whole part. */
  readonly directoryBytes: number;
  readonly directoryCrc: number;
  readonly bodyCrc: number;
}

/** Entry of a part that is checked as a whole. */
export const entryOf = (bytes: Uint8Array): PartEntry => ({
  numBytes: bytes.length,
  directoryBytes: 0,
  directoryCrc: 0,
  bodyCrc: checksum(bytes),
});

export function documentsPart({
  docKeys,
  ranks,
  lengths,
  ids,
}: Pick<SegmentContent, 'docKeys' | 'ranks' | 'lengths' | 'ids'>): Uint8Array {
  return packSections([
    bytesOf(docKeys),
    bytesOf(byRisingKey(docKeys)),
    bytesOf(ranks),
    bytesOf(lengths),
    ...ids,
  ]);
}

export function encodeHeader(
  {
    number,
    numDocs,
    numPostings,
    sumLengths,
  }: { number: number; numDocs: number; numPostings: number; sumLengths: number },
  entries: ReadonlyMap<number, PartEntry>,
  formatVersion = FORMAT_VERSION,
): Uint8Array {
  const builder = new flatbuffers.Builder(1024);
  const partOffsets = [...entries].map(([kind, { numBytes, directoryBytes, directoryCrc, bodyCrc }]) =>
    Part.createPart(builder, kind, BigInt(numBytes), BigInt(directoryBytes), directoryCrc, bodyCrc),
  );
  const parts = SegmentHeader.createPartsVector(builder, partOffsets);
  builder.finish(
    SegmentHeader.createSegmentHeader(
      builder,
      formatVersion,
      number,
      numDocs,
      BigInt(numPostings),
      BigInt(sumLengths),
      parts,
    ),
  );
  return sealed(builder.asUint8Array());
}

/** The terms that occur, rising, and the list number of each. */
function termsOf({ lists }: Rows): { terms: Uint16Array; numbering: Uint32Array } {
  const present = new Uint8Array(1 << 16);
  for (let p = 0; p < lists.length; p++) present[lists[p]!] = 1;
  const terms = new Uint16Array(present.reduce((count, on) => count + on, 0));
  const numbering = new Uint32Array(1 << 16);
  let next = 0;
  for (let term = 0; term < present.length; term++) {
    if (!present[term]) continue;
    numbering[term] = next;
    terms[next++] = term;
  }
  return { terms, numbering };
}

/** By list: how many documents have the term in their text. */
function countInText(
  { lists }: Rows,
  inText: Uint8Array,
  numbering: Uint32Array,
  numLists: number,
): Uint32Array {
  const counts = new Uint32Array(numLists);
  for (let p = 0; p < lists.length; p++) if (isBitSet(inText, p)) counts[numbering[lists[p]!]!]!++;
  return counts;
}

/** Documents by rising key. */
function byRisingKey(docKeys: Uint32Array): Uint32Array {
  // As u64 with the key above the docId: sorts natively, without a comparison in TypeScript.
  const pairs = new Uint32Array(2 * docKeys.length);
  for (let docId = 0; docId < docKeys.length; docId++) {
    pairs[2 * docId] = docId;
    pairs[2 * docId + 1] = docKeys[docId]!;
  }
  new BigUint64Array(pairs.buffer).sort();
  return docKeys.map((_, i) => pairs[2 * i]!);
}

/** FlatBuffers in TypeScript verifies nothing, so every buffer is stored behind its CRC-32. */
export function sealed(flatbuffer: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + flatbuffer.length);
  new DataView(out.buffer).setUint32(0, checksum(flatbuffer), true);
  out.set(flatbuffer, 8);
  return out;
}
