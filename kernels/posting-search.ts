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
}

/** Hits of one search, best first: `docIds[i]` with integer `scores[i]` for i < count. Views, valid until the next search. */
export interface PostingHits {
  readonly count: number;
  readonly docIds: Uint32Array;
  readonly scores: Uint32Array;
}

/**
 * Exact top-k over one block of posting lists.
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
) => PostingHits;

type NativeSearch = (
  bytes: Uint8Array,
  layout: Float64Array,
  query: Uint32Array,
  accept: Uint8Array | undefined,
  ranks: Uint32Array,
  scratch: Uint32Array,
  hits: Uint32Array,
  k: number,
  threshold: number,
) => number;

/**
 * Makes the search kernel of the backend in use for one block: native works on the bytes where they are, WebAssembly
 * on a copy in a memory of its own.
 *
 * @param backend default: the one that {@link describeKernels} names
 * @returns undefined for the reference backend: the TypeScript scan is its kernel
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
  if (!sound)
    throw new WinnowError('WINNOW_INDEX_CORRUPT', 'posting lists lie outside their bytes', {
      place: 'posting lists',
    });
}

let native: NativeSearch | undefined;

function nativeSearch(block: PostingBlock): PostingSearch {
  native ??= (
    createRequire(import.meta.url)(join(packageRoot, 'kernels/native/build/winnow.node')) as {
      searchExact: NativeSearch;
    }
  ).searchExact;
  const call = native;
  const { bytes, ranks, offsets, numDocs, numChunks, numLists, columnStride } = block;
  const { starts, denseSlots, localIds, values, columns } = offsets;
  const layout = Float64Array.of(
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
  return (query, accept, wanted, threshold) => {
    const k = Math.min(wanted, numDocs);
    const { scratch, hits } = buffers(query.length / 2, k);
    const count = call(bytes, layout, query, accept, ranks, scratch, hits, k, threshold);
    return { count, docIds: hits.subarray(0, count), scores: hits.subarray(k, k + count) };
  };
}

let scratchBuffer = new Uint32Array(0);
let hitsBuffer = new Uint32Array(0);

/** One pair of buffers serves all searches of the thread: a search never yields. */
function buffers(terms: number, k: number): { scratch: Uint32Array; hits: Uint32Array } {
  const scratchLength = WINDOW + terms + 4 * k + 4;
  if (scratchBuffer.length < scratchLength) scratchBuffer = new Uint32Array(scratchLength);
  if (hitsBuffer.length < 2 * k) hitsBuffer = new Uint32Array(2 * k);
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
    };
  };
};

const PAGE_BYTES = 65_536;
let wasmModule: object | undefined;

function wasmSearch(block: PostingBlock): PostingSearch {
  wasmModule ??= new WebAssembly.Module(readFileSync(join(packageRoot, 'kernels/wasm/search.wasm')));
  const { exports } = new WebAssembly.Instance(wasmModule, {});
  const { memory } = exports;
  const { bytes, ranks, offsets, numDocs, numChunks, columnStride } = block;
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
  const blockAt = reserve(bytes.length);
  const ranksAt = reserve(4 * numDocs);
  const acceptAt = reserve(Math.ceil(numDocs / 8));
  let terms = 64;
  let hits = 128;
  let workAt = end;
  const planWork = () => {
    end = workAt;
    const scratchAt = reserve(4 * (WINDOW + terms));
    const queryAt = reserve(8 * terms);
    const heapAt = reserve(16 * hits);
    room();
    return { scratchAt, queryAt, heapAt };
  };
  workAt = end;
  let work = planWork();
  new Uint8Array(memory.buffer).set(bytes, blockAt);
  new Uint32Array(memory.buffer, ranksAt, numDocs).set(ranks.subarray(0, numDocs));
  const starts = [offsets.starts, offsets.denseSlots, offsets.localIds, offsets.values, offsets.columns].map(
    (at) => blockAt + at,
  );

  return (query, accept, wanted, threshold) => {
    const k = Math.min(wanted, numDocs);
    const n = query.length / 2;
    if (n > terms || k > hits) {
      terms = Math.max(n, terms);
      hits = Math.max(k, hits);
      work = planWork();
    }
    const { scratchAt, queryAt, heapAt } = work;
    new Uint32Array(memory.buffer, queryAt, 2 * n).set(query);
    if (accept) new Uint8Array(memory.buffer, acceptAt, Math.ceil(numDocs / 8)).set(accept);
    const count = exports.search(
      numDocs,
      numChunks,
      ...starts,
      columnStride,
      queryAt,
      n,
      scratchAt,
      accept ? acceptAt : 0,
      ranksAt,
      heapAt,
      k,
      threshold,
    );
    const heap = new Uint32Array(memory.buffer, heapAt, 4 * count);
    const found = buffers(0, k).hits;
    for (let i = 0; i < count; i++) {
      found[i] = heap[4 * i + 2]!;
      found[k + i] = heap[4 * i + 1]!;
    }
    return { count, docIds: found.subarray(0, count), scores: found.subarray(k, k + count) };
  };
}
