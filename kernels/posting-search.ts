import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { WinnowError } from '../errors.ts';
import { packageRoot } from '../package-root.ts';
import type { KernelBackend } from './kernels.ts';
import { describeKernels } from './loader.ts';

/** Documents that the kernels score at a time; WINDOW in native/simd/posting-search.h. */
const WINDOW = 8192;
export const MAX_QUERY_WEIGHT = 32_767;

/** Documents of a superblock; SUPERBLOCK in native/simd/posting-search.h. */
const SUPERBLOCK = 1024;

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
  /** Tie-break of equal scores by document, smaller first; length numDocs. */
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
    readonly superMaxima: number;
    readonly blockMaxima: number;
    readonly superColumns: number;
    readonly blockColumns: number;
  };
  /** Bytes of one dense list's maxima a superblock and a block, multiples of 64. */
  readonly superStride: number;
  readonly blockStride: number;
}

/** How pruned search may cut corners. */
export interface Pruning {
  /**
   * 0 < alpha <= 1. Blocks are passed over whose bound times alpha cannot reach the hits: at 1 none is lost; below, a
   * document that is missed scores at most the worst hit's score / alpha.
   */
  readonly alpha: number;
  /** Microseconds after which the search answers with what it has, best blocks first; default: none. */
  readonly budgetUs?: number;
}

/** Hits of one search, best first: `docIds[i]` with integer `scores[i]` for i < count. Views, valid until the next search. */
export interface PostingHits {
  readonly count: number;
  readonly docIds: Uint32Array;
  readonly scores: Uint32Array;
  /** Blocks of 64 documents that pruned search scored; undefined when all documents were scanned. */
  readonly blocksScored: number | undefined;
  /** False when the time budget ran out before the search was through. */
  readonly complete: boolean;
}

/**
 * Top-k over one block of posting lists: exhaustive, or with block-max pruning where it is asked for and the block has
 * maxima.
 *
 * @param query n >= 1 list numbers, then n integer weights 1..32,767
 * @param accept bit a document (little-endian), undefined = all
 * @param k 1..
 * @param threshold a score that at least k accepted documents reach, 0 when none is known: only saves time
 */
export type PostingSearch = (
  query: Uint32Array,
  accept: Uint8Array | undefined,
  k: number,
  threshold: number,
  pruning?: Pruning,
) => PostingHits;

type ExactArguments = [
  bytes: Uint8Array,
  layout: Float64Array,
  query: Uint32Array,
  accept: Uint8Array | undefined,
  ranks: Uint32Array,
  scratch: Uint32Array,
  hits: Uint32Array,
  k: number,
  threshold: number,
];
type PrunedArguments = [
  ...ExactArguments,
  maxima: Uint8Array,
  maximaLayout: Float64Array,
  alpha: number,
  budgetUs: number,
];
type LexicalArguments = [
  bytes: Uint8Array,
  layout: Float64Array,
  lists: Uint32Array,
  accept: Uint8Array | undefined,
  ranks: Uint32Array,
  scratch: Float64Array,
  hits: Uint32Array,
  k: number,
  threshold: number,
  idf: Float64Array,
  norms: Float64Array,
];
interface NativeSearch {
  readonly searchLexical: (...parameters: LexicalArguments) => number;
  readonly searchExact: (...parameters: ExactArguments) => number;
  readonly searchPruned: (...parameters: PrunedArguments) => number;
}

/** Alpha in 65,536ths, never less than was asked for. */
const fixedPoint = (alpha: number): number => Math.ceil(alpha * 65_536);

/**
 * Makes the search kernel of the backend in use for one block: native works on the bytes where they are, WebAssembly
 * on a copy in a memory of its own.
 *
 * @param backend default: the one that {@link describeKernels} names
 * @returns undefined for the reference backend, and for blocks that WebAssembly has no room for: the TypeScript scan
 *   is their kernel
 * @throws WinnowError WINNOW_INDEX_CORRUPT when the arrays do not fit the bytes
 */
export function postingSearch(
  block: PostingBlock,
  backend: KernelBackend = backendInUse(),
): PostingSearch | undefined {
  checkBlock(block);
  switch (backend) {
    case 'native':
      return nativeSearch(block);
    case 'wasm':
      return wasmSearch(block);
    default:
      return undefined;
  }
}

let inUse: KernelBackend | undefined;

function backendInUse(): KernelBackend {
  inUse ??= describeKernels().backend;
  return inUse;
}

/** Every array must lie inside the bytes and every list inside its array: the kernels do not look again. */
function checkBlock({
  bytes,
  numDocs,
  numChunks,
  numLists,
  offsets,
  columnStride,
  ranks,
  maxima,
}: PostingBlock): void {
  const { starts, denseSlots, localIds, values, columns } = offsets;
  const view = new Uint32Array(bytes.buffer, bytes.byteOffset + starts, numLists * numChunks + 1);
  const postings = view[numLists * numChunks]!;
  const slots = new Uint16Array(bytes.buffer, bytes.byteOffset + denseSlots, numLists);
  let dense = 0;
  let sound = ranks.length >= numDocs && numChunks === Math.max(1, Math.ceil(numDocs / 65_536));
  for (let cell = 0; cell < numLists * numChunks; cell++) if (view[cell]! > view[cell + 1]!) sound = false;
  for (const slot of slots) if (slot !== 0xffff) dense = Math.max(dense, slot + 1);
  sound &&= localIds + 2 * postings <= bytes.length && values + postings <= bytes.length;
  sound &&= columnStride >= Math.ceil(numDocs / 64) * 64 && columns + dense * columnStride <= bytes.length;
  if (maxima) {
    const { offsets: at, superStride, blockStride } = maxima;
    const cells = maxima.numSummaries * numChunks;
    const first = new Uint32Array(maxima.bytes.buffer, maxima.bytes.byteOffset + at.firstEntries, cells + 1);
    for (let cell = 0; cell < cells; cell++) if (first[cell]! > first[cell + 1]!) sound = false;
    sound &&= at.present + 8 * cells <= at.entries && at.entries + 8 * first[cells]! <= at.superMaxima;
    sound &&= at.superMaxima + first[cells]! <= at.blockMaxima && at.slots + 2 * numLists <= at.firstEntries;
    sound &&= superStride * SUPERBLOCK >= numDocs && blockStride * 64 >= numDocs;
    sound &&= at.superColumns + dense * superStride <= at.blockColumns;
    sound &&= at.blockColumns + dense * blockStride <= maxima.bytes.length;
  }
  if (!sound)
    throw new WinnowError('WINNOW_INDEX_CORRUPT', 'posting lists lie outside their bytes', {
      place: 'posting lists',
    });
}

let native: NativeSearch | undefined;

function loadNative(): NativeSearch {
  native ??= createRequire(import.meta.url)(
    join(packageRoot, 'kernels/native/build/winnow.node'),
  ) as NativeSearch;
  return native;
}

/** Sizes and offsets in the order that the native searches take them. */
function nativeLayout({ offsets, numDocs, numChunks, numLists, columnStride }: PostingBlock): Float64Array {
  const { starts, denseSlots, localIds, values, columns } = offsets;
  return Float64Array.of(
    numDocs,
    numChunks,
    numLists,
    starts,
    denseSlots,
    localIds,
    values,
    columns,
    columnStride,
  );
}

/** Hits of a BM25 search, best first. Views, valid until the next search. */
export interface LexicalHits {
  readonly count: number;
  readonly docIds: Uint32Array;
  readonly scores: Float64Array;
}

/**
 * Exact BM25 top-k over one block of posting lists whose values are term frequencies.
 *
 * @param lists list numbers; @param idf weight of each
 * @param norms by document: k1 * (1 - b + b * length / average length)
 * @param accept bit a document (little-endian), undefined = all
 * @param threshold a score that at least k accepted documents reach, 0 when none is known: only saves time
 */
export type LexicalSearch = (
  lists: Uint32Array,
  idf: Float64Array,
  norms: Float64Array,
  accept: Uint8Array | undefined,
  k: number,
  threshold: number,
) => LexicalHits;

/** Accumulators of the native BM25 search; LEXICAL_WINDOW in native/search.c. */
const LEXICAL_WINDOW = 4096;

/**
 * Makes the native BM25 search of a block.
 *
 * @returns undefined for the other backends: the TypeScript scan is their kernel
 * @throws WinnowError WINNOW_INDEX_CORRUPT when the arrays do not fit the bytes
 */
export function lexicalSearch(
  block: PostingBlock,
  backend: KernelBackend = backendInUse(),
): LexicalSearch | undefined {
  if (backend !== 'native') return undefined;
  checkBlock(block);
  const { searchLexical } = loadNative();
  const layout = nativeLayout(block);
  const { bytes, ranks, numDocs } = block;
  return (lists, idf, norms, accept, wanted, threshold) => {
    const k = Math.min(wanted, numDocs);
    const length = LEXICAL_WINDOW + lists.length + 4 * k;
    if (lexicalScratch.length < length) lexicalScratch = new Float64Array(length);
    const { hits } = buffers(0, k, 0);
    const count = searchLexical(
      bytes,
      layout,
      lists,
      accept,
      ranks,
      lexicalScratch,
      hits,
      k,
      threshold,
      idf,
      norms,
    );
    return { count, docIds: hits.subarray(0, count), scores: lexicalScratch.subarray(0, count) };
  };
}

let lexicalScratch = new Float64Array(0);

function nativeSearch(block: PostingBlock): PostingSearch {
  const { searchExact, searchPruned } = loadNative();
  const { bytes, ranks, numDocs, maxima } = block;
  const layout = nativeLayout(block);
  const maximaLayout = maxima && Float64Array.from(maximaFields(maxima));
  return (query, accept, wanted, threshold, pruning) => {
    const k = Math.min(wanted, numDocs);
    const { scratch, hits } = buffers(query.length / 2, k, numDocs);
    if (!pruning || !maxima) {
      const count = searchExact(bytes, layout, query, accept, ranks, scratch, hits, k, threshold);
      return answer(hits, count, k, undefined, true);
    }
    const { alpha, budgetUs = 0 } = pruning;
    const count = searchPruned(
      bytes,
      layout,
      query,
      accept,
      ranks,
      scratch,
      hits,
      k,
      threshold,
      maxima.bytes,
      maximaLayout!,
      fixedPoint(alpha),
      budgetUs,
    );
    return answer(hits, count, k, hits[2 * k], hits[2 * k + 1] === 1);
  };
}

const answer = (
  hits: Uint32Array,
  count: number,
  k: number,
  blocksScored: number | undefined,
  complete: boolean,
): PostingHits => ({
  count,
  docIds: hits.subarray(0, count),
  scores: hits.subarray(k, k + count),
  blocksScored,
  complete,
});

/** Offsets and strides in the order that the kernels take them. */
function maximaFields({ offsets, superStride, blockStride }: MaximaBlock, base = 0): number[] {
  const { slots, firstEntries, present, entries, superMaxima, blockMaxima, superColumns, blockColumns } =
    offsets;
  const places = [
    slots,
    firstEntries,
    present,
    entries,
    superMaxima,
    blockMaxima,
    superColumns,
    blockColumns,
  ];
  return [...places.map((at) => base + at), superStride, blockStride];
}

let scratchBuffer = new Uint32Array(0);
let hitsBuffer = new Uint32Array(0);

/** One pair of buffers serves all searches of the thread: a search never yields. */
function buffers(terms: number, k: number, numDocs: number): { scratch: Uint32Array; hits: Uint32Array } {
  const scratchLength = WINDOW + 2 * terms + 4 * k + 3 * Math.ceil(numDocs / SUPERBLOCK) + 8;
  if (scratchBuffer.length < scratchLength) scratchBuffer = new Uint32Array(scratchLength);
  if (hitsBuffer.length < 2 * k + 2) hitsBuffer = new Uint32Array(2 * k + 2);
  return { scratch: scratchBuffer, hits: hitsBuffer };
}

// The part of the WebAssembly API that is used here; lib.dom would bring the whole browser.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    module: object,
    imports: object,
  ) => {
    exports: {
      memory: { buffer: ArrayBuffer; grow(pages: number): number };
      search: (...numbers: number[]) => number;
      searchPruned: (...numbers: number[]) => number;
    };
  };
};

const PAGE_BYTES = 65_536;
let wasmModule: object | undefined;
const imports = { env: { now: () => performance.now() * 1000 } };

/** @returns undefined when the block does not fit a WebAssembly memory of 4 GiB */
function wasmSearch(block: PostingBlock): PostingSearch | undefined {
  wasmModule ??= new WebAssembly.Module(readFileSync(join(packageRoot, 'kernels/wasm/search.wasm')));
  const { exports } = new WebAssembly.Instance(wasmModule, imports);
  const { memory } = exports;
  const { bytes, ranks, offsets, numDocs, numChunks, columnStride, maxima } = block;
  // The module's own stack and data lie in the first pages; everything of the block follows them.
  let end = memory.buffer.byteLength;
  const reserve = (size: number): number => {
    const at = end;
    end = Math.ceil((end + size) / 64) * 64;
    return at;
  };
  const room = () => {
    const missing = Math.ceil((end - memory.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) memory.grow(missing);
  };
  const superblocks = Math.ceil(numDocs / SUPERBLOCK);
  const blockAt = reserve(bytes.length);
  const maximaAt = reserve(maxima?.bytes.length ?? 0);
  const ranksAt = reserve(4 * numDocs);
  const acceptAt = reserve(Math.ceil(numDocs / 8));
  const boundsAt = reserve(4 * superblocks);
  const orderAt = reserve(8 * superblocks);
  const pruningAt = reserve(12);
  let terms = 64;
  let hits = 128;
  const workAt = end;
  const planWork = () => {
    end = workAt;
    const scratchAt = reserve(4 * (WINDOW + terms));
    const queryAt = reserve(8 * terms);
    const cursorsAt = reserve(8 * terms);
    const heapAt = reserve(16 * hits);
    room();
    return { scratchAt, queryAt, cursorsAt, heapAt };
  };
  let work: ReturnType<typeof planWork>;
  try {
    work = planWork();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
  new Uint8Array(memory.buffer).set(bytes, blockAt);
  if (maxima) new Uint8Array(memory.buffer).set(maxima.bytes, maximaAt);
  new Uint32Array(memory.buffer, ranksAt, numDocs).set(ranks.subarray(0, numDocs));
  const lists = [
    numDocs,
    numChunks,
    ...[offsets.starts, offsets.denseSlots, offsets.localIds, offsets.values, offsets.columns].map(
      (at) => blockAt + at,
    ),
    columnStride,
  ];
  const summaries = maxima && maximaFields(maxima, maximaAt);

  return (query, accept, wanted, threshold, pruning) => {
    const k = Math.min(wanted, numDocs);
    const n = query.length / 2;
    if (n > terms || k > hits) {
      terms = Math.max(n, terms);
      hits = Math.max(k, hits);
      work = planWork();
    }
    const { scratchAt, queryAt, cursorsAt, heapAt } = work;
    new Uint32Array(memory.buffer, queryAt, 2 * n).set(query);
    if (accept) new Uint8Array(memory.buffer, acceptAt, Math.ceil(numDocs / 8)).set(accept);
    const acceptOrNull = accept ? acceptAt : 0;
    let count: number;
    let blocksScored: number | undefined;
    let complete = true;
    if (pruning && summaries) {
      const { alpha, budgetUs = 0 } = pruning;
      const how = new Uint32Array(memory.buffer, pruningAt, 3);
      how[0] = fixedPoint(alpha);
      const places = [scratchAt, cursorsAt, boundsAt, orderAt, acceptOrNull, ranksAt, heapAt];
      count = exports.searchPruned(
        ...lists,
        ...summaries,
        queryAt,
        n,
        ...places,
        k,
        threshold,
        pruningAt,
        budgetUs,
      );
      blocksScored = how[1];
      complete = how[2] === 1;
    } else {
      count = exports.search(...lists, queryAt, n, scratchAt, acceptOrNull, ranksAt, heapAt, k, threshold);
    }
    const heap = new Uint32Array(memory.buffer, heapAt, 4 * count);
    const found = buffers(0, k, 0).hits;
    for (let i = 0; i < count; i++) {
      found[i] = heap[4 * i + 2]!;
      found[k + i] = heap[4 * i + 1]!;
    }
    return answer(found, count, k, blocksScored, complete);
  };
}
