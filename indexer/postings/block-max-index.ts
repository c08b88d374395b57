import type { MaximaBlock } from '../../kernels/search/posting-block.ts';
import { viewU16, viewU32 } from '../format/bytes.ts';
import { corrupt } from '../format/errors.ts';
import {
  type BlockMaxCounts,
  blockMaxChecksum,
  blockMaxLayout,
  COUNT_NAMES,
  HEADER_BYTES,
} from './block-max-layout.ts';
import type { PostingLists } from './posting-list-reader.ts';

/**
 * The largest impact that each posting list has in every block of documents, at two levels: superblocks of 1,024
 * documents and the blocks of 64 inside them (FORMAT.md, "Block maxima"). sum(query weight * maximum) is an upper bound of every
 * score in a block, so that pruned search visits only blocks that can hold a hit (block-max pruning: Mallia,
 * Suel, Tonellotto, "Faster Learned Sparse Retrieval with Block-Max Pruning", 2024; superblocks: Carlson et al. 2025).
 */
export interface BlockMaxIndex {
  /** The bytes and where the arrays start in them, for the search kernels. */
  readonly block: MaximaBlock;
  /** Verifies what is kept of a list the first time it is used. @throws WinnowError WINNOW_INDEX_CORRUPT */
  verify(listId: number): void;
  /** By list: 1 when its checksum was verified. */
  readonly checked: Uint8Array;
}

/**
 * Opens block maxima whose directory has already been checked against the segment header; the rest is checked list by
 * list, when first used.
 *
 * @param lists the posting lists that they summarise
 * @param alreadyChecked {@link BlockMaxIndex.checked} of an earlier opening of the same bytes
 * @throws WinnowError WINNOW_INDEX_CORRUPT when lengths contradict each other
 */
export function openBlockMaxIndex(
  bytes: Uint8Array,
  lists: PostingLists,
  place: string,
  alreadyChecked?: Uint8Array,
): BlockMaxIndex {
  const counts = readCounts(bytes, place);
  const { numLists, numChunks, numDocs, numSummaries, numEntries } = counts;
  const layout = blockMaxLayout(counts);
  if (layout.totalBytes !== bytes.length)
    throw corrupt(place, `block maxima have ${bytes.length} bytes, their header needs ${layout.totalBytes}`);
  if (numLists !== lists.numLists || numDocs !== lists.numDocs || numChunks !== lists.numChunks)
    throw corrupt(place, 'block maxima belong to other posting lists');
  const summaryOf = viewU16(bytes, layout.summaryOf, numLists);
  const checksums = viewU32(bytes, layout.checksums, numLists);
  const firstEntries = viewU32(bytes, layout.firstEntries, numSummaries * numChunks + 1);
  if (firstEntries[numSummaries * numChunks] !== numEntries)
    throw corrupt(place, 'the last summary does not end where the entries end');
  const checked = alreadyChecked ?? new Uint8Array(numLists);
  // A copy: block maxima may outlive the view of the index that the posting lists are mapped for.
  const denseColumnOf = lists.denseColumnOf.slice();
  const places = { bytes, layout, counts, summaryOf, denseColumnOf, firstEntries };
  return {
    block: {
      bytes,
      numSummaries,
      offsets: {
        slots: layout.summaryOf,
        firstEntries: layout.firstEntries,
        present: layout.present,
        entries: layout.entries,
        superblockMaxImpacts: layout.superblockMaxImpacts,
        blockMaxImpacts: layout.blockMaxImpacts,
        superblockColumns: layout.superblockColumns,
        blockColumns: layout.blockColumns,
      },
      superblockStride: layout.superblockStride,
      blockStride: layout.blockStride,
    },
    checked,
    verify(listId) {
      if (checked[listId]) return;
      if (blockMaxChecksum(places, listId) !== checksums[listId])
        throw corrupt(`${place}, list ${listId}`, 'checksum mismatch in the block maxima');
      checked[listId] = 1;
    },
  };
}

function readCounts(bytes: Uint8Array, place: string): BlockMaxCounts {
  if (bytes.length < HEADER_BYTES) throw corrupt(place, 'block maxima are cut short');
  const header = new DataView(bytes.buffer, bytes.byteOffset);
  const counts = COUNT_NAMES.map((name, i) => [name, header.getUint32(4 * i, true)] as const);
  return Object.fromEntries(counts) as unknown as BlockMaxCounts;
}
