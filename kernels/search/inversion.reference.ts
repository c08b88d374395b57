import { crc32 } from 'node:zlib';
import type { PostingDestination, PostingRows, SummarizedLists } from './inversion-types.ts';
import { listBytes } from './posting-block.ts';

const MAX_IMPACT = 255;

/** The specification of `quantizeWeights`. */
export function quantizeWeightsReference(
  weights: Float32Array,
  count: number,
  perImpact: number,
  impacts: Uint8Array,
  at: number,
): number {
  let zeros = 0;
  for (let i = 0; i < count; i++) {
    const scaled = weights[i]! * perImpact + 0.5;
    if (scaled >= 1) impacts[at + i] = scaled > MAX_IMPACT ? MAX_IMPACT : scaled;
    else {
      impacts[at + i] = 0; // also when the weight is no number
      zeros++;
    }
  }
  return zeros;
}

/** Adds the entries [from, to) to the counts by column id. */
export function countInto(
  columnIds: PostingRows['columnIds'],
  from: number,
  to: number,
  counts: Uint32Array,
): void {
  for (let p = from; p < to; p++) counts[columnIds[p]!]!++;
}

/** The specification of `scatterRows`. @param next as of `Inversion.scatter` */
export function scatterTile(
  { rowOffsets, columnIds, values }: PostingRows,
  firstDoc: number,
  endDoc: number,
  next: Int32Array,
  { localIds, values: listValues, columns, columnStride }: PostingDestination,
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

/** The specification of `summarizeLists`. */
export function summarizeListsReference(
  { block, frequencies, ranks }: SummarizedLists,
  kthValues: Uint8Array,
  checksums: Uint32Array,
): void {
  const { bytes, offsets, numLists, numChunks } = block;
  const starts = new Uint32Array(bytes.buffer, bytes.byteOffset + offsets.starts, numLists * numChunks + 1);
  const denseSlots = new Uint16Array(bytes.buffer, bytes.byteOffset + offsets.denseSlots, numLists);
  for (let list = 0; list < numLists; list++) {
    const { ids, values } = listBytes(block, starts, denseSlots, list);
    checksums[list] = crc32(values);
    if (ids) checksums[list]! ^= crc32(ids);
    if (frequencies[list]! >= ranks[0]!) kthLargest(values, ranks, kthValues, list * ranks.length);
  }
}

const histogram = new Uint32Array(256);

/** `out[at + i]` = the ranks[i]-th largest of the values, unchanged when there are fewer. */
function kthLargest(values: Uint8Array, ranks: Uint32Array, out: Uint8Array, at: number): void {
  histogram.fill(0);
  for (let p = 0; p < values.length; p++) histogram[values[p]!]!++;
  let reached = 0;
  let rank = 0;
  for (let value = 255; value > 0 && rank < ranks.length; value--) {
    reached += histogram[value]!;
    while (rank < ranks.length && reached >= ranks[rank]!) out[at + rank++] = value;
  }
}
