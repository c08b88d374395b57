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
