import type { KernelBackend } from '../runtime/kernels.ts';
import { loadKernels } from '../runtime/loader.ts';
import { nativeLexicalSearch, nativeSearch } from './native-search.ts';
import { checkBlock, type PostingBlock } from './posting-block.ts';
import type { LexicalSearch, PostingSearch } from './search-types.ts';
import { wasmSearch } from './wasm-search.ts';

/**
 * Makes the search of one block: native code works on the bytes where they are, WebAssembly on a copy in a memory of
 * its own.
 *
 * @param backend default: the one that {@link loadKernels} chooses
 * @returns undefined for the reference backend, and for blocks that WebAssembly has no room for: the TypeScript scan
 *   (query/, `exactScan`) serves then
 * @throws WinnowError WINNOW_INDEX_CORRUPT when the arrays do not fit the bytes
 */
export function postingSearch(block: PostingBlock, backend?: KernelBackend): PostingSearch | undefined {
  checkBlock(block);
  const search = loadSearch(backend);
  if (search === undefined) return undefined;
  return search.kind === 'native' ? nativeSearch(search, block) : wasmSearch(search, block);
}

/**
 * As {@link postingSearch}, for a block whose bytes change between searches.
 *
 * @returns undefined for backends other than native, which work on a copy
 * @throws WinnowError WINNOW_INDEX_CORRUPT when the arrays do not fit the bytes
 */
export function postingSearchInPlace(
  block: PostingBlock,
  backend?: KernelBackend,
): PostingSearch | undefined {
  const search = loadSearch(backend);
  if (search?.kind !== 'native') return undefined;
  checkBlock(block);
  return nativeSearch(search, block);
}

/**
 * Makes the BM25 search of one block, whose bytes may change between searches.
 *
 * @returns undefined for backends other than native: the TypeScript scan (query/, `bm25Scan`) serves then
 * @throws WinnowError WINNOW_INDEX_CORRUPT when the arrays do not fit the bytes
 */
export function lexicalSearch(block: PostingBlock, backend?: KernelBackend): LexicalSearch | undefined {
  const search = loadSearch(backend);
  if (search?.kind !== 'native') return undefined;
  checkBlock(block);
  return nativeLexicalSearch(search, block);
}

const loadSearch = (backend: KernelBackend | undefined) => loadKernels(backend).search;
