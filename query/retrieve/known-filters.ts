import { LRUCache } from 'lru-cache';
import type { PostingLists } from '../../indexer/postings/posting-list-reader.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import type { Deadline } from '../deadline.ts';
import { countAccepted } from './accept-bits.ts';
import type { KeptLists, WantedList } from './kept-lists.ts';
import { countPostings } from './segment-search.ts';
import type { SegmentTopDocs } from './top-k.ts';

/** What is kept for all filters of a searcher and for one, in bytes; the filters used last stay. */
const KEPT_BYTES = 64 << 20;
export const KEPT_BYTES_OF_FILTER = 32 << 20;
/** For so small a share, lists are gathered at the first search already: that takes no longer than a search without them. */
const LISTS_AT_ONCE_SHARE = 1 / 256;
/** Postings that are passed, and documents that are looked up, per microsecond on a slow machine. */
const GATHERED_PER_US = 100;

/** What is known of the bitmap of a filter. */
interface KnownFilter<Lists> {
  searches: number;
  lists?: Lists;
  /** By list and k: the k-th largest value among the accepted documents. */
  readonly kthValues: Map<string, number>;
}

/** The lists of a segment that a query touches. */
interface WantedLists {
  readonly postings: PostingLists;
  readonly lists: readonly WantedList[];
  readonly deadline: Deadline;
}

/** Remembers filters by their bitmaps, and from the second search on posting lists of the documents that they keep ({@link KeptLists}). */
export class KnownFilters<Lists extends KeptLists<unknown>> {
  private readonly known = new LRUCache<Uint8Array, KnownFilter<Lists>>({
    maxSize: KEPT_BYTES,
    sizeCalculation: ({ lists, kthValues }, bitmap) =>
      bitmap.length + 256 + 64 * kthValues.size + (lists?.bytes ?? 0),
  });
  private readonly Lists: new (
    segment: Segment,
    acceptBits: Uint8Array,
    mostBytes: number,
  ) => Lists;

  constructor(Lists: KnownFilters<Lists>['Lists']) {
    this.Lists = Lists;
  }

  /** Counts a search with a filter. */
  begin(acceptBits: Uint8Array): void {
    const known = this.known.get(acceptBits);
    if (known) known.searches++;
    else this.known.set(acceptBits, { searches: 1, kthValues: new Map() });
  }

  /** By list and k, the k-th largest values that are known; undefined for a filter that was forgotten. */
  kthValues(acceptBits: Uint8Array): Map<string, number> | undefined {
    return this.known.get(acceptBits)?.kthValues;
  }

  /**
   * Searches the lists of the accepted documents.
   *
   * @param search gathers what it needs
   * @returns undefined where there are none yet, and no time to make them
   */
  search(
    segment: Segment,
    acceptBits: Uint8Array,
    { postings, lists, deadline }: WantedLists,
    search: (kept: Lists) => SegmentTopDocs | undefined,
  ): SegmentTopDocs | undefined {
    const known = this.known.get(acceptBits);
    const count = countAccepted(acceptBits);
    if (!known || lists.length === 0) return undefined;
    if (known.searches < 2 && count > segment.numDocs * LISTS_AT_ONCE_SHARE) return undefined;
    const missing = known.lists?.missing(lists) ?? lists;
    const work = count * (lists.length + missing.length) + countPostings(postings, missing);
    if (!deadline.affords(work / GATHERED_PER_US)) return undefined;
    known.lists ??= new this.Lists(segment, acceptBits, KEPT_BYTES_OF_FILTER);
    const before = known.lists.bytes;
    const found = search(known.lists);
    if (known.lists.bytes !== before) this.known.set(acceptBits, known);
    return found;
  }
}
