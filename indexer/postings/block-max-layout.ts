import { BLOCK_DOCS, NO_SUMMARY, NOT_DENSE, SUPERBLOCK_DOCS } from '../../kernels/search/layout.ts';
import { alignUp } from '../format/bytes.ts';
import { checksum } from '../format/checksum.ts';

export const HEADER_BYTES = 64;
/** An entry: u32 first block maximum, u16 first posting, u16 mask of blocks. */
const ENTRY_BYTES = 8;

/** The numbers at the start of a part. */
export interface BlockMaxCounts {
  readonly numLists: number;
  readonly numChunks: number;
  readonly numDocs: number;
  readonly numDense: number;
  readonly numSummaries: number;
  /** (list, superblock) pairs with a posting, of lists with a summary. */
  readonly numEntries: number;
  /** (list, block) pairs with a posting, of lists with a summary. */
  readonly numMaxima: number;
}

/** Their order. */
export const COUNT_NAMES = [
  'numLists',
  'numChunks',
  'numDocs',
  'numDense',
  'numSummaries',
  'numEntries',
  'numMaxima',
] as const satisfies readonly (keyof BlockMaxCounts)[];

/** Byte offsets of the arrays of a part (FORMAT.md, "Block maxima"), and strides in bytes per dense list. */
export function blockMaxLayout({
  numLists,
  numChunks,
  numDocs,
  numDense,
  numSummaries,
  numEntries,
  numMaxima,
}: BlockMaxCounts) {
  const numSummaryChunks = numSummaries * numChunks;
  const summaryOf = HEADER_BYTES;
  const checksums = alignUp(summaryOf + 2 * numLists);
  const firstEntries = alignUp(checksums + 4 * numLists);
  const directoryBytes = alignUp(firstEntries + 4 * (numSummaryChunks + 1));
  const present = directoryBytes;
  const entries = alignUp(present + 8 * numSummaryChunks);
  const superblockMaxImpacts = alignUp(entries + ENTRY_BYTES * numEntries);
  const blockMaxImpacts = alignUp(superblockMaxImpacts + numEntries);
  const superblockColumns = alignUp(blockMaxImpacts + numMaxima);
  const superblockStride = alignUp(Math.ceil(numDocs / SUPERBLOCK_DOCS));
  const blockColumns = superblockColumns + numDense * superblockStride;
  const blockStride = alignUp(Math.ceil(numDocs / BLOCK_DOCS));
  return {
    summaryOf,
    checksums,
    firstEntries,
    directoryBytes,
    present,
    entries,
    superblockMaxImpacts,
    blockMaxImpacts,
    superblockColumns,
    superblockStride,
    blockColumns,
    blockStride,
    totalBytes: blockColumns + numDense * blockStride,
  };
}
export type BlockMaxLayout = ReturnType<typeof blockMaxLayout>;

/** What the checksum of a list's maxima depends on. */
export interface BlockMaxPlaces {
  readonly bytes: Uint8Array;
  readonly layout: BlockMaxLayout;
  readonly counts: BlockMaxCounts;
  /** By list: its summary, or {@link NO_SUMMARY}. */
  readonly summaryOf: Uint16Array;
  readonly denseColumnOf: Uint16Array;
  readonly firstEntries: Uint32Array;
}

/** CRC-32 of everything that is kept of one list, its ranges joined by XOR; 0 for a list without summary. */
export function blockMaxChecksum(
  { bytes, layout, counts, summaryOf, denseColumnOf, firstEntries }: BlockMaxPlaces,
  listId: number,
): number {
  const { numChunks, numEntries, numMaxima } = counts;
  const crc = (at: number, length: number) => checksum(bytes.subarray(at, at + length));
  const denseColumn = denseColumnOf[listId]!;
  if (denseColumn !== NOT_DENSE)
    return (
      (crc(layout.superblockColumns + denseColumn * layout.superblockStride, layout.superblockStride) ^
        crc(layout.blockColumns + denseColumn * layout.blockStride, layout.blockStride)) >>>
      0
    );
  const summary = summaryOf[listId]!;
  if (summary === NO_SUMMARY) return 0;
  const first = firstEntries[summary * numChunks]!;
  const end = firstEntries[(summary + 1) * numChunks]!;
  const firstMaximumOf = (entry: number) =>
    entry < numEntries
      ? new DataView(bytes.buffer, bytes.byteOffset + layout.entries + ENTRY_BYTES * entry).getUint32(0, true)
      : numMaxima;
  const from = Math.min(firstMaximumOf(first), numMaxima);
  const to = Math.min(Math.max(from, firstMaximumOf(end)), numMaxima);
  return (
    (crc(layout.present + 8 * summary * numChunks, 8 * numChunks) ^
      crc(layout.entries + ENTRY_BYTES * first, ENTRY_BYTES * (end - first)) ^
      crc(layout.superblockMaxImpacts + first, end - first) ^
      crc(layout.blockMaxImpacts + from, to - from)) >>>
    0
  );
}
