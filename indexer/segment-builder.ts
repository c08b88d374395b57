import * as flatbuffers from 'flatbuffers';
import { buildBlockMaxima, MAXIMA_MIN_DOCS } from './block-maxima.ts';
import { encodeColumn, type FieldValues } from './filter-columns.ts';
import { bytesOf, checksum, FORMAT_VERSION, PartKind } from './format.ts';
import { Part } from './generated/part.ts';
import { SegmentHeader } from './generated/segment-header.ts';
import { buildPostingLists, openPostingLists, type Rows } from './posting-lists.ts';
import { packSections } from './sections.ts';
import { compareUtf8, encodeStrings } from './string-table.ts';
import type { FilterField } from './types.ts';

/** Everything a segment holds, by docId; the input of {@link buildSegment} for new batches and for merges alike. */
export interface SegmentContent {
  /** Key of the stored document, unique in the index for ever. */
  readonly docKeys: Uint32Array;
  /** User ids. */
  readonly ids: readonly string[];
  /** Rows of (termId ascending, impact 1..255). */
  readonly impacts: Rows;
  /** Rows of (index into `words`, term frequency clamped to 255). */
  readonly lexical: Rows;
  /** Distinct words of the segment in any order. */
  readonly words: readonly string[];
  /** Number of words of each document. */
  readonly lengths: Uint32Array;
  /** One array of rows a filter field, in the order of the index settings. */
  readonly fields: readonly (readonly FieldValues[])[];
}

export interface BuiltSegment {
  readonly header: Uint8Array;
  readonly parts: ReadonlyMap<PartKind, Uint8Array>;
}

/** Lays out a segment; the result is written to LMDB in one transaction and never changes afterwards. */
export function buildSegment(
  number: number,
  content: SegmentContent,
  filterFields: readonly FilterField[],
): BuiltSegment {
  const { docKeys, ids, lengths } = content;
  const numDocs = docKeys.length;
  const { used: terms, rows: impactRows } = renumber(content.impacts);
  const impacts = buildPostingLists(impactRows, terms.length);

  const byWord = content.words
    .map((_, i) => i)
    .sort((a, b) => compareUtf8(content.words[a]!, content.words[b]!));
  const wordNumber = new Uint32Array(byWord.length);
  byWord.forEach((word, sorted) => {
    wordNumber[word] = sorted;
  });
  const lexical = buildPostingLists(
    { ...content.lexical, lists: Uint32Array.from(content.lexical.lists, (word) => wordNumber[word]!) },
    content.words.length,
  );

  const byId = Uint32Array.from(ids.keys()).sort((a, b) => (ids[a]! < ids[b]! ? -1 : 1));
  const ranks = new Uint32Array(numDocs);
  byId.forEach((docId, rank) => {
    ranks[docId] = rank;
  });
  const byKey = Uint32Array.from(docKeys.keys()).sort((a, b) => docKeys[a]! - docKeys[b]!);

  const sections: [PartKind, Uint8Array, number][] = [
    [PartKind.Impacts, impacts.bytes, impacts.directoryBytes],
    [PartKind.Lexical, lexical.bytes, lexical.directoryBytes],
  ];
  if (numDocs >= MAXIMA_MIN_DOCS) {
    const maxima = buildBlockMaxima(openPostingLists(impacts.bytes, `segment ${number}, part Impacts`));
    sections.push([PartKind.Maxima, maxima.bytes, maxima.directoryBytes]);
  }
  const whole = (kind: PartKind, arrays: readonly Uint8Array[]): void => {
    sections.push([kind, packSections(arrays), 0]);
  };
  whole(PartKind.Forward, [
    bytesOf(content.impacts.offsets),
    bytesOf(Uint16Array.from(content.impacts.lists)),
    bytesOf(content.impacts.values),
  ]);
  whole(PartKind.Documents, [
    bytesOf(docKeys),
    bytesOf(byKey),
    bytesOf(ranks),
    bytesOf(lengths),
    ...encodeStrings(ids),
  ]);
  whole(PartKind.Terms, [bytesOf(Uint16Array.from(terms))]);
  whole(PartKind.Words, encodeStrings(byWord.map((word) => content.words[word]!)));
  whole(
    PartKind.Fields,
    filterFields.flatMap((field, i) => encodeColumn(field, content.fields[i]!)),
  );

  const builder = new flatbuffers.Builder(1024);
  const partOffsets = sections.map(([kind, bytes, directoryBytes]) =>
    Part.createPart(
      builder,
      kind,
      BigInt(bytes.length),
      BigInt(directoryBytes),
      checksum(bytes.subarray(0, directoryBytes)),
      directoryBytes > 0 ? 0 : checksum(bytes),
    ),
  );
  const parts = SegmentHeader.createPartsVector(builder, partOffsets);
  const sumLengths = lengths.reduce((sum, length) => sum + length, 0);
  const numPostings = content.impacts.lists.length;
  builder.finish(
    SegmentHeader.createSegmentHeader(
      builder,
      FORMAT_VERSION,
      number,
      numDocs,
      BigInt(numPostings),
      BigInt(sumLengths),
      parts,
    ),
  );
  return {
    header: sealed(builder.asUint8Array()),
    parts: new Map(sections.map(([kind, bytes]) => [kind, bytes])),
  };
}

/** Numbers the lists that occur 0, 1, 2 ... in rising order. */
function renumber(rows: Rows): { used: number[]; rows: Rows } {
  const present = new Uint8Array(1 << 16);
  for (const list of rows.lists) present[list] = 1;
  const used: number[] = [];
  const numbers = new Uint16Array(1 << 16);
  present.forEach((on, list) => {
    if (!on) return;
    numbers[list] = used.length;
    used.push(list);
  });
  return { used, rows: { ...rows, lists: Uint16Array.from(rows.lists, (list) => numbers[list]!) } };
}

/** FlatBuffers in TypeScript verifies nothing, so every buffer is stored behind its CRC-32. */
export function sealed(flatbuffer: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + flatbuffer.length);
  new DataView(out.buffer).setUint32(0, checksum(flatbuffer), true);
  out.set(flatbuffer, 8);
  return out;
}
