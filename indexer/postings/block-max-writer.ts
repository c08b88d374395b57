import {
  BLOCK_BITS,
  BLOCK_DOCS,
  NO_SUMMARY,
  NOT_DENSE,
  SUPERBLOCK_BITS,
  SUPERBLOCK_DOCS,
} from '../../kernels/search/layout.ts';
import { bytesOf, viewU16, viewU32 } from '../format/bytes.ts';
import {
  type BlockMaxCounts,
  type BlockMaxLayout,
  blockMaxChecksum,
  blockMaxLayout,
  COUNT_NAMES,
} from './block-max-layout.ts';
import type { PostingLists } from './posting-list-reader.ts';
import type { BuiltLists } from './posting-list-writer.ts';

/** Segments with fewer documents keep no block maxima: scanning all of them is faster (bench/engine.ts). */
export const BLOCK_MAX_MIN_DOCS = 65_536;

/** A sparse list has a summary from this many postings on, and this many per chunk. */
const SUMMARY_MIN_POSTINGS = 256;
const SUMMARY_MIN_PER_CHUNK = 32;

const BLOCKS_PER_SUPERBLOCK = SUPERBLOCK_DOCS / BLOCK_DOCS;

/** Summarises posting lists (FORMAT.md, "Block maxima"). */
export function buildBlockMaxIndex(lists: PostingLists): BuiltLists {
  const { numLists, denseColumnOf } = lists;
  const { summaryOf, counts } = planSummaries(lists);
  const layout = blockMaxLayout(counts);
  const bytes = new Uint8Array(layout.totalBytes);
  COUNT_NAMES.forEach((name, i) => {
    viewU32(bytes, 0, 16)[i] = counts[name];
  });
  bytes.set(bytesOf(summaryOf), layout.summaryOf);
  const firstEntries = viewU32(bytes, layout.firstEntries, counts.numSummaries * counts.numChunks + 1);
  summariseSparseLists(bytes, layout, counts, lists, summaryOf, firstEntries);
  for (let denseColumn = 0; denseColumn < counts.numDense; denseColumn++)
    summariseDenseColumn(bytes, layout, lists, denseColumn);
  const checksums = viewU32(bytes, layout.checksums, numLists);
  const places = { bytes, layout, counts, summaryOf, denseColumnOf, firstEntries };
  for (let listId = 0; listId < numLists; listId++) checksums[listId] = blockMaxChecksum(places, listId);
  return { bytes, directoryBytes: layout.directoryBytes };
}

/** Decides which lists get a summary, and counts what the summaries will hold. */
function planSummaries(lists: PostingLists): { summaryOf: Uint16Array; counts: BlockMaxCounts } {
  const { numLists, numChunks, numDocs, starts, denseColumnOf, localIds } = lists;
  const summaryOf = new Uint16Array(numLists).fill(NO_SUMMARY);
  const minimum = Math.max(SUMMARY_MIN_POSTINGS, SUMMARY_MIN_PER_CHUNK * numChunks);
  let numSummaries = 0;
  let numDense = 0;
  let numEntries = 0;
  let numMaxima = 0;
  for (let listId = 0; listId < numLists; listId++) {
    if (denseColumnOf[listId] !== NOT_DENSE) {
      numDense++;
      continue;
    }
    if (lists.documentFrequency(listId) < minimum || numSummaries === NO_SUMMARY) continue;
    summaryOf[listId] = numSummaries++;
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const listChunk = listId * numChunks + chunk;
      let lastBlock = -1;
      let lastSuperblock = -1;
      for (let p = starts[listChunk]!; p < starts[listChunk + 1]!; p++) {
        const block = localIds[p]! >>> BLOCK_BITS;
        if (block === lastBlock) continue;
        numMaxima++;
        lastBlock = block;
        const superblock = block >>> (SUPERBLOCK_BITS - BLOCK_BITS);
        if (superblock !== lastSuperblock) numEntries++;
        lastSuperblock = superblock;
      }
    }
  }
  return {
    summaryOf,
    counts: { numLists, numChunks, numDocs, numDense, numSummaries, numEntries, numMaxima },
  };
}

/** Fills in entries and maxima of the lists that have a summary. */
function summariseSparseLists(
  bytes: Uint8Array,
  layout: BlockMaxLayout,
  { numChunks, numSummaries, numEntries }: BlockMaxCounts,
  { numLists, starts, localIds, values }: PostingLists,
  summaryOf: Uint16Array,
  firstEntries: Uint32Array,
): void {
  const present = viewU32(bytes, layout.present, 2 * numSummaries * numChunks);
  const firstMaxima = viewU32(bytes, layout.entries, 2 * numEntries); // at 2 e; the masks and postings lie between
  const postingsAndMasks = viewU16(bytes, layout.entries, 4 * numEntries); // at 4 e + 2 and 4 e + 3
  const superblockMaxImpacts = bytes.subarray(layout.superblockMaxImpacts);
  const blockMaxImpacts = bytes.subarray(layout.blockMaxImpacts);
  let entry = 0;
  let maximum = 0;
  for (let listId = 0; listId < numLists; listId++) {
    if (summaryOf[listId] === NO_SUMMARY) continue;
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const summaryChunk = summaryOf[listId]! * numChunks + chunk;
      const first = starts[listId * numChunks + chunk]!;
      const end = starts[listId * numChunks + chunk + 1]!;
      firstEntries[summaryChunk] = entry;
      for (let p = first; p < end; entry++) {
        const superblock = localIds[p]! >>> SUPERBLOCK_BITS;
        present[2 * summaryChunk + (superblock >>> 5)]! |= 1 << (superblock & 31);
        firstMaxima[2 * entry] = maximum;
        postingsAndMasks[4 * entry + 2] = p - first;
        let mask = 0;
        let largest = 0;
        while (p < end && localIds[p]! >>> SUPERBLOCK_BITS === superblock) {
          const block = localIds[p]! >>> BLOCK_BITS;
          let inBlock = 0;
          for (; p < end && localIds[p]! >>> BLOCK_BITS === block; p++)
            inBlock = Math.max(inBlock, values[p]!);
          mask |= 1 << (block & (BLOCKS_PER_SUPERBLOCK - 1));
          blockMaxImpacts[maximum++] = inBlock;
          largest = Math.max(largest, inBlock);
        }
        postingsAndMasks[4 * entry + 3] = mask;
        superblockMaxImpacts[entry] = largest;
      }
    }
  }
  firstEntries[numSummaries * numChunks] = numEntries;
}

/** Fills in the maxima of one dense list: one for every block and superblock. */
function summariseDenseColumn(
  bytes: Uint8Array,
  layout: BlockMaxLayout,
  { numDocs, columns, columnStride }: PostingLists,
  denseColumn: number,
): void {
  const impacts = columns.subarray(denseColumn * columnStride, denseColumn * columnStride + numDocs);
  const superblocks = bytes.subarray(layout.superblockColumns + denseColumn * layout.superblockStride);
  const blocks = bytes.subarray(layout.blockColumns + denseColumn * layout.blockStride);
  for (let docId = 0; docId < numDocs; docId++) {
    const impact = impacts[docId]!;
    if (impact > blocks[docId >>> BLOCK_BITS]!) blocks[docId >>> BLOCK_BITS] = impact;
    if (impact > superblocks[docId >>> SUPERBLOCK_BITS]!) superblocks[docId >>> SUPERBLOCK_BITS] = impact;
  }
}
