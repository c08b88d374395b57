// What the search kernels take and return; shared with their callers in native/search.c and wasm/search.c.
#pragma once
#include "../generated/search-layout.h"

// Posting lists of a segment (indexer/posting-lists.ts). Views; the arrays are as long as FORMAT.md says.
struct posting_lists {
  uint32_t num_docs, num_chunks;
  const uint32_t *starts;      // [lists * num_chunks + 1]
  const uint16_t *dense_slots; // [lists] column number, or NOT_DENSE
  const uint16_t *local_ids;   // [postings]
  const uint8_t *values;       // [postings]
  const uint8_t *columns;      // [dense lists][column_stride]
  uint64_t column_stride;      // a multiple of 64
};

// What is kept of a list in one superblock.
struct superblock_entry {
  uint32_t first_max_impact; // of its blocks, in block_max_impacts
  uint16_t first_posting;    // counted from the first of its chunk
  uint16_t blocks;           // bit b: the list occurs in block b
};

// Largest values of the same lists per superblock and block (indexer/block-maxima.ts). Views, as above.
struct block_max_index {
  const uint16_t *slots;                  // [lists] summary number, or NO_SUMMARY
  const uint32_t *first_entries;          // [summaries * num_chunks + 1]
  const uint32_t *present;                // [summaries * num_chunks][2] bit s: it occurs in superblock s of the chunk
  const struct superblock_entry *entries; // one per set bit of present
  const uint8_t *superblock_max_impacts;  // [entries]
  const uint8_t *block_max_impacts;       // one per set bit of the entries' blocks
  const uint8_t *superblock_columns;      // [dense lists][superblock_stride]
  const uint8_t *block_columns;           // [dense lists][block_stride]
  uint64_t superblock_stride, block_stride; // multiples of 64
};

// A hit that is kept: the score in the high half of the key, ~rank in the low half, so that a larger key is a better
// hit.
struct hit {
  uint64_t key;
  uint32_t doc;
};

// A hit of BM25 that is kept.
struct lexical_hit {
  double score;
  uint32_t rank, doc;
};

// A search over impacts.
struct search_request {
  const struct posting_lists *lists;
  const uint32_t *list_ids;   // [terms]
  const uint32_t *weights;    // [terms] 1..MAX_QUERY_WEIGHT
  uint32_t terms;
  uint32_t k;
  uint32_t threshold;         // a score that at least k accepted documents reach, or 0
  const uint8_t *filter_bits; // one bit per document, lowest first: 1 = may be a hit; NULL: all may
  const uint32_t *ranks;      // [num_docs] order of equal scores, smaller first
  struct hit *heap;           // [k] receives the hits, best first
};

// A BM25 search; fields not listed here are as in struct search_request.
struct lexical_request {
  const struct posting_lists *lists;
  const uint32_t *list_ids;
  const double *idf;   // [terms]
  const float *norms; // [num_docs] k1 * (1 - b + b * length / average length)
  uint32_t terms;
  uint32_t k;
  double threshold;
  const uint8_t *filter_bits;
  const uint32_t *ranks;
  struct lexical_hit *heap;
};

// Postings of a list: in the superblock that is visited, from the first one that no scored block has passed; in the
// window of a BM25 search.
struct cursor {
  uint32_t from, to;
};

// Working memory of a BM25 search.
struct lexical_scratch {
  double *scores;        // [LEXICAL_WINDOW_DOCS]
  double *bounds;        // [terms + 1]
  struct cursor *ranges; // [terms]
  uint32_t *order;       // [terms]
};

// Working memory of a pruned search.
struct pruned_scratch {
  uint32_t *scores;       // [BLOCK_DOCS]
  uint32_t *bounds;       // [superblocks]
  struct cursor *cursors; // [terms]
  uint64_t *order;        // [superblocks]
};

// When a search ends at the latest, and whether it was through by then.
struct time_budget {
  double deadline;       // on the clock below; 0: none
  double (*clock)(void); // microseconds
  uint32_t complete;     // out: 0 when the deadline passed first
};

// How a pruned search may cut corners, and what it did.
struct pruning {
  uint32_t alpha;   // bounds count alpha / ALPHA_ONE; at ALPHA_ONE no hit is lost
  uint32_t visited; // out: blocks that were scored
};

// Each returns the number of hits.
// cursors [terms] and scores [WINDOW_DOCS] are scratch. Scans score at least one window, whatever the budget.
typedef uint32_t search_exact_kernel(const struct search_request *request, uint32_t *cursors, uint32_t *scores,
                                     struct time_budget *budget);
typedef uint32_t search_pruned_kernel(const struct search_request *request, const struct block_max_index *block_max,
                                      const struct pruned_scratch *scratch, struct pruning *pruning,
                                      struct time_budget *budget);
typedef uint32_t search_lexical_kernel(const struct lexical_request *request, const struct lexical_scratch *scratch,
                                       struct time_budget *budget);
