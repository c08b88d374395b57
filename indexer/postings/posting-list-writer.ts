import { Inversion, summarizeLists } from '../../kernels/search/inversion.ts';
import { CHUNK_BITS, CHUNK_DOCS, NOT_DENSE } from '../../kernels/search/layout.ts';
import { bytesOf, viewU16, viewU32 } from '../format/bytes.ts';
import { DENSE_FRACTION } from '../format/format.ts';
import type { CsrMatrix } from './csr-matrix.ts';
import { chunksOf, KTH_RANKS, postingListLayout } from './posting-list-layout.ts';

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
      const offsets = { ...layout, denseSlots: layout.denseColumnOf };
      const { columnStride } = layout;
      summarizeLists(
        {
          block: { bytes, numDocs, numChunks, numLists, offsets, columnStride },
          frequencies,
          ranks: Uint32Array.from(KTH_RANKS),
        },
        bytes.subarray(layout.kthValues, layout.directoryBytes),
        viewU32(bytes, layout.checksums, numLists),
      );
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

/**
 * Inverts rows into posting lists.
 *
 * @param listIds `listIds[columnId]` is the list that a column becomes; column ids are list ids when left out
 * @param inversion of these rows, where it was needed before
 */
export function buildPostingLists(
  rows: CsrMatrix,
  numLists: number,
  listIds?: Uint32Array,
  inversion?: Inversion,
): BuiltLists {
  const listIdOf = listIds ?? Uint32Array.from({ length: numLists }, (_, listId) => listId);
  const numColumns = listIdOf.length;
  const numDocs = rows.rowOffsets.length - 1;
  const numChunks = chunksOf(numDocs);
  const counts = new Uint32Array(numLists * numChunks + 1);
  const inverted = inversion ?? new Inversion(rows, numColumns);
  for (const tile of inverted.tiles) {
    const chunk = tile.firstDoc >>> CHUNK_BITS;
    for (let columnId = 0; columnId < numColumns; columnId++) {
      const count = tile.counts[columnId]!;
      if (count > 0) counts[listIdOf[columnId]! * numChunks + chunk]! += count;
    }
  }
  const draft = draftLists(numDocs, numLists, counts);
  const { starts, denseColumnOf } = draft;
  /** By column id, where its next posting goes: an index, or ~denseColumn. */
  const next = new Int32Array(numColumns);
  for (const tile of inverted.tiles) {
    // Tiles of a chunk go on where the one before it ended.
    if (tile.firstDoc % CHUNK_DOCS === 0) {
      const chunk = tile.firstDoc >>> CHUNK_BITS;
      for (let columnId = 0; columnId < numColumns; columnId++) {
        const listId = listIdOf[columnId]!;
        const denseColumn = denseColumnOf[listId]!;
        next[columnId] = denseColumn === NOT_DENSE ? starts[listId * numChunks + chunk]! : ~denseColumn;
      }
    }
    inverted.scatter(tile, next, draft);
  }
  return draft.finish();
}
