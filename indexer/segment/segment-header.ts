import * as flatbuffers from 'flatbuffers';
import { checksum, verifyChecksum, withChecksum } from '../format/checksum.ts';
import { corrupt } from '../format/errors.ts';
import { FORMAT_VERSION, isReadable } from '../format/format.ts';
import { Part } from '../format/generated/part.ts';
import { SegmentHeader as SegmentHeaderTable } from '../format/generated/segment-header.ts';

/** What a segment's header says of a part. */
export interface PartEntry {
  readonly numBytes: number;
  /** Leading bytes that {@link directoryCrc} covers; 0 when {@link bodyCrc} covers the whole part. */
  readonly directoryBytes: number;
  readonly directoryCrc: number;
  readonly bodyCrc: number;
}

/** Figures of a segment that its header holds. */
export interface SegmentCounts {
  readonly number: number;
  readonly numDocs: number;
  /** Sparse postings. */
  readonly numPostings: number;
  /** Analysed words of all documents. */
  readonly sumLengths: number;
}

export interface SegmentHeader extends SegmentCounts {
  /** By part kind. */
  readonly entries: ReadonlyMap<number, PartEntry>;
}

/** Entry of a part that is checked as a whole. */
export const entryOf = (bytes: Uint8Array): PartEntry => ({
  numBytes: bytes.length,
  directoryBytes: 0,
  directoryCrc: 0,
  bodyCrc: checksum(bytes),
});

/** Entry of a part whose lists or blocks have checksums of their own. @param directoryBytes how many bytes are checked as a whole */
export const entryOfLists = (bytes: Uint8Array, directoryBytes: number): PartEntry => ({
  numBytes: bytes.length,
  directoryBytes,
  directoryCrc: checksum(bytes.subarray(0, directoryBytes)),
  bodyCrc: 0,
});

/** @param formatVersion another version than this build's, for an upgrade */
export function encodeHeader(
  { number, numDocs, numPostings, sumLengths }: SegmentCounts,
  entries: ReadonlyMap<number, PartEntry>,
  formatVersion = FORMAT_VERSION,
): Uint8Array {
  const builder = new flatbuffers.Builder(1024);
  const partOffsets = [...entries].map(([kind, { numBytes, directoryBytes, directoryCrc, bodyCrc }]) =>
    Part.createPart(builder, kind, BigInt(numBytes), BigInt(directoryBytes), directoryCrc, bodyCrc),
  );
  const parts = SegmentHeaderTable.createPartsVector(builder, partOffsets);
  builder.finish(
    SegmentHeaderTable.createSegmentHeader(
      builder,
      formatVersion,
      number,
      numDocs,
      BigInt(numPostings),
      BigInt(sumLengths),
      parts,
    ),
  );
  return withChecksum(builder.asUint8Array());
}

/** @throws WinnowError WINNOW_INDEX_CORRUPT also for another version than `formatVersion` */
export function decodeHeader(bytes: Uint8Array, place: string, formatVersion: number): SegmentHeader {
  const header = SegmentHeaderTable.getRootAsSegmentHeader(
    new flatbuffers.ByteBuffer(verifyChecksum(bytes, `${place}, header`)),
  );
  if (!isReadable(header.formatVersion(), formatVersion))
    throw corrupt(place, `segment format ${header.formatVersion()}`);
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
  return {
    number: header.number(),
    numDocs: header.numDocs(),
    numPostings: Number(header.numPostings()),
    sumLengths: Number(header.sumLengths()),
    entries,
  };
}
