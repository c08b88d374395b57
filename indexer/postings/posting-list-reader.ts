import { CHUNK_BITS, NOT_DENSE } from '../../kernels/search/layout.ts';
import { listBytes, type PostingArrays } from '../../kernels/search/posting-block.ts';
import { viewU16, viewU32 } from '../format/bytes.ts';
import { checksum } from '../format/checksum.ts';
import { corrupt } from '../format/errors.ts';
import type { CsrMatrix } from './csr-matrix.ts';
import { HEADER_BYTES, KTH_RANKS, type PostingCounts, postingListLayout } from './posting-list-layout.ts';

/**
 * Posting lists of one segment, as one block of bytes (FORMAT.md, "Posting lists"). All arrays are views into it.
 *
 * A list holds (docId, value u8 >= 1) in ascending docId order, as 16-bit local ids and values in two arrays, cut into
 * chunks of 65,536 documents. A list that is long for its segment is a dense column instead: one byte per document,
 * 0 = absent. The layout is that of windowed term-at-a-time scoring (SINDI in VSAG; Knowhere): a window of documents at a time
 * is added up from all lists, so that the accumulators stay in the cache.
 */
export interface PostingLists {
  /** The bytes and where the arrays below start in them, for the search kernels. */
  readonly block: PostingArrays;
  readonly numLists: number;
  readonly numDocs: number;
  readonly numChunks: number;
  readonly numPostings: number;
  /** `starts[listId * numChunks + chunk]` is the first posting of the list in that chunk; one more entry ends the last. */
  readonly starts: Uint32Array;
  /** By list: its dense column, or {@link NOT_DENSE}. */
  readonly denseColumnOf: Uint16Array;
  readonly localIds: Uint16Array;
  readonly values: Uint8Array;
  /** `columns[denseColumn * columnStride + docId]`. */
  readonly columns: Uint8Array;
  readonly columnStride: number;
  /**
   * A value that at least k documents of a list reach, for the smallest k' >= k of {@link KTH_RANKS}; 0 when the list is
   * shorter or k is larger. A search for k hits may start from `weight * kthValue` as its threshold.
   */
  kthValue(listId: number, k: number): number;
  /** By list: 1 when its checksum was verified. */
  readonly checked: Uint8Array;
  /** Number of documents in a list. */
  documentFrequency(listId: number): number;
  /** Verifies a list's checksum the first time it is used. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(listId: number): void;
}

/**
 * Opens posting lists whose directory has already been checked against the segment header.
 *
 * Lengths are checked here; the bytes of a list are checked by {@link PostingLists.verify} when it is first used, so
 * that opening costs no more for a large segment than for a small one.
 *
 * @param bytes the part; its address must be a multiple of 8
 * @param alreadyChecked {@link PostingLists.checked} of an earlier opening of the same bytes
 * @throws WinnowError WINNOW_INDEX_CORRUPT when lengths contradict each other
 */
export function openPostingLists(
  bytes: Uint8Array,
  place: string,
  alreadyChecked?: Uint8Array,
): PostingLists {
  const counts = readCounts(bytes, place);
  const { numLists, numChunks, numDocs, numSparse } = counts;
  const layout = postingListLayout(counts);
  if (layout.totalBytes !== bytes.length)
    throw corrupt(place, `posting lists have ${bytes.length} bytes, their header needs ${layout.totalBytes}`);
  const starts = viewU32(bytes, layout.starts, numLists * numChunks + 1);
  if (starts[numLists * numChunks] !== numSparse)
    throw corrupt(place, 'the last list does not end where the postings end');
  const frequencies = viewU32(bytes, layout.frequencies, numLists);
  const checksums = viewU32(bytes, layout.checksums, numLists);
  const denseColumnOf = viewU16(bytes, layout.denseColumnOf, numLists);
  const kthValues = bytes.subarray(layout.kthValues, layout.kthValues + KTH_RANKS.length * numLists);
  const checked = alreadyChecked ?? new Uint8Array(numLists);
  const block = {
    bytes,
    numDocs,
    numChunks,
    numLists,
    offsets: {
      starts: layout.starts,
      denseSlots: layout.denseColumnOf,
      localIds: layout.localIds,
      values: layout.values,
      columns: layout.columns,
    },
    columnStride: layout.columnStride,
  };
  return {
    block,
    numLists,
    numDocs,
    numChunks,
    numPostings: frequencies.reduce((sum, df) => sum + df, 0),
    starts,
    denseColumnOf,
    localIds: viewU16(bytes, layout.localIds, numSparse),
    values: bytes.subarray(layout.values, layout.values + numSparse),
    columns: bytes.subarray(layout.columns),
    columnStride: layout.columnStride,
    kthValue: (listId, k) => {
      const rank = KTH_RANKS.findIndex((stored) => stored >= k);
      return rank < 0 ? 0 : kthValues[listId * KTH_RANKS.length + rank]!;
    },
    checked,
    documentFrequency: (listId) => frequencies[listId]!,
    verify(listId) {
      if (checked[listId]) return;
      const { ids, values } = listBytes(block, starts, denseColumnOf, listId);
      const own = ids ? (checksum(ids) ^ checksum(values)) >>> 0 : checksum(values);
      if (own !== checksums[listId])
        throw corrupt(`${place}, list ${listId}`, 'checksum mismatch in the postings');
      checked[listId] = 1;
    },
  };
}

function readCounts(bytes: Uint8Array, place: string): PostingCounts {
  if (bytes.length < HEADER_BYTES) throw corrupt(place, 'posting lists are cut short');
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  const [numLists, numChunks, numDocs, numSparse, numDense] = [0, 1, 2, 3, 4].map((i) =>
    header.getUint32(4 * i, true),
  ) as [number, number, number, number, number];
  return { numLists, numChunks, numDocs, numSparse, numDense };
}

/**
 * Calls `visit` for every posting of a list in ascending docId order.
 *
 * @throws WinnowError WINNOW_INDEX_CORRUPT when the list's checksum is wrong, before any call
 */
export function forEachInList(
  lists: PostingLists,
  listId: number,
  visit: (docId: number, value: number) => void,
): void {
  lists.verify(listId);
  const denseColumn = lists.denseColumnOf[listId]!;
  if (denseColumn !== NOT_DENSE) {
    const start = denseColumn * lists.columnStride;
    for (let docId = 0; docId < lists.numDocs; docId++) {
      const value = lists.columns[start + docId]!;
      if (value > 0) visit(docId, value);
    }
    return;
  }
  for (let chunk = 0; chunk < lists.numChunks; chunk++) {
    const listChunk = listId * lists.numChunks + chunk;
    for (let p = lists.starts[listChunk]!; p < lists.starts[listChunk + 1]!; p++) {
      visit((chunk << CHUNK_BITS) + lists.localIds[p]!, lists.values[p]!);
    }
  }
}

/** Turns lists back into rows by document, with list ids as columns, ascending. @throws WinnowError WINNOW_INDEX_CORRUPT */
export function rowsOfPostingLists(lists: PostingLists): CsrMatrix {
  const rowOffsets = new Uint32Array(lists.numDocs + 1);
  for (let listId = 0; listId < lists.numLists; listId++) {
    forEachInList(lists, listId, (docId) => {
      rowOffsets[docId + 1]!++;
    });
  }
  for (let docId = 0; docId < lists.numDocs; docId++) rowOffsets[docId + 1]! += rowOffsets[docId]!;
  const columnIds = new Uint32Array(rowOffsets[lists.numDocs]!);
  const values = new Uint8Array(rowOffsets[lists.numDocs]!);
  const next = rowOffsets.slice(0, lists.numDocs);
  for (let listId = 0; listId < lists.numLists; listId++) {
    forEachInList(lists, listId, (docId, value) => {
      const at = next[docId]!++;
      columnIds[at] = listId;
      values[at] = value;
    });
  }
  return { rowOffsets, columnIds, values };
}
