import { WASM_PAGE_BYTES, WebAssembly } from '../runtime/web-assembly.ts';
import { blockMaxLayout, type PostingBlock, postingLayout } from './posting-block.ts';
import {
  fixedPoint,
  hitWords,
  readHits,
  scratchWords,
  type WasmSearch,
  type WasmSearchArguments,
} from './search-call.ts';
import type { PostingSearch } from './search-types.ts';

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  searchExact(...values: WasmSearchArguments<'searchExact'>): number;
  searchPruned(...values: WasmSearchArguments<'searchPruned'>): number;
}

const imports = { env: { now: () => performance.now() * 1000 } };

/** Hands out regions of a module's memory, which grows with them. */
class Regions {
  readonly #memory: Exports['memory'];
  #end: number;

  /** The module's own stack and data lie in the first pages; regions follow them. */
  constructor(memory: Exports['memory']) {
    this.#memory = memory;
    this.#end = memory.buffer.byteLength;
  }

  /** @returns the byte offset of a region, aligned to 64. @throws RangeError past the 4 GiB of a memory */
  reserve(bytes: number): number {
    const offset = this.#end;
    this.#end = Math.ceil((offset + bytes) / 64) * 64;
    const missing = Math.ceil((this.#end - this.#memory.buffer.byteLength) / WASM_PAGE_BYTES);
    if (missing > 0) this.#memory.grow(missing);
    return offset;
  }

  /** @returns the byte offset of a copy of the array */
  copy(values: Uint8Array | Uint32Array | Float64Array): number {
    const offset = this.reserve(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(this.#memory.buffer).set(bytes, offset);
    return offset;
  }

  /** Where the next region begins; given to {@link release}, it takes back all regions since. */
  get end(): number {
    return this.#end;
  }

  release(end: number): void {
    this.#end = end;
  }
}

/** @returns undefined when the block does not fit in a WebAssembly memory of 4 GiB */
export function wasmSearch({ module }: WasmSearch, block: PostingBlock): PostingSearch | undefined {
  const exports = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
  try {
    return searchOfInstance(exports, block);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Copies a block into a module's memory; returns byte offsets. */
function placeBlock(regions: Regions, block: PostingBlock) {
  const { numDocs, maxima } = block;
  return {
    bytes: regions.copy(block.bytes),
    layout: regions.copy(postingLayout(block)),
    ranks: regions.copy(block.ranks.subarray(0, numDocs)),
    filter: regions.reserve(Math.ceil(numDocs / 8)),
    ofMaxima: maxima && {
      bytes: regions.copy(maxima.bytes),
      layout: regions.copy(blockMaxLayout(maxima)),
    },
  };
}

/** Byte offsets of what a search reads and writes; the room grows, and is kept. */
function workPlanner(regions: Regions, numDocs: number) {
  const begins = regions.end;
  let room = { terms: 64, k: 128 };
  const plan = () => {
    regions.release(begins);
    return {
      query: regions.reserve(8 * room.terms),
      hits: regions.reserve(4 * hitWords(room.k)),
      scratch: regions.reserve(4 * scratchWords(room.terms, room.k, numDocs)),
    };
  };
  let work = plan();
  return (terms: number, k: number) => {
    if (terms > room.terms || k > room.k) {
      room = { terms: Math.max(terms, room.terms), k: Math.max(k, room.k) };
      work = plan();
    }
    return work;
  };
}

function searchOfInstance(
  { memory, searchExact, searchPruned }: Exports,
  block: PostingBlock,
): PostingSearch {
  const { numDocs } = block;
  const filterBytes = Math.ceil(numDocs / 8);
  const regions = new Regions(memory);
  const { bytes, layout, ranks, filter, ofMaxima } = placeBlock(regions, block);
  const workFor = workPlanner(regions, numDocs);

  return (query, filterBits, wanted, threshold, { alpha, budgetUs = 0 } = {}) => {
    const k = Math.min(wanted, numDocs);
    const terms = query.length / 2;
    const { query: list, hits, scratch } = workFor(terms, k);
    new Uint32Array(memory.buffer, list, query.length).set(query);
    if (filterBits)
      new Uint8Array(memory.buffer, filter, filterBytes).set(filterBits.subarray(0, filterBytes));
    const filterOrNone = filterBits ? filter : 0;
    const shared = [
      bytes,
      layout,
      list,
      terms,
      filterOrNone,
      ranks,
      hits,
      k,
      scratch,
      threshold,
      budgetUs,
    ] as const;
    const prunes = alpha !== undefined && ofMaxima !== undefined;
    const count = prunes
      ? searchPruned(...shared, ofMaxima.bytes, ofMaxima.layout, fixedPoint(alpha))
      : searchExact(...shared);
    return readHits(new Uint32Array(memory.buffer, hits, hitWords(k)), count, k, prunes);
  };
}
