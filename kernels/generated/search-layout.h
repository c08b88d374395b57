// Generated from kernels/table.ts by `npm run generate:kernels`. Do not edit.
#pragma once
#include <stdint.h>

// kernels/search/layout.ts
enum {
  ALPHA_ONE = 65536,
  BLOCK_BITS = 6,
  BLOCK_DOCS = 64,
  CHUNK_BITS = 16,
  CHUNK_DOCS = 65536,
  LEXICAL_WINDOW_DOCS = 4096,
  MAX_QUERY_WEIGHT = 32767,
  NOT_DENSE = 65535,
  NO_SUMMARY = 65535,
  SUPERBLOCK_BITS = 10,
  SUPERBLOCK_DOCS = 1024,
  WINDOW_DOCS = 8192,
};

// Entries of the arrays `layout` and `blockMaxLayout`.
enum {POSTING_NUM_DOCS, POSTING_NUM_CHUNKS, POSTING_NUM_LISTS, POSTING_STARTS, POSTING_DENSE_SLOTS, POSTING_LOCAL_IDS,
    POSTING_VALUES, POSTING_COLUMNS, POSTING_COLUMN_STRIDE, POSTING_LENGTH};
enum {BLOCK_MAX_SLOTS, BLOCK_MAX_FIRST_ENTRIES, BLOCK_MAX_PRESENT, BLOCK_MAX_ENTRIES, BLOCK_MAX_SUPERBLOCK_MAX_IMPACTS,
    BLOCK_MAX_BLOCK_MAX_IMPACTS, BLOCK_MAX_SUPERBLOCK_COLUMNS, BLOCK_MAX_BLOCK_COLUMNS, BLOCK_MAX_SUPERBLOCK_STRIDE,
    BLOCK_MAX_BLOCK_STRIDE, BLOCK_MAX_LENGTH};

// Positions of the parameters of each search function, and their kinds.
enum argument_kind { ARGUMENT_U8S, ARGUMENT_U8S_OR_NONE, ARGUMENT_U32S, ARGUMENT_F32S, ARGUMENT_F64S, ARGUMENT_U32, ARGUMENT_F64 };
enum {SEARCH_EXACT_BYTES, SEARCH_EXACT_LAYOUT, SEARCH_EXACT_QUERY, SEARCH_EXACT_TERMS, SEARCH_EXACT_FILTER_BITS,
    SEARCH_EXACT_RANKS, SEARCH_EXACT_HITS, SEARCH_EXACT_K, SEARCH_EXACT_SCRATCH, SEARCH_EXACT_THRESHOLD,
    SEARCH_EXACT_LENGTH};
#define SEARCH_EXACT_KINDS \
  ARGUMENT_U8S, \
  ARGUMENT_F64S, \
  ARGUMENT_U32S, \
  ARGUMENT_U32, \
  ARGUMENT_U8S_OR_NONE, \
  ARGUMENT_U32S, \
  ARGUMENT_U32S, \
  ARGUMENT_U32, \
  ARGUMENT_U32S, \
  ARGUMENT_U32
enum {SEARCH_PRUNED_BYTES, SEARCH_PRUNED_LAYOUT, SEARCH_PRUNED_QUERY, SEARCH_PRUNED_TERMS, SEARCH_PRUNED_FILTER_BITS,
    SEARCH_PRUNED_RANKS, SEARCH_PRUNED_HITS, SEARCH_PRUNED_K, SEARCH_PRUNED_SCRATCH, SEARCH_PRUNED_THRESHOLD,
    SEARCH_PRUNED_BLOCK_MAX_BYTES, SEARCH_PRUNED_BLOCK_MAX_LAYOUT, SEARCH_PRUNED_ALPHA, SEARCH_PRUNED_BUDGET_US,
    SEARCH_PRUNED_LENGTH};
#define SEARCH_PRUNED_KINDS \
  ARGUMENT_U8S, \
  ARGUMENT_F64S, \
  ARGUMENT_U32S, \
  ARGUMENT_U32, \
  ARGUMENT_U8S_OR_NONE, \
  ARGUMENT_U32S, \
  ARGUMENT_U32S, \
  ARGUMENT_U32, \
  ARGUMENT_U32S, \
  ARGUMENT_U32, \
  ARGUMENT_U8S, \
  ARGUMENT_F64S, \
  ARGUMENT_U32, \
  ARGUMENT_F64
enum {SEARCH_LEXICAL_BYTES, SEARCH_LEXICAL_LAYOUT, SEARCH_LEXICAL_QUERY, SEARCH_LEXICAL_TERMS,
    SEARCH_LEXICAL_FILTER_BITS, SEARCH_LEXICAL_RANKS, SEARCH_LEXICAL_HITS, SEARCH_LEXICAL_K, SEARCH_LEXICAL_SCRATCH,
    SEARCH_LEXICAL_THRESHOLD, SEARCH_LEXICAL_IDF, SEARCH_LEXICAL_NORMS, SEARCH_LEXICAL_LENGTH};
#define SEARCH_LEXICAL_KINDS \
  ARGUMENT_U8S, \
  ARGUMENT_F64S, \
  ARGUMENT_U32S, \
  ARGUMENT_U32, \
  ARGUMENT_U8S_OR_NONE, \
  ARGUMENT_U32S, \
  ARGUMENT_U32S, \
  ARGUMENT_U32, \
  ARGUMENT_F64S, \
  ARGUMENT_F64, \
  ARGUMENT_F64S, \
  ARGUMENT_F32S

#ifdef __wasm__
__attribute__((export_name("searchExact"))) uint32_t searchExact(const uint8_t *bytes, const double *layout,
                                                                 const uint32_t *query, uint32_t terms,
                                                                 const uint8_t *filter_bits, const uint32_t *ranks,
                                                                 uint32_t *hits, uint32_t k, uint32_t *scratch,
                                                                 uint32_t threshold);
__attribute__((export_name("searchPruned"))) uint32_t searchPruned(const uint8_t *bytes, const double *layout,
                                                                   const uint32_t *query, uint32_t terms,
                                                                   const uint8_t *filter_bits, const uint32_t *ranks,
                                                                   uint32_t *hits, uint32_t k, uint32_t *scratch,
                                                                   uint32_t threshold, const uint8_t *block_max_bytes,
                                                                   const double *block_max_layout, uint32_t alpha,
                                                                   double budget_us);
#endif
