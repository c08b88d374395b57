import { WinnowError } from '../../errors.ts';
import { BLOCK_MAX_LAYOUT, POSTING_LAYOUT } from '../table.ts';
import { BLOCK_DOCS, CHUNK_DOCS, NOT_DENSE, SUPERBLOCK_DOCS } from './layout.ts';

/** Posting lists as the kernels take them: one block of bytes and where its arrays start (indexer/FORMAT.md). */
export interface PostingBlock {
  readonly bytes: Uint8Array;
  readonly numDocs: number;
  readonly numChunks: number;
  readonly numLists: number;
  /** Byte offsets into `bytes`. */
  readonly offsets: {
    readonly starts: number;
    readonly denseSlots: number;
    readonly localIds: number;
    readonly values: number;
    readonly columns: number;
  };
  /** Bytes of a dense column, a multiple of 64. */
  readonly columnStride: number;
  /** Order of documents with equal scores, smaller first; length numDocs. */
  readonly ranks: Uint32Array;
  /** What pruned search needs; without it every search is exhaustive. */
  readonly maxima?: MaximaBlock;
}

/** Block maxima of the same lists (indexer/FORMAT.md), like {@link PostingBlock}. */
export interface MaximaBlock {
  readonly bytes: Uint8Array;
  readonly numSummaries: number;
  /** Byte offsets into `bytes`. */
  readonly offsets: {
    readonly slots: number;
    readonly firstEntries: number;
    readonly present: number;
    readonly entries: number;
    readonly superblockMaxImpacts: number;
    readonly blockMaxImpacts: number;
    readonly superblockColumns: number;
    readonly blockColumns: number;
  };
  /** Bytes per dense list of its maxima by superblock and by block, multiples of 64. */
  readonly superblockStride: number;
  readonly blockStride: number;
}

/** Posting lists without what searches need beside them. */
export type PostingArrays = Omit<PostingBlock, 'ranks' | 'maxima'>;

/** The bytes of a list: its ids and its values, or its column. */
export function listBytes(
  { bytes, offsets, numDocs, numChunks, columnStride }: PostingArrays,
  starts: Uint32Array,
  denseSlots: Uint16Array,
  list: number,
): { readonly ids: Uint8Array | undefined; readonly values: Uint8Array } {
  const slice = (at: number, length: number): Uint8Array => bytes.subarray(at, at + length);
  const slot = denseSlots[list]!;
  if (slot !== NOT_DENSE)
    return { ids: undefined, values: slice(offsets.columns + slot * columnStride, numDocs) };
  const from = starts[list * numChunks]!;
  const count = starts[(list + 1) * numChunks]! - from;
  return { ids: slice(offsets.localIds + 2 * from, 2 * count), values: slice(offsets.values + from, count) };
}

/** The array `layout` of a search. */
export function postingLayout({
  offsets,
  numDocs,
  numChunks,
  numLists,
  columnStride,
}: PostingArrays): Float64Array {
  const fields = { ...offsets, numDocs, numChunks, numLists, columnStride };
  return Float64Array.from(POSTING_LAYOUT, (name) => fields[name]);
}

/** The array `blockMaxLayout` of a search. */
export function blockMaxLayout({ offsets, superblockStride, blockStride }: MaximaBlock): Float64Array {
  const fields = { ...offsets, superblockStride, blockStride };
  return Float64Array.from(BLOCK_MAX_LAYOUT, (name) => fields[name]);
}

/**
 * Every array must lie inside the bytes and every list inside its array, because the kernels do not check again.
 *
 * @throws WinnowError WINNOW_INDEX_CORRUPT
 */
export function checkBlock(block: PostingBlock): void {
  const { bytes, numDocs, numChunks, numLists, offsets, columnStride, ranks, maxima } = block;
  const { starts, denseSlots, localIds, values, columns } = offsets;
  const cells = numLists * numChunks;
  const view = new Uint32Array(bytes.buffer, bytes.byteOffset + starts, cells + 1);
  const postings = view[cells]!;
  const dense = countDense(new Uint16Array(bytes.buffer, bytes.byteOffset + denseSlots, numLists));
  let sound = ranks.length >= numDocs && numChunks === Math.max(1, Math.ceil(numDocs / CHUNK_DOCS));
  sound &&= isAscending(view) && localIds + 2 * postings <= bytes.length && values + postings <= bytes.length;
  sound &&= columnStride >= Math.ceil(numDocs / BLOCK_DOCS) * BLOCK_DOCS;
  sound &&= columns + dense * columnStride <= bytes.length;
  if (!sound || (maxima && !isSound(maxima, block, dense)))
    throw new WinnowError('WINNOW_INDEX_CORRUPT', 'posting lists lie outside their bytes', {
      place: 'posting lists',
    });
}

function isSound(
  maxima: MaximaBlock,
  { numDocs, numChunks, numLists }: PostingBlock,
  dense: number,
): boolean {
  const { bytes, offsets: at, superblockStride, blockStride } = maxima;
  const cells = maxima.numSummaries * numChunks;
  const first = new Uint32Array(bytes.buffer, bytes.byteOffset + at.firstEntries, cells + 1);
  const entries = first[cells]!;
  return (
    isAscending(first) &&
    at.slots + 2 * numLists <= at.firstEntries &&
    at.present + 8 * cells <= at.entries &&
    at.entries + 8 * entries <= at.superblockMaxImpacts &&
    at.superblockMaxImpacts + entries <= at.blockMaxImpacts &&
    superblockStride * SUPERBLOCK_DOCS >= numDocs &&
    blockStride * BLOCK_DOCS >= numDocs &&
    at.superblockColumns + dense * superblockStride <= at.blockColumns &&
    at.blockColumns + dense * blockStride <= bytes.length
  );
}

function countDense(slots: Uint16Array): number {
  let dense = 0;
  for (const slot of slots) if (slot !== NOT_DENSE) dense = Math.max(dense, slot + 1);
  return dense;
}

function isAscending(values: Uint32Array): boolean {
  for (let i = 1; i < values.length; i++) if (values[i - 1]! > values[i]!) return false;
  return true;
}
