import type { MaximaBlock } from '../kernels/posting-search.ts';
import { alignUp, bytesOf, checksum, corrupt, viewU16, viewU32 } from './format.ts';
import { NOT_DENSE, type PostingLists } from './posting-lists.ts';

/**
 * The largest impact that each posting list has in every block of documents, at two levels: superblocks of 1,024
 * documents and the blocks of 64 inside them (FORMAT.md, "Block maxima"). sum(query weight * maximum) bounds every
 * score in a block from above, so that pruned search visits only blocks that can hold a hit (block-max pruning: Mallia,
 * Suel, Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", 2024; superblocks: Carlson et al. 2025).
 */
export interface BlockMaxima {
  /** The bytes and where the arrays start in them, for the search kernels. */
  readonly block: MaximaBlock;
  /** Verifies what is kept of a list the first time it is used. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(list: number): void;
  /** 1 for each list whose checksum was found right. */
  readonly checked: Uint8Array;
}

/** A block is 2^6 = 64 documents: one byte each of a dense list is a cache line. */
const BLOCK_BITS = 6;
/** A superblock is 2^10 = 1,024 documents: 16 blocks, so that a 16-bit mask names those in which a list occurs. */
const SUPERBLOCK_BITS = 10;
const BLOCKS = 1 << (SUPERBLOCK_BITS - BLOCK_BITS);
/** A list without summary is so short that its postings are their own summary. */
const NO_SUMMARY = 0xffff;
/** Segments with fewer documents keep no maxima: scanning all of them is faster (bench/engine.ts). */
export const MAXIMA_MIN_DOCS = 65_536;
/** A sparse list is summarised from this many postings on, and this many a chunk. */
const SUMMARY_MIN_POSTINGS = 256;
const SUMMARY_MIN_PER_CHUNK = 32;
const ENTRY_BYTES = 8;
const HEADER_BYTES = 64;

interface Counts {
  readonly numLists: number;
  readonly numChunks: number;
  readonly numDocs: number;
  readonly numDense: number;
  readonly numSummaries: number;
  readonly numEntries: number;
  readonly numMaxima: number;
}

function layoutOf({ numLists, numChunks, numDocs, numDense, numSummaries, numEntries, numMaxima }: Counts) {
  const cells = numSummaries * numChunks;
  const slots = HEADER_BYTES;
  const checksums = alignUp(slots + 2 * numLists);
  const firstEntries = alignUp(checksums + 4 * numLists);
  const directoryBytes = alignUp(firstEntries + 4 * (cells + 1));
  const present = directoryBytes;
  const entries = alignUp(present + 8 * cells);
  const superMaxima = alignUp(entries + ENTRY_BYTES * numEntries);
  const blockMaxima = alignUp(superMaxima + numEntries);
  const superColumns = alignUp(blockMaxima + numMaxima);
  const superStride = alignUp(Math.ceil(numDocs / (1 << SUPERBLOCK_BITS)));
  const blockColumns = superColumns + numDense * superStride;
  const blockStride = alignUp(Math.ceil(numDocs / (1 << BLOCK_BITS)));
  return {
    slots,
    checksums,
    firstEntries,
    directoryBytes,
    present,
    entries,
    superMaxima,
    blockMaxima,
    superColumns,
    superStride,
    blockColumns,
    blockStride,
    totalBytes: blockColumns + numDense * blockStride,
  };
}
type Layout = ReturnType<typeof layoutOf>;

/**
 * Summarises posting lists.
 *
 * @returns the bytes of the part and how many of them, from the start, the segment header's checksum must cover
 */
export function buildBlockMaxima(lists: PostingLists): { bytes: Uint8Array; directoryBytes: number } {
  const { numLists, numChunks, numDocs, starts, denseSlots, localIds, values, columns, columnStride } = lists;
  const slots = new Uint16Array(numLists).fill(NO_SUMMARY);
  const minimum = Math.max(SUMMARY_MIN_POSTINGS, SUMMARY_MIN_PER_CHUNK * numChunks);
  let numSummaries = 0;
  let numDense = 0;
  let numEntries = 0;
  let numMaxima = 0;
  for (let list = 0; list < numLists; list++) {
    if (denseSlots[list] !== NOT_DENSE) {
      numDense++;
      continue;
    }
    if (lists.documentFrequency(list) < minimum || numSummaries === NO_SUMMARY) continue;
    slots[list] = numSummaries++;
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const cell = list * numChunks + chunk;
      let last = -1;
      for (let p = starts[cell]!; p < starts[cell + 1]!; p++) {
        const block = localIds[p]! >>> BLOCK_BITS;
        if (block === last) continue;
        numMaxima++;
        if (last < 0 || block >>> (SUPERBLOCK_BITS - BLOCK_BITS) !== last >>> (SUPERBLOCK_BITS - BLOCK_BITS))
          numEntries++;
        last = block;
      }
    }
  }

  const counts = { numLists, numChunks, numDocs, numDense, numSummaries, numEntries, numMaxima };
  const layout = layoutOf(counts);
  const bytes = new Uint8Array(layout.totalBytes);
  Object.values(counts).forEach((count, i) => {
    viewU32(bytes, 0, 16)[i] = count;
  });
  const cells = numSummaries * numChunks;
  const firstEntries = viewU32(bytes, layout.firstEntries, cells + 1);
  const present = viewU32(bytes, layout.present, 2 * cells);
  const firstMaxima = viewU32(bytes, layout.entries, 2 * numEntries); // at 2 e; the masks and postings lie between
  const postingsAndMasks = viewU16(bytes, layout.entries, 4 * numEntries); // at 4 e + 2 and 4 e + 3
  const superMaxima = bytes.subarray(layout.superMaxima);
  const blockMaxima = bytes.subarray(layout.blockMaxima);
  bytes.set(bytesOf(slots), layout.slots);
  let entry = 0;
  let maximum = 0;
  for (let list = 0; list < numLists; list++) {
    if (slots[list] === NO_SUMMARY) continue;
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const cell = slots[list]! * numChunks + chunk;
      const first = starts[list * numChunks + chunk]!;
      const end = starts[list * numChunks + chunk + 1]!;
      firstEntries[cell] = entry;
      for (let p = first; p < end; entry++) {
        const superblock = localIds[p]! >>> SUPERBLOCK_BITS;
        present[2 * cell + (superblock >>> 5)]! |= 1 << (superblock & 31);
        firstMaxima[2 * entry] = maximum;
        postingsAndMasks[4 * entry + 2] = p - first;
        let mask = 0;
        let largest = 0;
        while (p < end && localIds[p]! >>> SUPERBLOCK_BITS === superblock) {
          const block = localIds[p]! >>> BLOCK_BITS;
          let inBlock = 0;
          for (; p < end && localIds[p]! >>> BLOCK_BITS === block; p++)
            inBlock = Math.max(inBlock, values[p]!);
          mask |= 1 << (block & (BLOCKS - 1));
          blockMaxima[maximum++] = inBlock;
          largest = Math.max(largest, inBlock);
        }
        postingsAndMasks[4 * entry + 3] = mask;
        superMaxima[entry] = largest;
      }
    }
  }
  firstEntries[cells] = numEntries;
  for (let slot = 0; slot < numDense; slot++) {
    const column = columns.subarray(slot * columnStride, slot * columnStride + numDocs);
    const supers = bytes.subarray(layout.superColumns + slot * layout.superStride);
    const blocks = bytes.subarray(layout.blockColumns + slot * layout.blockStride);
    for (let docId = 0; docId < numDocs; docId++) {
      const value = column[docId]!;
      if (value > blocks[docId >>> BLOCK_BITS]!) blocks[docId >>> BLOCK_BITS] = value;
      if (value > supers[docId >>> SUPERBLOCK_BITS]!) supers[docId >>> SUPERBLOCK_BITS] = value;
    }
  }
  const checksums = viewU32(bytes, layout.checksums, numLists);
  for (let list = 0; list < numLists; list++)
    checksums[list] = listChecksum(bytes, layout, counts, slots, denseSlots, firstEntries, list);
  return { bytes, directoryBytes: layout.directoryBytes };
}

/** CRC-32 of everything that is kept of one list, the parts joined by XOR; 0 for a list without summary. */
function listChecksum(
  bytes: Uint8Array,
  layout: Layout,
  { numChunks, numEntries, numMaxima }: Counts,
  slots: Uint16Array,
  denseSlots: Uint16Array,
  firstEntries: Uint32Array,
  list: number,
): number {
  const crc = (at: number, length: number) => checksum(bytes.subarray(at, at + length));
  const column = denseSlots[list]!;
  if (column !== NOT_DENSE)
    return (
      (crc(layout.superColumns + column * layout.superStride, layout.superStride) ^
        crc(layout.blockColumns + column * layout.blockStride, layout.blockStride)) >>>
      0
    );
  const slot = slots[list]!;
  if (slot === NO_SUMMARY) return 0;
  const first = firstEntries[slot * numChunks]!;
  const end = firstEntries[(slot + 1) * numChunks]!;
  const maximaOf = (entry: number) =>
    entry < numEntries
      ? new DataView(bytes.buffer, bytes.byteOffset + layout.entries + ENTRY_BYTES * entry).getUint32(0, true)
      : numMaxima;
  const from = Math.min(maximaOf(first), numMaxima);
  const to = Math.min(Math.max(from, maximaOf(end)), numMaxima);
  return (
    (crc(layout.present + 8 * slot * numChunks, 8 * numChunks) ^
      crc(layout.entries + ENTRY_BYTES * first, ENTRY_BYTES * (end - first)) ^
      crc(layout.superMaxima + first, end - first) ^
      crc(layout.blockMaxima + from, to - from)) >>>
    0
  );
}

/**
 * Opens block maxima whose directory has already been checked against the segment header; the rest is checked list by
 * list, when first used.
 *
 * @param lists the posting lists that they summarise
 * @param alreadyChecked {@link BlockMaxima.checked} of an earlier opening of the same bytes
 * @throws WinnowError WINNOW_INDEX_CORRUPT when lengths contradict each other
 */
export function openBlockMaxima(
  bytes: Uint8Array,
  lists: PostingLists,
  place: string,
  alreadyChecked?: Uint8Array,
): BlockMaxima {
  if (bytes.length < HEADER_BYTES) throw corrupt(place, 'block maxima are cut short');
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  const [numLists, numChunks, numDocs, numDense, numSummaries, numEntries, numMaxima] = [
    0, 1, 2, 3, 4, 5, 6,
  ].map((i) => header.getUint32(4 * i, true)) as [number, number, number, number, number, number, number];
  const counts = { numLists, numChunks, numDocs, numDense, numSummaries, numEntries, numMaxima };
  const layout = layoutOf(counts);
  if (layout.totalBytes !== bytes.length)
    throw corrupt(place, `block maxima have ${bytes.length} bytes, their header needs ${layout.totalBytes}`);
  if (numLists !== lists.numLists || numDocs !== lists.numDocs || numChunks !== lists.numChunks)
    throw corrupt(place, 'block maxima belong to other posting lists');
  const slots = viewU16(bytes, layout.slots, numLists);
  const checksums = viewU32(bytes, layout.checksums, numLists);
  const firstEntries = viewU32(bytes, layout.firstEntries, numSummaries * numChunks + 1);
  if (firstEntries[numSummaries * numChunks] !== numEntries)
    throw corrupt(place, 'the last summary does not end where the entries end');
  const checked = alreadyChecked ?? new Uint8Array(numLists);
  // A copy: this view may outlive the generation that the posting lists are mapped for.
  const denseSlots = lists.denseSlots.slice();
  return {
    block: {
      bytes,
      numSummaries,
      offsets: {
        slots: layout.slots,
        firstEntries: layout.firstEntries,
        present: layout.present,
        entries: layout.entries,
        superMaxima: layout.superMaxima,
        blockMaxima: layout.blockMaxima,
        superColumns: layout.superColumns,
        blockColumns: layout.blockColumns,
      },
      superStride: layout.superStride,
      blockStride: layout.blockStride,
    },
    checked,
    verify(list) {
      if (checked[list]) return;
      if (listChecksum(bytes, layout, counts, slots, denseSlots, firstEntries, list) !== checksums[list])
        throw corrupt(`${place}, list ${list}`, 'checksum mismatch in the block maxima');
      checked[list] = 1;
    },
  };
}
