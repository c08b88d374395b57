// The exact search of native/simd/posting-search.h for WebAssembly; kernels/posting-search.ts lays out the memory and
// checks it.
#undef KERNEL
#include "../native/simd/posting-search.h"

__attribute__((export_name("search"))) uint32_t search(
    uint32_t num_docs, uint32_t num_chunks, const uint32_t *starts, const uint16_t *dense_slots, const uint16_t *local_ids,
    const uint8_t *values, const uint8_t *columns, uint32_t column_stride, const uint32_t *query, uint32_t n,
    uint32_t *scratch, const uint8_t *accept, const uint32_t *ranks, struct hit *heap, uint32_t k,
    uint32_t threshold) {
  const struct posting_lists lists = {num_docs, num_chunks, starts, dense_slots, local_ids, values, columns, column_stride};
  return search_exact_wasm(&lists, query, query + n, n, scratch + WINDOW, scratch, accept, ranks, heap, k, threshold);
}

__attribute__((import_module("env"), import_name("now"))) double now(void); // microseconds

// pruning: alpha in 65,536ths, then out: blocks scored, complete.
__attribute__((export_name("searchPruned"))) uint32_t search_pruned_call(
    uint32_t num_docs, uint32_t num_chunks, const uint32_t *starts, const uint16_t *dense_slots, const uint16_t *local_ids,
    const uint8_t *values, const uint8_t *columns, uint32_t column_stride, const uint16_t *slots,
    const uint32_t *first_entries, const uint32_t *present, const struct superblock_entry *entries,
    const uint8_t *super_maxima, const uint8_t *block_maxima, const uint8_t *super_columns, const uint8_t *block_columns,
    uint32_t super_stride, uint32_t block_stride, const uint32_t *query, uint32_t n, uint32_t *scratch,
    struct cursor *cursors, uint32_t *bounds, uint64_t *order, const uint8_t *accept, const uint32_t *ranks, struct hit *heap,
    uint32_t k, uint32_t threshold, uint32_t *pruning, double budget) {
  const struct posting_lists lists = {num_docs, num_chunks, starts, dense_slots, local_ids, values, columns, column_stride};
  const struct block_maxima maxima = {slots,        first_entries, present,       entries,     super_maxima,
                                      block_maxima, super_columns, block_columns, super_stride, block_stride};
  struct pruning how = {pruning[0], budget > 0 ? now() + budget : 0, now, 0, 1};
  const uint32_t found = search_pruned_wasm(&lists, &maxima, query, query + n, n, cursors, bounds, order, scratch, accept,
                                            ranks, heap, k, threshold, &how);
  pruning[1] = how.visited;
  pruning[2] = how.complete;
  return found;
}
