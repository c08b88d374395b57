// The arguments of searchExact and searchPruned (../table.ts) as a call of a search kernel; shared by native/search.c
// (Node-API) and wasm/search.c.
#pragma once
#include <stddef.h>

#include "search-kernels.h"

struct search_arguments {
  const uint8_t *bytes;      // posting lists
  const double *layout;      // [POSTING_LENGTH] their sizes and the offsets of their arrays in `bytes`
  const uint32_t *query;     // [terms] list ids, then [terms] weights
  uint32_t terms;
  const uint8_t *filter_bits; // NULL: every document may be a hit
  const uint32_t *ranks;
  uint32_t *hits;    // receives k document ids, k scores, the blocks that a pruned search scored, and `complete`
  uint32_t k;
  uint32_t *scratch; // exact_scratch_words() or pruned_scratch_words() entries
  uint32_t threshold;
  double budget_us; // 0: unlimited
};

static inline struct posting_lists posting_lists_of(const uint8_t *bytes, const double *layout) {
  return (struct posting_lists){
      .num_docs = (uint32_t)layout[POSTING_NUM_DOCS],
      .num_chunks = (uint32_t)layout[POSTING_NUM_CHUNKS],
      .starts = (const uint32_t *)(bytes + (size_t)layout[POSTING_STARTS]),
      .dense_slots = (const uint16_t *)(bytes + (size_t)layout[POSTING_DENSE_SLOTS]),
      .local_ids = (const uint16_t *)(bytes + (size_t)layout[POSTING_LOCAL_IDS]),
      .values = bytes + (size_t)layout[POSTING_VALUES],
      .columns = bytes + (size_t)layout[POSTING_COLUMNS],
      .column_stride = (uint64_t)layout[POSTING_COLUMN_STRIDE],
  };
}

static inline struct block_max_index block_max_index_of(const uint8_t *bytes, const double *layout) {
  return (struct block_max_index){
      .slots = (const uint16_t *)(bytes + (size_t)layout[BLOCK_MAX_SLOTS]),
      .first_entries = (const uint32_t *)(bytes + (size_t)layout[BLOCK_MAX_FIRST_ENTRIES]),
      .present = (const uint32_t *)(bytes + (size_t)layout[BLOCK_MAX_PRESENT]),
      .entries = (const struct superblock_entry *)(bytes + (size_t)layout[BLOCK_MAX_ENTRIES]),
      .superblock_max_impacts = bytes + (size_t)layout[BLOCK_MAX_SUPERBLOCK_MAX_IMPACTS],
      .block_max_impacts = bytes + (size_t)layout[BLOCK_MAX_BLOCK_MAX_IMPACTS],
      .superblock_columns = bytes + (size_t)layout[BLOCK_MAX_SUPERBLOCK_COLUMNS],
      .block_columns = bytes + (size_t)layout[BLOCK_MAX_BLOCK_COLUMNS],
      .superblock_stride = (uint64_t)layout[BLOCK_MAX_SUPERBLOCK_STRIDE],
      .block_stride = (uint64_t)layout[BLOCK_MAX_BLOCK_STRIDE],
  };
}

static inline uint32_t superblocks_of(uint32_t num_docs) {
  return (num_docs + SUPERBLOCK_DOCS - 1) / SUPERBLOCK_DOCS;
}

static inline void *aligned_8(void *p) { return (void *)(((uintptr_t)p + 7) & ~(uintptr_t)7); }

// u32 entries; the one beside the arrays aligns what follows the cursors.
enum { HIT_WORDS = sizeof(struct hit) / 4 };
static inline size_t exact_scratch_words(size_t terms, size_t k) { return WINDOW_DOCS + terms + 1 + HIT_WORDS * k; }
static inline size_t pruned_scratch_words(size_t terms, size_t k, size_t superblocks) {
  return WINDOW_DOCS + superblocks + 2 * terms + 1 + 2 * superblocks + HIT_WORDS * k;
}

static inline struct search_request search_request_of(const struct search_arguments *a,
                                                      const struct posting_lists *lists, void *heap) {
  return (struct search_request){
      .lists = lists,
      .list_ids = a->query,
      .weights = a->query + a->terms,
      .terms = a->terms,
      .k = a->k,
      .threshold = a->threshold,
      .filter_bits = a->filter_bits,
      .ranks = a->ranks,
      .heap = heap,
  };
}

// From now on; budget_us in microseconds of `clock`, 0: unlimited.
static inline struct time_budget budget_of(double budget_us, double (*clock)(void)) {
  return (struct time_budget){budget_us > 0 ? clock() + budget_us : 0, clock, 1};
}

static inline void write_hits(const struct search_arguments *a, const struct hit *heap, uint32_t found,
                              uint32_t visited, const struct time_budget *budget) {
  a->hits[2 * (size_t)a->k] = visited;
  a->hits[2 * (size_t)a->k + 1] = budget->complete;
  for (uint32_t i = 0; i < found; i++) {
    a->hits[i] = heap[i].doc;
    a->hits[a->k + i] = (uint32_t)(heap[i].key >> 32);
  }
}

// Returns the number of hits.
static inline uint32_t run_search_exact(search_exact_kernel *kernel, const struct search_arguments *a,
                                        double (*clock)(void)) {
  struct time_budget budget = budget_of(a->budget_us, clock);
  const struct posting_lists lists = posting_lists_of(a->bytes, a->layout);
  uint32_t *scores = a->scratch, *cursors = scores + WINDOW_DOCS;
  struct hit *heap = aligned_8(cursors + a->terms);
  const struct search_request request = search_request_of(a, &lists, heap);
  const uint32_t found = kernel(&request, cursors, scores, &budget);
  write_hits(a, heap, found, 0, &budget);
  return found;
}

// Returns the number of hits.
static inline uint32_t run_search_pruned(search_pruned_kernel *kernel, const struct search_arguments *a,
                                         const struct block_max_index *block_max, uint32_t alpha,
                                         double (*clock)(void)) {
  struct time_budget budget = budget_of(a->budget_us, clock);
  const struct posting_lists lists = posting_lists_of(a->bytes, a->layout);
  const uint32_t superblocks = superblocks_of(lists.num_docs);
  uint32_t *bounds = a->scratch + WINDOW_DOCS, *cursors = bounds + superblocks;
  uint64_t *order = aligned_8(cursors + 2 * (size_t)a->terms);
  struct hit *heap = (struct hit *)(order + superblocks);
  const struct pruned_scratch scratch = {a->scratch, bounds, (struct cursor *)cursors, order};
  const struct search_request request = search_request_of(a, &lists, heap);
  struct pruning pruning = {alpha, 0};
  const uint32_t found = kernel(&request, block_max, &scratch, &pruning, &budget);
  write_hits(a, heap, found, pruning.visited, &budget);
  return found;
}
