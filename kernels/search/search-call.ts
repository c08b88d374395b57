import type { WasmModule } from '../runtime/web-assembly.ts';
import type { SEARCH_FUNCTIONS } from '../table.ts';
import type { BUILD_FUNCTIONS } from './build-functions.ts';
import { ALPHA_ONE, SUPERBLOCK_DOCS, WINDOW_DOCS } from './layout.ts';
import type { PostingHits } from './search-types.ts';

type Table = typeof SEARCH_FUNCTIONS;

/** Name of a search function. */
export type SearchName = keyof Table;

/** The TypeScript type of a parameter of the table. */
interface Types {
  'u8[]': Uint8Array;
  'u8[]?': Uint8Array | undefined;
  'u16[]': Uint16Array;
  'u32[]': Uint32Array;
  'i32[]': Int32Array;
  'f32[]': Float32Array;
  'f64[]': Float64Array;
  u32: number;
  f64: number;
}

type Parameters = readonly (readonly [name: string, type: keyof Types])[];
type ValuesOf<List extends Parameters> = { -readonly [Index in keyof List]: Types[List[Index][1]] };
type OffsetsOf<List extends Parameters> = { -readonly [Index in keyof List]: number };

/** The arguments of a search function in the order of the table. */
export type SearchArguments<Name extends SearchName> = ValuesOf<Table[Name]>;

/** The same in WebAssembly, where arrays are byte offsets. */
export type WasmSearchArguments<Name extends SearchName> = OffsetsOf<Table[Name]>;

/**
 * The searches as native/search.c exports them; each returns the number of hits. They take their arguments by position,
 * unlike arena kernels: an object per call costs 0.5 us, and a search takes 20.
 */
export type NativeSearchFunctions = {
  readonly [Name in SearchName]: (...values: SearchArguments<Name>) => number;
};

type BuildTable = typeof BUILD_FUNCTIONS;

/** The functions of native/inversion.c, which trust what the arrays hold. */
export type BuildFunctions = {
  readonly [Name in keyof BuildTable]: (...values: ValuesOf<BuildTable[Name]>) => number;
};

/** The searches of the native backend. */
export interface NativeSearch {
  readonly kind: 'native';
  readonly functions: NativeSearchFunctions;
}

/** The searches of the WebAssembly backend: each block of posting lists has an instance of the module. */
export interface WasmSearch {
  readonly kind: 'wasm';
  readonly module: WasmModule;
}

/** Entries of u32 scratch that exact and pruned searches need; search-arguments.h divides it. */
export const scratchWords = (terms: number, k: number, numDocs: number): number =>
  WINDOW_DOCS + 2 * terms + 4 * k + 3 * Math.ceil(numDocs / SUPERBLOCK_DOCS) + 2;

/**
 * Entries of `hits`: k document ids, k scores (BM25: unused), the number of blocks that a pruned search scored, whether
 * the search was complete.
 */
export const hitWords = (k: number): number => 2 * k + 2;

/** Alpha as the kernels take it, never less than the given one. */
export const fixedPoint = (alpha: number): number => Math.ceil(alpha * ALPHA_ONE);

export const isComplete = (hits: Uint32Array, k: number): boolean => hits[2 * k + 1] === 1;

/** @param hits as {@link hitWords} describes it */
export const readHits = (hits: Uint32Array, count: number, k: number, pruned: boolean): PostingHits => ({
  count,
  docIds: hits.subarray(0, count),
  scores: hits.subarray(k, k + count),
  blocksScored: pruned ? hits[2 * k] : undefined,
  complete: isComplete(hits, k),
});
