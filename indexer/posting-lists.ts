import type { PostingBlock } from '../kernels/posting-search.ts';
import {
  alignUp,
  bytesOf,
  CHUNK_BITS,
  checksum,
  corrupt,
  DENSE_FRACTION,
  viewU16,
  viewU32,
} from './format.ts';

/**
 * Posting lists of one segment, as one block of bytes (FORMAT.md, "Posting lists").
 *
 * A list holds (docId, value u8 >= 1) in rising docId order, as 16-bit local ids and values in two arrays, cut into
 * chunks of 65,536 documents. A list that is long for its segment is a dense column instead: one byte a document,
 * 0 = absent. The layout is that of windowed term-at-a-time scoring (SINDI, Knowhere; notes in ARCHITECTURE.md).
 */
export interface PostingLists {
  /** The bytes and where the arrays below start in them, for the search kernels. */
  readonly block: Omit<PostingBlock, 'ranks'>;
  readonly numLists: number;
  readonly numDocs: number;
  readonly numChunks: number;
  readonly numPostings: number;
  /** `starts[list * numChunks + chunk]` is the first posting of the list in that chunk; one more entry ends the last. */
  readonly starts: Uint32Array;
  /** Column number of a dense list, or {@link NOT_DENSE}. */
  readonly denseSlots: Uint16Array;
  readonly localIds: Uint16Array;
  readonly values: Uint8Array;
  /** `columns[slot * columnStride + docId]`. */
  readonly columns: Uint8Array;
  readonly columnStride: number;
  /**
   * A value that at least k documents of a list reach, for the smallest k' >= k of {@link KTH_RANKS}; 0 when the list is
   * shorter or k is larger. A search for k hits may start from `weight * kthValue` as its threshold.
   */
  kthValue(list: number, k: number): number;
  /** 1 for each list whose checksum was found right. */
  readonly checked: Uint8Array;
  /** Number of documents in a list. */
  documentFrequency(list: number): number;
  /** Verifies a list's checksum the first time it is used. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(list: number): void;
}

export const NOT_DENSE = 0xffff;

/** Ranks for which each list stores its k-th largest value. */
export const KTH_RANKS = [10, 100, 1000] as const;

/** Documents with their list entries, row by row: row d is `lists[offsets[d] .. offsets[d + 1])` with `values` alike. */
export interface Rows {
  readonly offsets: Uint32Array;
  readonly lists: Uint16Array | Uint32Array;
  readonly values: Uint8Array;
}

const HEADER_BYTES = 64;

interface Layout {
  readonly starts: number;
  readonly frequencies: number;
  readonly checksums: number;
  readonly denseSlots: number;
  readonly kthValues: number;
  readonly directoryBytes: number;
  readonly localIds: number;
  readonly values: number;
  readonly columns: number;
  readonly columnStride: number;
  readonly totalBytes: number;
}

function layoutOf(
  numLists: number,
  numChunks: number,
  numDocs: number,
  numSparse: number,
  numDense: number,
): Layout {
  const starts = HEADER_BYTES;
  const frequencies = alignUp(starts + 4 * (numLists * numChunks + 1));
  const checksums = alignUp(frequencies + 4 * numLists);
  const denseSlots = alignUp(checksums + 4 * numLists);
  const kthValues = alignUp(denseSlots + 2 * numLists);
  const directoryBytes = alignUp(kthValues + KTH_RANKS.length * numLists);
  const localIds = directoryBytes;
  const values = alignUp(localIds + 2 * numSparse);
  const columns = alignUp(values + numSparse);
  const columnStride = alignUp(numDocs);
  return {
    starts,
    frequencies,
    checksums,
    denseSlots,
    kthValues,
    directoryBytes,
    localIds,
    values,
    columns,
    columnStride,
    totalBytes: columns + numDense * columnStride,
  };
}

/** Bytes of a posting part as written. */
export interface BuiltLists {
  readonly bytes: Uint8Array;
  /** How many of the bytes, from the start, the segment header's checksum must cover. */
  readonly directoryBytes: number;
}

/** A posting part under construction: sizes are known, the postings are still to be filled in. */
export interface ListsDraft {
  readonly bytes: Uint8Array;
  readonly numChunks: number;
  /** `starts[list * numChunks + chunk]`, as in {@link PostingLists}. */
  readonly starts: Uint32Array;
  readonly denseSlots: Uint16Array;
  readonly localIds: Uint16Array;
  readonly values: Uint8Array;
  readonly columns: Uint8Array;
  readonly columnStride: number;
  /** Stores k-th values and checksums once all postings stand in their places. */
  finish(): BuiltLists;
}

export const chunksOf = (numDocs: number): number => Math.max(1, Math.ceil(numDocs / (1 << CHUNK_BITS)));

/**
 * Lays out posting lists of known lengths.
 *
 * @param counts `counts[list * chunks + chunk]` postings; taken over as `starts`, so it has one entry more
 */
export function draftLists(numDocs: number, numLists: number, counts: Uint32Array): ListsDraft {
  const numChunks = chunksOf(numDocs);
  const frequencies = new Uint32Array(numLists);
  const denseSlots = new Uint16Array(numLists).fill(NOT_DENSE);
  const longList = numDocs * DENSE_FRACTION;
  let numDense = 0;
  let numSparse = 0;
  for (let list = 0, cell = 0; list < numLists; list++) {
    let frequency = 0;
    for (let chunk = 0; chunk < numChunks; chunk++) frequency += counts[cell + chunk]!;
    frequencies[list] = frequency;
    const dense = frequency >= longList && numDense < NOT_DENSE;
    if (dense) denseSlots[list] = numDense++;
    for (const end = cell + numChunks; cell < end; cell++) {
      const count = dense ? 0 : counts[cell]!;
      counts[cell] = numSparse;
      numSparse += count;
    }
  }
  counts[numLists * numChunks] = numSparse;
  const starts = counts;

  const layout = layoutOf(numLists, numChunks, numDocs, numSparse, numDense);
  const bytes = new Uint8Array(layout.totalBytes);
  const header = new DataView(bytes.buffer);
  [numLists, numChunks, numDocs, numSparse, numDense].forEach((n, i) => {
    header.setUint32(4 * i, n, true);
  });
  bytes.set(bytesOf(starts), layout.starts);
  bytes.set(bytesOf(frequencies), layout.frequencies);
  bytes.set(bytesOf(denseSlots), layout.denseSlots);
  const values = bytes.subarray(layout.values, layout.values + numSparse);
  const columns = bytes.subarray(layout.columns);
  return {
    bytes,
    numChunks,
    starts,
    denseSlots,
    localIds: viewU16(bytes, layout.localIds, numSparse),
    values,
    columns,
    columnStride: layout.columnStride,
    finish() {
      const kthValues = bytes.subarray(layout.kthValues);
      const checksums = viewU32(bytes, layout.checksums, numLists);
      for (let list = 0; list < numLists; list++) {
        if (frequencies[list]! >= KTH_RANKS[0]) {
          const slot = denseSlots[list]!;
          const own =
            slot === NOT_DENSE
              ? values.subarray(starts[list * numChunks]!, starts[(list + 1) * numChunks]!)
              : columns.subarray(slot * layout.columnStride, slot * layout.columnStride + numDocs);
          writeKthValues(kthValues, list, own);
        }
        checksums[list] = listChecksum(bytes, layout, starts, denseSlots, numChunks, numDocs, list);
      }
      return { bytes, directoryBytes: layout.directoryBytes };
    },
  };
}

/**
 * Inverts rows into posting lists.
 *
 * @param numbering `numbering[x]` is the list that row entry x belongs to; row entries are list numbers when left out
 */
export function buildPostingLists(rows: Rows, numLists: number, numbering?: Uint32Array): BuiltLists {
  const { offsets, lists: entries } = rows;
  const listOf = numbering ?? Uint32Array.from({ length: numLists }, (_, list) => list);
  const numDocs = offsets.length - 1;
  const numChunks = chunksOf(numDocs);
  const chunkDocs = 1 << CHUNK_BITS;
  const counts = new Uint32Array(numLists * numChunks + 1);
  // The loops over all postings work by row entry, which saves a look-up of the list each time.
  const inChunk = new Uint32Array(listOf.length);
  for (let chunk = 0; chunk < numChunks; chunk++) {
    inChunk.fill(0);
    const end = offsets[Math.min(numDocs, (chunk + 1) * chunkDocs)]!;
    for (let p = offsets[chunk * chunkDocs]!; p < end; p++) inChunk[entries[p]!]!++;
    for (let entry = 0; entry < inChunk.length; entry++) {
      if (inChunk[entry]! > 0) counts[listOf[entry]! * numChunks + chunk]! += inChunk[entry]!;
    }
  }

  const draft = draftLists(numDocs, numLists, counts);
  const { starts, denseSlots } = draft;
  /** By row entry, where its next posting goes: an index, or ~slot of a dense column. */
  const next = new Int32Array(listOf.length);
  for (let chunk = 0; chunk < numChunks; chunk++) {
    for (let entry = 0; entry < next.length; entry++) {
      const list = listOf[entry]!;
      const slot = denseSlots[list]!;
      next[entry] = slot === NOT_DENSE ? starts[list * numChunks + chunk]! : ~slot;
    }
    const firstDoc = chunk * chunkDocs;
    scatter(rows, firstDoc, Math.min(numDocs, firstDoc + chunkDocs), next, draft);
  }
  return draft.finish();
}

/** Puts the postings of one chunk in their places. */
function scatter(
  { offsets, lists: entries, values }: Rows,
  firstDoc: number,
  endDoc: number,
  next: Int32Array,
  { localIds, values: listValues, columns, columnStride }: ListsDraft,
): void {
  for (let docId = firstDoc; docId < endDoc; docId++) {
    const end = offsets[docId + 1]!;
    for (let p = offsets[docId]!; p < end; p++) {
      const entry = entries[p]!;
      const at = next[entry]!;
      if (at >= 0) {
        localIds[at] = docId;
        listValues[at] = values[p]!;
        next[entry] = at + 1;
      } else {
        columns[~at * columnStride + docId] = values[p]!;
      }
    }
  }
}

const histogram = new Uint32Array(256);

/** `out[list * 3 + i]` = the KTH_RANKS[i]-th largest of the values, 0 when there are fewer. */
function writeKthValues(out: Uint8Array, list: number, values: Uint8Array): void {
  histogram.fill(0);
  for (let p = 0; p < values.length; p++) histogram[values[p]!]!++;
  let reached = 0;
  let rank = 0;
  for (let value = 255; value > 0 && rank < KTH_RANKS.length; value--) {
    reached += histogram[value]!;
    while (rank < KTH_RANKS.length && reached >= KTH_RANKS[rank]!)
      out[list * KTH_RANKS.length + rank++] = value;
  }
}

function listChecksum(
  bytes: Uint8Array,
  layout: Layout,
  starts: Uint32Array,
  denseSlots: Uint16Array,
  numChunks: number,
  numDocs: number,
  list: number,
): number {
  const slot = denseSlots[list]!;
  if (slot !== NOT_DENSE) {
    const column = layout.columns + slot * layout.columnStride;
    return checksum(bytes.subarray(column, column + numDocs));
  }
  const from = starts[list * numChunks]!;
  const to = starts[(list + 1) * numChunks]!;
  const ids = checksum(bytes.subarray(layout.localIds + 2 * from, layout.localIds + 2 * to));
  return (ids ^ checksum(bytes.subarray(layout.values + from, layout.values + to))) >>> 0;
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
  if (bytes.length < HEADER_BYTES) throw corrupt(place, 'posting lists are cut short');
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  const [numLists, numChunks, numDocs, numSparse, numDense] = [0, 1, 2, 3, 4].map((i) =>
    header.getUint32(4 * i, true),
  ) as [number, number, number, number, number];
  const layout = layoutOf(numLists, numChunks, numDocs, numSparse, numDense);
  if (layout.totalBytes !== bytes.length) {
    throw corrupt(place, `posting lists have ${bytes.length} bytes, their header needs ${layout.totalBytes}`);
  }
  const starts = viewU32(bytes, layout.starts, numLists * numChunks + 1);
  if (starts[numLists * numChunks] !== numSparse)
    throw corrupt(place, 'the last list does not end where the postings end');
  const frequencies = viewU32(bytes, layout.frequencies, numLists);
  const checksums = viewU32(bytes, layout.checksums, numLists);
  const denseSlots = viewU16(bytes, layout.denseSlots, numLists);
  const kthValues = bytes.subarray(layout.kthValues, layout.kthValues + KTH_RANKS.length * numLists);
  const checked = alreadyChecked ?? new Uint8Array(numLists);
  return {
    block: {
      bytes,
      numDocs,
      numChunks,
      numLists,
      offsets: {
        starts: layout.starts,
        denseSlots: layout.denseSlots,
        localIds: layout.localIds,
        values: layout.values,
        columns: layout.columns,
      },
      columnStride: layout.columnStride,
    },
    numLists,
    numDocs,
    numChunks,
    numPostings: frequencies.reduce((sum, df) => sum + df, 0),
    starts,
    denseSlots,
    localIds: viewU16(bytes, layout.localIds, numSparse),
    values: bytes.subarray(layout.values, layout.values + numSparse),
    columns: bytes.subarray(layout.columns),
    columnStride: layout.columnStride,
    kthValue: (list, k) => {
      const rank = KTH_RANKS.findIndex((stored) => stored >= k);
      return rank < 0 ? 0 : kthValues[list * KTH_RANKS.length + rank]!;
    },
    checked,
    documentFrequency: (list) => frequencies[list]!,
    verify(list) {
      if (checked[list]) return;
      if (listChecksum(bytes, layout, starts, denseSlots, numChunks, numDocs, list) !== checksums[list]) {
        throw corrupt(`${place}, list ${list}`, 'checksum mismatch in the postings');
      }
      checked[list] = 1;
    },
  };
}

/** Calls `visit` for every posting of a list in rising docId order, after {@link PostingLists.verify}. */
export function forEachInList(
  lists: PostingLists,
  list: number,
  visit: (docId: number, value: number) => void,
): void {
  lists.verify(list);
  const slot = lists.denseSlots[list]!;
  if (slot !== NOT_DENSE) {
    const base = slot * lists.columnStride;
    for (let docId = 0; docId < lists.numDocs; docId++) {
      const value = lists.columns[base + docId]!;
      if (value > 0) visit(docId, value);
    }
    return;
  }
  for (let chunk = 0; chunk < lists.numChunks; chunk++) {
    const cell = list * lists.numChunks + chunk;
    for (let p = lists.starts[cell]!; p < lists.starts[cell + 1]!; p++) {
      visit((chunk << CHUNK_BITS) + lists.localIds[p]!, lists.values[p]!);
    }
  }
}

/** Turns lists back into rows; rows come out with rising list numbers. */
export function rowsOfPostingLists(lists: PostingLists): Rows {
  const offsets = new Uint32Array(lists.numDocs + 1);
  for (let list = 0; list < lists.numLists; list++) {
    forEachInList(lists, list, (docId) => {
      offsets[docId + 1]!++;
    });
  }
  for (let docId = 0; docId < lists.numDocs; docId++) offsets[docId + 1]! += offsets[docId]!;
  const rowLists = new Uint32Array(offsets[lists.numDocs]!);
  const values = new Uint8Array(offsets[lists.numDocs]!);
  const next = offsets.slice(0, lists.numDocs);
  for (let list = 0; list < lists.numLists; list++) {
    forEachInList(lists, list, (docId, value) => {
      const at = next[docId]!++;
      rowLists[at] = list;
      values[at] = value;
    });
  }
  return { offsets, lists: rowLists, values };
}
