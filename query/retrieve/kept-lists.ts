import type { PostingLists } from '../../indexer/postings/posting-list-reader.ts';
import type { Segment } from '../../indexer/segment/segment.ts';
import { BLOCK_BITS, BLOCK_DOCS, CHUNK_BITS, CHUNK_DOCS, NOT_DENSE } from '../../kernels/search/layout.ts';
import type { PostingBlock } from '../../kernels/search/posting-block.ts';
import { lexicalSearch, postingSearchInPlace } from '../../kernels/search/posting-search.ts';
import type { LexicalSearch, PostingSearch } from '../../kernels/search/search-types.ts';
import { acceptedDocs, accepts, rankIn } from './accept-bits.ts';
import type { WordList } from './bm25.ts';
import type { QueryList } from './exact-scan.ts';
import { NO_DOCS, type SegmentTopDocs } from './top-k.ts';

/** A list of a segment that a query touches. */
export interface WantedList {
  readonly list: number;
}

/** What a search of the kernels returns: views, valid until the next one. */
interface Hits {
  readonly count: number;
  readonly docIds: Uint32Array;
  readonly scores: ArrayLike<number>;
}

/** Lists, columns and postings that are kept or that there is room for. */
interface Room {
  readonly lists: number;
  readonly columns: number;
  readonly postings: number;
}

const FIRST_ROOM: Room = { lists: 64, columns: 16, postings: 4096 };
const NO_ROOM: Room = { lists: 0, columns: 0, postings: 0 };

const add = (a: Room, b: Room): Room => ({
  lists: a.lists + b.lists,
  columns: a.columns + b.columns,
  postings: a.postings + b.postings,
});

/**
 * The posting lists of the documents that a filter keeps, gathered list by list as queries need them, in the form of a segment of
 * these documents alone: an exhaustive scan of it costs what the filter leaves. It holds copies, so it may outlive the view of the
 * index that they were read from.
 */
export abstract class KeptLists<Search> {
  /** In ascending order: document i here is docIds[i] of the segment. */
  protected readonly docIds: Uint32Array;
  private readonly acceptBits: Uint8Array;
  private readonly ranks: Uint32Array;
  /** Kept documents before each block of 64. */
  private readonly before: Uint32Array;
  private readonly columnStride: number;
  private readonly numChunks: number;
  private readonly mostBytes: number;
  /** By list of the segment: its number here. */
  private readonly slots = new Map<number, number>();
  private used = NO_ROOM;
  private room = NO_ROOM;
  private starts = new Uint32Array(1);
  private columnOf = new Uint16Array(0);
  private localIds = new Uint16Array(0);
  private values = new Uint8Array(0);
  private columns = new Uint8Array(0);
  private search: Search | undefined;

  /** @param mostBytes lists are dropped for others when they would take more than this */
  constructor(
    { numDocs, idRanks }: Pick<Segment, 'numDocs' | 'idRanks'>,
    acceptBits: Uint8Array,
    mostBytes: number,
  ) {
    this.acceptBits = acceptBits;
    this.docIds = acceptedDocs(acceptBits);
    this.ranks = Uint32Array.from(this.docIds, (docId) => idRanks[docId]!);
    this.before = new Uint32Array(Math.ceil(numDocs / BLOCK_DOCS) + 1);
    for (const docId of this.docIds) this.before[(docId >> BLOCK_BITS) + 1]!++;
    for (let block = 1; block < this.before.length; block++) this.before[block]! += this.before[block - 1]!;
    this.columnStride = Math.ceil(this.docIds.length / BLOCK_DOCS) * BLOCK_DOCS;
    this.numChunks = Math.max(1, Math.ceil(this.docIds.length / CHUNK_DOCS));
    this.mostBytes = mostBytes;
  }

  /** The search of lists whose bytes change between calls; undefined where no kernel reads them in place. */
  protected abstract searchOf(block: PostingBlock): Search | undefined;

  get bytes(): number {
    return this.bytesOf(this.room) + 8 * this.docIds.length + 4 * this.before.length;
  }

  /** The lists of a query that are not here yet. */
  missing<List extends WantedList>(lists: readonly List[]): List[] {
    return lists.filter(({ list }) => !this.slots.has(list));
  }

  /**
   * Gathers what is missing and searches it. The lists must be verified.
   *
   * @param search gets the numbers that the lists have here
   * @returns hits with documents of the segment; undefined where no kernel reads the lists in place
   */
  protected searchLists(
    postings: PostingLists,
    lists: readonly WantedList[],
    search: (kernel: Search, listIds: Uint32Array) => Hits,
  ): SegmentTopDocs | undefined {
    if (this.docIds.length === 0) return NO_DOCS;
    const missing = this.missing(lists);
    if (missing.length > 0) {
      this.makeRoom(postings, missing, lists);
      // A list that a query has twice is gathered once.
      for (const { list } of this.missing(lists)) if (!this.slots.has(list)) this.gather(postings, list);
    }
    if (this.search === undefined) return undefined;
    const found = search(
      this.search,
      Uint32Array.from(lists, ({ list }) => this.slots.get(list)!),
    );
    const { count, docIds, scores } = found;
    for (let i = 0; i < count; i++) docIds[i] = this.docIds[docIds[i]!]!;
    return { count, docIds, scores, complete: true };
  }

  private makeRoom(postings: PostingLists, missing: readonly WantedList[], all: readonly WantedList[]): void {
    let wanted = add(this.used, this.roomFor(postings, missing));
    if (this.fits(wanted)) return;
    let next = this.grown(wanted);
    if (this.bytesOf(next) > this.mostBytes && this.slots.size > 0) {
      this.slots.clear();
      this.used = NO_ROOM;
      this.starts.fill(0);
      wanted = this.roomFor(postings, all);
      if (this.fits(wanted)) return;
      next = this.grown(wanted);
    }
    this.allocate(next);
  }

  private roomFor({ denseColumnOf, documentFrequency }: PostingLists, lists: readonly WantedList[]): Room {
    let columns = 0;
    let postings = 0;
    for (const { list } of lists) {
      if (denseColumnOf[list] !== NOT_DENSE) columns++;
      else postings += Math.min(documentFrequency(list), this.docIds.length);
    }
    return { lists: lists.length, columns, postings };
  }

  private fits({ lists, columns, postings }: Room): boolean {
    return lists <= this.room.lists && columns <= this.room.columns && postings <= this.room.postings;
  }

  private grown(wanted: Room): Room {
    const grow = (key: keyof Room) =>
      wanted[key] <= this.room[key]
        ? this.room[key]
        : Math.max(wanted[key], 2 * this.room[key], FIRST_ROOM[key]);
    return { lists: grow('lists'), columns: grow('columns'), postings: grow('postings') };
  }

  /** Offsets of the arrays in one block of bytes. */
  private layout({ lists, columns, postings }: Room) {
    const denseSlots = 4 * (lists * this.numChunks + 1);
    const localIds = denseSlots + 2 * lists;
    const values = localIds + 2 * postings;
    const firstColumn = Math.ceil((values + postings) / BLOCK_DOCS) * BLOCK_DOCS;
    return {
      offsets: { starts: 0, denseSlots, localIds, values, columns: firstColumn },
      totalBytes: firstColumn + columns * this.columnStride,
    };
  }

  private bytesOf(room: Room): number {
    return this.layout(room).totalBytes;
  }

  private allocate(room: Room): void {
    const { offsets, totalBytes } = this.layout(room);
    const bytes = new Uint8Array(totalBytes);
    const { starts, columnOf, localIds, values, columns, used, numChunks, columnStride, ranks } = this;
    this.starts = new Uint32Array(bytes.buffer, 0, room.lists * numChunks + 1).fill(used.postings);
    this.columnOf = new Uint16Array(bytes.buffer, offsets.denseSlots, room.lists).fill(NOT_DENSE);
    this.localIds = new Uint16Array(bytes.buffer, offsets.localIds, room.postings);
    this.values = bytes.subarray(offsets.values, offsets.values + room.postings);
    this.columns = bytes.subarray(offsets.columns);
    this.starts.set(starts.subarray(0, used.lists * numChunks + 1));
    this.columnOf.set(columnOf.subarray(0, used.lists));
    this.localIds.set(localIds.subarray(0, used.postings));
    this.values.set(values.subarray(0, used.postings));
    this.columns.set(columns.subarray(0, used.columns * columnStride));
    this.room = room;
    const numDocs = this.docIds.length;
    this.search = this.searchOf({
      bytes,
      numDocs,
      numChunks,
      numLists: room.lists,
      offsets,
      columnStride,
      ranks,
    });
  }

  private gather(postings: PostingLists, list: number): void {
    const slot = this.used.lists;
    const dense = postings.denseColumnOf[list]!;
    if (dense === NOT_DENSE) this.gatherPostings(postings, list, slot);
    else this.gatherColumn(postings, dense, slot);
    this.slots.set(list, slot);
  }

  private gatherColumn({ columns, columnStride }: PostingLists, dense: number, slot: number): void {
    const { docIds, used, numChunks } = this;
    const to = used.columns * this.columnStride;
    const from = dense * columnStride;
    for (let i = 0; i < docIds.length; i++) this.columns[to + i] = columns[from + docIds[i]!]!;
    this.columnOf[slot] = used.columns;
    this.starts.fill(used.postings, slot * numChunks, (slot + 1) * numChunks + 1);
    this.used = add(used, { lists: 1, columns: 1, postings: 0 });
  }

  private gatherPostings(postings: PostingLists, list: number, slot: number): void {
    const { acceptBits, before, starts, localIds, values, used, numChunks } = this;
    let to = used.postings;
    let keptChunk = 0;
    starts[slot * numChunks] = to;
    for (let chunk = 0; chunk < postings.numChunks; chunk++) {
      const cell = list * postings.numChunks + chunk;
      const end = postings.starts[cell + 1]!;
      for (let p = postings.starts[cell]!; p < end; p++) {
        const docId = (chunk << CHUNK_BITS) + postings.localIds[p]!;
        if (!accepts(acceptBits, docId)) continue;
        const kept = before[docId >> BLOCK_BITS]! + rankIn(acceptBits, docId);
        for (; keptChunk < kept >> CHUNK_BITS; keptChunk++) starts[slot * numChunks + keptChunk + 1] = to;
        localIds[to] = kept & (CHUNK_DOCS - 1);
        values[to++] = postings.values[p]!;
      }
    }
    starts.fill(to, slot * numChunks + keptChunk + 1, (slot + 1) * numChunks + 1);
    this.columnOf[slot] = NOT_DENSE;
    this.used = add(used, { lists: 1, columns: 0, postings: to - used.postings });
  }
}

/** The impacts of the kept documents. */
export class KeptImpacts extends KeptLists<PostingSearch> {
  protected searchOf(block: PostingBlock): PostingSearch | undefined {
    return postingSearchInPlace(block);
  }

  /**
   * Top-k of the kept documents, equal to a scan of all. The lists must be verified.
   *
   * @returns undefined where no kernel reads the lists in place
   */
  topDocs(
    impacts: PostingLists,
    lists: readonly QueryList[],
    k: number,
    threshold: number,
  ): SegmentTopDocs | undefined {
    return this.searchLists(impacts, lists, (search, listIds) => {
      const query = new Uint32Array(2 * lists.length);
      query.set(listIds);
      for (let i = 0; i < lists.length; i++) query[lists.length + i] = lists[i]!.weight;
      return search(query, undefined, k, threshold);
    });
  }
}

/** The words of the kept documents: term frequencies, and what BM25 makes of lengths. */
export class KeptWords extends KeptLists<LexicalSearch> {
  private norms = new Float32Array(0);
  /** What {@link norms} were taken from. */
  private normsOf: Float32Array | undefined;

  protected searchOf(block: PostingBlock): LexicalSearch | undefined {
    return lexicalSearch(block);
  }

  override get bytes(): number {
    return super.bytes + 4 * this.docIds.length;
  }

  /**
   * As {@link KeptImpacts.topDocs}, by BM25.
   *
   * @param norms of all documents of the segment, which change when documents of other segments come or go
   */
  topDocs(
    words: PostingLists,
    lists: readonly WordList[],
    norms: Float32Array,
    k: number,
    threshold: number,
  ): SegmentTopDocs | undefined {
    if (this.normsOf !== norms) {
      this.norms = Float32Array.from(this.docIds, (docId) => norms[docId]!);
      this.normsOf = norms;
    }
    const idf = Float64Array.from(lists, ({ idf }) => idf);
    return this.searchLists(words, lists, (search, listIds) =>
      search(listIds, idf, this.norms, undefined, k, threshold),
    );
  }
}
