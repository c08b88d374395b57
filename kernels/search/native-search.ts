import { LEXICAL_WINDOW_DOCS } from './layout.ts';
import { blockMaxLayout, type PostingBlock, postingLayout } from './posting-block.ts';
import {
  fixedPoint,
  hitWords,
  isComplete,
  type NativeSearch,
  readHits,
  scratchWords,
} from './search-call.ts';
import type { LexicalSearch, PostingSearch } from './search-types.ts';

/** One set of buffers per thread is enough, because a search never yields. Buffers grow and are kept. */
let scratchBuffer = new Uint32Array(0);
let lexicalScratch = new Float64Array(0);
let hitsBuffer = new Uint32Array(0);

function hitsFor(k: number): Uint32Array {
  if (hitsBuffer.length < hitWords(k)) hitsBuffer = new Uint32Array(hitWords(k));
  return hitsBuffer;
}

function scratchFor(words: number): Uint32Array {
  if (scratchBuffer.length < words) scratchBuffer = new Uint32Array(words);
  return scratchBuffer;
}

export function nativeSearch({ functions }: NativeSearch, block: PostingBlock): PostingSearch {
  const { searchExact, searchPruned } = functions;
  const { bytes, ranks, numDocs, maxima } = block;
  const layout = postingLayout(block);
  const maximaLayout = maxima && blockMaxLayout(maxima);
  return (query, filterBits, wanted, threshold, { alpha, budgetUs = 0 } = {}) => {
    const k = Math.min(wanted, numDocs);
    const terms = query.length / 2;
    const scratch = scratchFor(scratchWords(terms, k, numDocs));
    const hits = hitsFor(k);
    const shared = [
      bytes,
      layout,
      query,
      terms,
      filterBits,
      ranks,
      hits,
      k,
      scratch,
      threshold,
      budgetUs,
    ] as const;
    const prunes = alpha !== undefined && maxima !== undefined;
    const count = prunes
      ? searchPruned(...shared, maxima.bytes, maximaLayout!, fixedPoint(alpha))
      : searchExact(...shared);
    return readHits(hits, count, k, prunes);
  };
}

export function nativeLexicalSearch({ functions }: NativeSearch, block: PostingBlock): LexicalSearch {
  const { searchLexical } = functions;
  const layout = postingLayout(block);
  const { bytes, ranks, numDocs } = block;
  return (query, idf, norms, filterBits, wanted, threshold, budgetUs = 0) => {
    const k = Math.min(wanted, numDocs);
    const terms = query.length;
    const length = LEXICAL_WINDOW_DOCS + 3 * (terms + 1) + 3 * k;
    if (lexicalScratch.length < length) lexicalScratch = new Float64Array(length);
    const scratch = lexicalScratch;
    const hits = hitsFor(k);
    const count = searchLexical(
      bytes,
      layout,
      query,
      terms,
      filterBits,
      ranks,
      hits,
      k,
      scratch,
      threshold,
      budgetUs,
      idf,
      norms,
    );
    return {
      count,
      docIds: hits.subarray(0, count),
      scores: scratch.subarray(0, count),
      complete: isComplete(hits, k),
    };
  };
}
