import { CHUNK_DOCS, NOT_DENSE } from '../../kernels/search/layout.ts';
import { bytesOf, viewU16, viewU32 } from '../format/bytes.ts';
import { DENSE_FRACTION } from '../format/format.ts';
import type { CsrMatrix } from './csr-matrix.ts';
import {
  chunksOf,
  KTH_RANKS,
  type ListPlaces,
  listChecksum,
  postingListLayout,
} from './posting-list-layout.ts';

/** Bytes of a posting part as written. */
export interface BuiltLists {
  readonly bytes: Uint8Array;
  /** How many of the bytes, from the start, the segment header's checksum must cover. */
  readonly directoryBytes: number;
}

/** A posting part under construction: sizes are known, the postings are still to be filled in. */
export interface ListsDraft {
  readonly numChunks: number;
  /** `starts[listId * numChunks + chunk]`, as in `PostingLists`. */
  readonly starts: Uint32Array;
  readonly denseColumnOf: Uint16Array;
  readonly localIds: Uint16Array;
  readonly values: Uint8Array;
  readonly columns: Uint8Array;
  readonly columnStride: number;
  /** Stores k-th values and checksums once all postings are filled in. */
  finish(): BuiltLists;
}

/**
 * Lays out posting lists of known lengths.
 *
 * @param counts `counts[listId * chunks + chunk]` postings; it becomes `starts`, so it has one entry more
 */
export function draftLists(numDocs: number, numLists: number, counts: Uint32Array): ListsDraft {
  const numChunks = chunksOf(numDocs);
  const { frequencies, denseColumnOf, numDense, numSparse } = assignPlaces(numDocs, numLists, counts);
  const starts = counts;
  const layout = postingListLayout({ numLists, numChunks, numDocs, numSparse, numDense });
  const bytes = new Uint8Array(layout.totalBytes);
  const header = new DataView(bytes.buffer);
  [numLists, numChunks, numDocs, numSparse, numDense].forEach((n, i) => {
    header.setUint32(4 * i, n, true);
  });
  bytes.set(bytesOf(starts), layout.starts);
  bytes.set(bytesOf(frequencies), layout.frequencies);
  bytes.set(bytesOf(denseColumnOf), layout.denseColumnOf);
  return {
    numChunks,
    starts,
    denseColumnOf,
    localIds: viewU16(bytes, layout.localIds, numSparse),
    values: bytes.subarray(layout.values, layout.values + numSparse),
    columns: bytes.subarray(layout.columns),
    columnStride: layout.columnStride,
    finish() {
      writeSummaries({ bytes, layout, numChunks, numDocs, starts, denseColumnOf }, frequencies);
      return { bytes, directoryBytes: layout.directoryBytes };
    },
  };
}

/** Decides which lists are dense, and turns counts of postings into first postings, in place. */
function assignPlaces(numDocs: number, numLists: number, counts: Uint32Array) {
  const numChunks = chunksOf(numDocs);
  const frequencies = new Uint32Array(numLists);
  const denseColumnOf = new Uint16Array(numLists).fill(NOT_DENSE);
  const denseFrom = numDocs * DENSE_FRACTION;
  let numDense = 0;
  let numSparse = 0;
  for (let listId = 0, listChunk = 0; listId < numLists; listId++) {
    let frequency = 0;
    for (let chunk = 0; chunk < numChunks; chunk++) frequency += counts[listChunk + chunk]!;
    frequencies[listId] = frequency;
    const isDense = frequency >= denseFrom && numDense < NOT_DENSE;
    if (isDense) denseColumnOf[listId] = numDense++;
    for (const end = listChunk + numChunks; listChunk < end; listChunk++) {
      const count = isDense ? 0 : counts[listChunk]!;
      counts[listChunk] = numSparse;
      numSparse += count;
    }
  }
  counts[numLists * numChunks] = numSparse;
  return { frequencies, denseColumnOf, numDense, numSparse };
}

/** Writes k-th values and checksums of all lists. */
function writeSummaries(places: ListPlaces, frequencies: Uint32Array): void {
  const { bytes, layout, numChunks, numDocs, starts, denseColumnOf } = places;
  const numLists = frequencies.length;
  const kthValues = bytes.subarray(layout.kthValues);
  const checksums = viewU32(bytes, layout.checksums, numLists);
  const values = bytes.subarray(layout.values);
  const columns = bytes.subarray(layout.columns);
  for (let listId = 0; listId < numLists; listId++) {
    if (frequencies[listId]! >= KTH_RANKS[0]) {
      const denseColumn = denseColumnOf[listId]!;
      const own =
        denseColumn === NOT_DENSE
          ? values.subarray(starts[listId * numChunks]!, starts[(listId + 1) * numChunks]!)
          : columns.subarray(denseColumn * layout.columnStride, denseColumn * layout.columnStride + numDocs);
      writeKthValues(kthValues, listId, own);
    }
    checksums[listId] = listChecksum(places, listId);
  }
}

const histogram = new Uint32Array(256);

/** `out[listId * 3 + i]` = the KTH_RANKS[i]-th largest of the values, 0 when there are fewer. */
function writeKthValues(out: Uint8Array, listId: number, values: Uint8Array): void {
  histogram.fill(0);
  for (let p = 0; p < values.length; p++) histogram[values[p]!]!++;
  let reached = 0;
  let rank = 0;
  for (let value = 255; value > 0 && rank < KTH_RANKS.length; value--) {
    reached += histogram[value]!;
    while (rank < KTH_RANKS.length && reached >= KTH_RANKS[rank]!)
      out[listId * KTH_RANKS.length + rank++] = value;
  }
}

/**
 * Inverts rows into posting lists.
 *
 * @param listIds `listIds[columnId]` is the list that a column becomes; column ids are list ids when left out
 */
export function buildPostingLists(rows: CsrMatrix, numLists: number, listIds?: Uint32Array): BuiltLists {
  const { rowOffsets, columnIds } = rows;
  const listIdOf = listIds ?? Uint32Array.from({ length: numLists }, (_, listId) => listId);
  const numDocs = rowOffsets.length - 1;
  const numChunks = chunksOf(numDocs);
  const counts = new Uint32Array(numLists * numChunks + 1);
  // The loops over all postings work by column id, which saves a look-up of the list each time.
  const inChunk = new Uint32Array(listIdOf.length);
  for (let chunk = 0; chunk < numChunks; chunk++) {
    inChunk.fill(0);
    const end = rowOffsets[Math.min(numDocs, (chunk + 1) * CHUNK_DOCS)]!;
    for (let p = rowOffsets[chunk * CHUNK_DOCS]!; p < end; p++) inChunk[columnIds[p]!]!++;
    for (let columnId = 0; columnId < inChunk.length; columnId++) {
      if (inChunk[columnId]! > 0) counts[listIdOf[columnId]! * numChunks + chunk]! += inChunk[columnId]!;
    }
  }

  const draft = draftLists(numDocs, numLists, counts);
  const { starts, denseColumnOf } = draft;
  /** By column id, where its next posting goes: an index, or ~denseColumn. */
  const next = new Int32Array(listIdOf.length);
  for (let chunk = 0; chunk < numChunks; chunk++) {
    for (let columnId = 0; columnId < next.length; columnId++) {
      const listId = listIdOf[columnId]!;
      const denseColumn = denseColumnOf[listId]!;
      next[columnId] = denseColumn === NOT_DENSE ? starts[listId * numChunks + chunk]! : ~denseColumn;
    }
    const firstDoc = chunk * CHUNK_DOCS;
    scatter(rows, firstDoc, Math.min(numDocs, firstDoc + CHUNK_DOCS), next, draft);
  }
  return draft.finish();
}

/** Copies the postings of the documents of one chunk from rows to lists. @param next as in {@link buildPostingLists}; moved on */
function scatter(
  { rowOffsets, columnIds, values }: CsrMatrix,
  firstDoc: number,
  endDoc: number,
  next: Int32Array,
  { localIds, values: listValues, columns, columnStride }: ListsDraft,
): void {
  for (let docId = firstDoc; docId < endDoc; docId++) {
    const end = rowOffsets[docId + 1]!;
    for (let p = rowOffsets[docId]!; p < end; p++) {
      const columnId = columnIds[p]!;
      const at = next[columnId]!;
      if (at >= 0) {
        localIds[at] = docId; // keeps the low 16 bits
        listValues[at] = values[p]!;
        next[columnId] = at + 1;
      } else {
        columns[~at * columnStride + docId] = values[p]!;
      }
    }
  }
}
