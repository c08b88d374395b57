// The exact search of native/search-scan.h for WebAssembly; kernels/posting-search.ts lays out the memory and checks it.
#include "../native/search-scan.h"

__attribute__((export_name("search_exact"))) uint32_t search_exact_wasm(
    uint32_t num_docs, uint32_t num_chunks, const uint32_t *starts, const uint16_t *dense_slots, const uint16_t *local_ids,
    const uint8_t *values, const uint8_t *columns, uint32_t column_stride, const uint32_t *query, uint32_t n,
    uint32_t *scratch, const uint8_t *accept, const uint32_t *ranks, struct hit *heap, uint32_t k) {
  const struct posting_lists lists = {num_docs, num_chunks, starts, dense_slots, local_ids, values, columns, column_stride};
  return search_exact(&lists, query, query + n, n, scratch + WINDOW, scratch, accept, ranks, heap, k);
}
