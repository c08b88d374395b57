// Sizes and markers of posting lists and block maxima (indexer/FORMAT.md) that the indexer, the TypeScript scans and
// the C kernels share. scripts/generate-kernels.ts writes them to ../generated/search-layout.h.

/** A chunk of a posting list holds 2^16 documents, so that a local document id fits in 16 bits. */
export const CHUNK_BITS = 16;
export const CHUNK_DOCS = 1 << CHUNK_BITS;

/** A block holds 2^6 = 64 documents: one byte of each is a cache line. */
export const BLOCK_BITS = 6;
export const BLOCK_DOCS = 1 << BLOCK_BITS;

/** A superblock holds 2^10 = 1,024 documents in 16 blocks, so that a 16-bit mask can name its blocks. */
export const SUPERBLOCK_BITS = 10;
export const SUPERBLOCK_DOCS = 1 << SUPERBLOCK_BITS;

/** Documents scored at a time: 8,192 u32 accumulators (32 KB) stay in the first-level cache. Windows divide chunks. */
export const WINDOW_DOCS = 8192;

/** Documents that the BM25 kernels score at a time: 4,096 f64 accumulators (32 KB) stay in the first-level cache. */
export const LEXICAL_WINDOW_DOCS = 4096;

/** In place of a column number: the list is not stored as a dense column. */
export const NOT_DENSE = 0xffff;

/** In place of a summary number: the list is so short that its postings are their own summary. */
export const NO_SUMMARY = 0xffff;

/** Largest weight of a query term: 15 bits, so that SIMD kernels can multiply it as a signed 16-bit number. */
export const MAX_QUERY_WEIGHT = 32_767;

/** Alpha of pruned search is passed to the kernels in 65,536ths. */
export const ALPHA_ONE = 65_536;
