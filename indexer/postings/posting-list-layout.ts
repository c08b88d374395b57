import { CHUNK_DOCS } from '../../kernels/search/layout.ts';
import { alignUp } from '../format/bytes.ts';

/** Ranks for which each list stores its k-th largest value. */
export const KTH_RANKS = [10, 100, 1000] as const;

export const HEADER_BYTES = 64;

/** Chunks of a list: 65,536 documents each, at least one. */
export const chunksOf = (numDocs: number): number => Math.max(1, Math.ceil(numDocs / CHUNK_DOCS));

/** The numbers at the start of a part, in their order. */
export interface PostingCounts {
  readonly numLists: number;
  readonly numChunks: number;
  readonly numDocs: number;
  /** Postings of lists that are not dense. */
  readonly numSparse: number;
  /** Dense columns. */
  readonly numDense: number;
}

/** Byte offsets of the arrays of a part (FORMAT.md, "Posting lists"). */
export interface PostingListLayout {
  readonly starts: number;
  readonly frequencies: number;
  readonly checksums: number;
  readonly denseColumnOf: number;
  readonly kthValues: number;
  /** Leading bytes that the segment header's checksum covers. */
  readonly directoryBytes: number;
  readonly localIds: number;
  readonly values: number;
  readonly columns: number;
  /** Bytes of a dense column. */
  readonly columnStride: number;
  readonly totalBytes: number;
}

export function postingListLayout({
  numLists,
  numChunks,
  numDocs,
  numSparse,
  numDense,
}: PostingCounts): PostingListLayout {
  const starts = HEADER_BYTES;
  const frequencies = alignUp(starts + 4 * (numLists * numChunks + 1));
  const checksums = alignUp(frequencies + 4 * numLists);
  const denseColumnOf = alignUp(checksums + 4 * numLists);
  const kthValues = alignUp(denseColumnOf + 2 * numLists);
  const directoryBytes = alignUp(kthValues + KTH_RANKS.length * numLists);
  const localIds = directoryBytes;
  const values = alignUp(localIds + 2 * numSparse);
  const columns = alignUp(values + numSparse);
  const columnStride = alignUp(numDocs);
  return {
    starts,
    frequencies,
    checksums,
    denseColumnOf,
    kthValues,
    directoryBytes,
    localIds,
    values,
    columns,
    columnStride,
    totalBytes: columns + numDense * columnStride,
  };
}
