// The impact searches for WebAssembly. search/wasm-search.ts lays out the memory and checks every argument, whose
// names and order are those of ../table.ts: the generated prototypes reject any other.
#include "../native/simd/vec.h"
#undef KERNEL
#define KERNEL(name) JOIN(name, VARIANT) // only the functions of the table are exported

#include "../generated/kernels.h"
#include "../search/block-max-search.h"
#include "../search/exact-search.h"
#include "../search/search-arguments.h"

__attribute__((import_module("env"), import_name("now"))) double now(void); // microseconds
__attribute__((export_name(KERNEL_ABI_EXPORT))) void kernel_abi(void) {}

uint32_t searchExact(const uint8_t *bytes, const double *layout, const uint32_t *query, uint32_t terms,
                     const uint8_t *filter_bits, const uint32_t *ranks, uint32_t *hits, uint32_t k, uint32_t *scratch,
                     uint32_t threshold, double budget_us) {
  const struct search_arguments arguments = {bytes, layout, query, terms, filter_bits,
                                             ranks, hits, k, scratch, threshold, budget_us};
  return run_search_exact(search_exact_wasm, &arguments, now);
}

uint32_t searchPruned(const uint8_t *bytes, const double *layout, const uint32_t *query, uint32_t terms,
                      const uint8_t *filter_bits, const uint32_t *ranks, uint32_t *hits, uint32_t k, uint32_t *scratch,
                      uint32_t threshold, double budget_us, const uint8_t *block_max_bytes,
                      const double *block_max_layout, uint32_t alpha) {
  const struct search_arguments arguments = {bytes, layout, query, terms, filter_bits,
                                             ranks, hits, k, scratch, threshold, budget_us};
  const struct block_max_index block_max = block_max_index_of(block_max_bytes, block_max_layout);
  return run_search_pruned(search_pruned_wasm, &arguments, &block_max, alpha, now);
}
