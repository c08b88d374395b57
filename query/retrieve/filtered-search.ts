import type { Segment } from '../../indexer/segment/segment.ts';
import { BLOCK_DOCS, CHUNK_BITS, NOT_DENSE } from '../../kernels/search/layout.ts';
import type { Deadline } from '../deadline.ts';
import { accepts, countAccepted } from './accept-bits.ts';
import type { QueryList } from './exact-scan.ts';
import { KeptImpacts } from './kept-lists.ts';
import { KnownFilters } from './known-filters.ts';
import type { SegmentTopDocs } from './top-k.ts';

/** Filters that keep at most this share of a segment, and at most so many documents, have lists of their own. */
const LISTS_SHARE = 1 / 8;
const LISTS_DOCS = 131_072;

interface FilteredQuery {
  readonly lists: readonly QueryList[];
  readonly k: number;
  readonly threshold: number;
  readonly deadline: Deadline;
}

/**
 * Makes sparse searches with filters cost no more than without. From its second search on, a selective filter has posting lists of its
 * own. A wide one gets what an unfiltered search begins with, a lower bound on the k-th best score.
 */
export class FilteredSearch {
  private readonly known = new KnownFilters(KeptImpacts);

  /** Counts a search with a filter. */
  begin(acceptBits: Uint8Array): void {
    this.known.begin(acceptBits);
  }

  /**
   * A lower bound on the k-th best score among the accepted documents; 0 when none is known. One list is read for it at most, and each
   * only once for a filter.
   */
  threshold(segment: Segment, acceptBits: Uint8Array, lists: readonly QueryList[], k: number): number {
    const kthValues = this.known.kthValues(acceptBits);
    const count = countAccepted(acceptBits);
    if (!kthValues || count < k || hasLists(segment, count)) return 0;
    const { impacts } = segment;
    // As many documents of a list hold k accepted ones, were the filter independent of the values.
    const depth = Math.ceil((k * segment.numDocs) / count);
    let threshold = 0;
    let best: (QueryList & { readonly floor: number }) | undefined;
    for (const { list, weight } of lists) {
      const value = kthValues.get(keyOf(list, k));
      if (value !== undefined) threshold = Math.max(threshold, weight * value);
      else {
        const floor = impacts.kthValue(list, depth);
        if (!best || weight * floor > best.weight * best.floor) best = { list, weight, floor };
      }
    }
    if (!best || best.weight * best.floor <= threshold) return threshold;
    const value = kthAccepted(segment, best.list, acceptBits, k, best.floor);
    kthValues.set(keyOf(best.list, k), value);
    return Math.max(threshold, best.weight * value);
  }

  /** Top-k of the accepted documents from lists of their own; undefined where these are not worth having, or not yet. */
  topDocs(
    segment: Segment,
    acceptBits: Uint8Array,
    { lists, k, threshold, deadline }: FilteredQuery,
  ): SegmentTopDocs | undefined {
    if (!hasLists(segment, countAccepted(acceptBits))) return undefined;
    const { impacts: postings } = segment;
    return this.known.search(segment, acceptBits, { postings, lists, deadline }, (kept) =>
      kept.topDocs(postings, lists, k, threshold),
    );
  }
}

const keyOf = (list: number, k: number): string => `${list} ${k}`;

const hasLists = ({ numDocs }: Segment, count: number): boolean =>
  count <= Math.min(numDocs * LISTS_SHARE, LISTS_DOCS);

/** The k-th largest value of a list among the accepted documents, values >= floor counted; 0 when fewer than k reach it. */
function kthAccepted(
  { impacts, blockMaxIndex }: Segment,
  list: number,
  acceptBits: Uint8Array,
  k: number,
  floor: number,
): number {
  const counts = new Uint32Array(256);
  const { columns, columnStride, numDocs, numChunks, starts, localIds, values } = impacts;
  const dense = impacts.denseColumnOf[list]!;
  const count = (docId: number, value: number): void => {
    if (value >= floor && accepts(acceptBits, docId)) counts[value]!++;
  };
  if (dense === NOT_DENSE) {
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const end = starts[list * numChunks + chunk + 1]!;
      for (let p = starts[list * numChunks + chunk]!; p < end; p++)
        if (values[p]! >= floor) count((chunk << CHUNK_BITS) + localIds[p]!, values[p]!);
    }
  } else {
    blockMaxIndex?.verify(list);
    const maxima = blockMaxIndex?.block;
    const ofBlock = maxima && maxima.offsets.blockColumns + dense * maxima.blockStride;
    for (let start = 0; start < numDocs; start += BLOCK_DOCS) {
      if (ofBlock !== undefined && maxima!.bytes[ofBlock + start / BLOCK_DOCS]! < floor) continue;
      const end = Math.min(start + BLOCK_DOCS, numDocs);
      for (let docId = start; docId < end; docId++) count(docId, columns[dense * columnStride + docId]!);
    }
  }
  let found = 0;
  for (let value = 255; value >= Math.max(1, floor); value--) {
    found += counts[value]!;
    if (found >= k) return value;
  }
  return 0;
}
