// searchExact(blob: Uint8Array, layout: Float64Array, query: Uint32Array, accept: Uint8Array | undefined,
//             ranks: Uint32Array, scratch: Uint32Array, hits: Uint32Array, k: number,
//             threshold: number): number
// searchPruned(the same, then maxima: Uint8Array, maximaLayout: Float64Array, alpha: number, budget: number): number
// layout: numDocs, numChunks, numLists, then byte offsets of starts, denseSlots, localIds, values, columns, then the
// column stride; query: n list numbers then n weights; scratch: as the bodies say; hits: receives k document ids, then
// k scores, after pruning then the number of blocks scored and 1 when no deadline cut it short.
// searchLexical(blob, layout, lists: Uint32Array, accept, ranks, scratch: Float64Array, docIds: Uint32Array, k,
//               threshold: number, idf: Float64Array, norms: Float64Array): number
// scratch receives k scores first; it needs LEXICAL_WINDOW + n + 3 k entries more.
// maximaLayout: byte offsets of slots, firstEntries, present, entries, superMaxima, blockMaxima, superColumns,
// blockColumns, then the strides of the last two; alpha in 65,536ths; budget in microseconds, 0 = none.
// ../posting-search.ts checks all of it before a call; here only lengths that memory safety needs.
#include <node_api.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <time.h>
#endif

#include "kernels.h"
#include "posting-lists.h"

// The first three as in simd/.
enum { WINDOW = 8192, SUPERBLOCK = 1024, LEXICAL_WINDOW = 4096, EXACT_ARGUMENTS = 9, PRUNED_ARGUMENTS = 13, LEXICAL_ARGUMENTS = 11 };

static double microseconds(void) {
#ifdef _WIN32
  LARGE_INTEGER count, frequency;
  QueryPerformanceCounter(&count);
  QueryPerformanceFrequency(&frequency);
  return 1e6 * (double)count.QuadPart / (double)frequency.QuadPart;
#else
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
#endif
}

static void *typed_array(napi_env env, napi_value value, napi_typedarray_type want, size_t *length) {
  napi_typedarray_type type;
  void *data = NULL;
  *length = 0;
  if (napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) != napi_ok || type != want) return NULL;
  return data;
}

static napi_value refuse(napi_env env) {
  napi_throw_range_error(env, NULL, "posting search: an argument has the wrong type or length");
  return NULL;
}

// What both searches take.
struct call {
  napi_value arguments[PRUNED_ARGUMENTS];
  struct posting_lists lists;
  const uint32_t *query;
  const uint8_t *accept;
  const uint32_t *ranks;
  uint32_t *scratch, *hits;
  size_t scratch_length, hits_length;
  uint32_t n, k, threshold, num_lists;
};

static int parse_lists(const double *layout, const uint8_t *blob, size_t blob_length, struct posting_lists *lists) {
  *lists = (struct posting_lists){
      .num_docs = (uint32_t)layout[0],
      .num_chunks = (uint32_t)layout[1],
      .starts = (const uint32_t *)(blob + (size_t)layout[3]),
      .dense_slots = (const uint16_t *)(blob + (size_t)layout[4]),
      .local_ids = (const uint16_t *)(blob + (size_t)layout[5]),
      .values = blob + (size_t)layout[6],
      .columns = blob + (size_t)layout[7],
      .column_stride = (uint64_t)layout[8],
  };
  return layout[7] <= (double)blob_length;
}

// Reads an optional bitmap: *accept is NULL for undefined.
static int parse_accept(napi_env env, napi_value value, uint32_t num_docs, const uint8_t **accept) {
  napi_valuetype type;
  size_t length;
  *accept = NULL;
  if (napi_typeof(env, value, &type) != napi_ok) return 0;
  if (type == napi_undefined) return 1;
  *accept = typed_array(env, value, napi_uint8_array, &length);
  return *accept != NULL && length * 8 >= num_docs;
}

static int parse(napi_env env, napi_callback_info info, size_t wanted, struct call *c) {
  size_t count = wanted, blob_length, layout_length, query_length, ranks_length;
  napi_value *a = c->arguments;
  if (napi_get_cb_info(env, info, &count, a, NULL, NULL) != napi_ok || count != wanted) return 0;
  const uint8_t *blob = typed_array(env, a[0], napi_uint8_array, &blob_length);
  const double *layout = typed_array(env, a[1], napi_float64_array, &layout_length);
  c->query = typed_array(env, a[2], napi_uint32_array, &query_length);
  c->ranks = typed_array(env, a[4], napi_uint32_array, &ranks_length);
  c->scratch = typed_array(env, a[5], napi_uint32_array, &c->scratch_length);
  c->hits = typed_array(env, a[6], napi_uint32_array, &c->hits_length);
  if (napi_get_value_uint32(env, a[7], &c->k) != napi_ok || napi_get_value_uint32(env, a[8], &c->threshold) != napi_ok ||
      blob == NULL || layout == NULL || layout_length != 9 || c->query == NULL || c->ranks == NULL || c->scratch == NULL ||
      c->hits == NULL || !parse_lists(layout, blob, blob_length, &c->lists))
    return 0;
  c->num_lists = (uint32_t)layout[2];
  c->n = (uint32_t)(query_length / 2);
  if (ranks_length < c->lists.num_docs || c->hits_length < 2 * (size_t)c->k) return 0;
  for (uint32_t i = 0; i < c->n; i++)
    if (c->query[i] >= c->num_lists || c->query[c->n + i] > 32767) return 0;
  return parse_accept(env, a[3], c->lists.num_docs, &c->accept);
}

// The heap begins at the next multiple of 8 bytes after `used` entries of scratch; NULL when it does not fit.
static struct hit *heap_after(const struct call *c, size_t used) {
  struct hit *heap = (struct hit *)(((uintptr_t)(c->scratch + used) + 7) & ~(uintptr_t)7);
  return used <= c->scratch_length && (uint8_t *)(heap + c->k) <= (uint8_t *)(c->scratch + c->scratch_length) ? heap : NULL;
}

static napi_value answer(napi_env env, const struct call *c, const struct hit *heap, uint32_t found) {
  napi_value result;
  for (uint32_t i = 0; i < found; i++) {
    c->hits[i] = heap[i].doc;
    c->hits[c->k + i] = (uint32_t)(heap[i].key >> 32);
  }
  napi_create_uint32(env, found, &result);
  return result;
}

napi_value search_exact_call(napi_env env, napi_callback_info info) {
  struct call c;
  if (!parse(env, info, EXACT_ARGUMENTS, &c)) return refuse(env);
  // Scratch: accumulators, cursors, heap.
  struct hit *heap = heap_after(&c, WINDOW + (size_t)c.n);
  if (heap == NULL) return refuse(env);
  const uint32_t found = kernels_in_use()->search_exact(&c.lists, c.query, c.query + c.n, c.n, c.scratch + WINDOW, c.scratch,
                                                        c.accept, c.ranks, heap, c.k, c.threshold);
  return answer(env, &c, heap, found);
}

napi_value search_pruned_call(napi_env env, napi_callback_info info) {
  struct call c;
  if (!parse(env, info, PRUNED_ARGUMENTS, &c)) return refuse(env);
  size_t maxima_length, layout_length;
  double budget;
  const uint8_t *blob = typed_array(env, c.arguments[9], napi_uint8_array, &maxima_length);
  const double *layout = typed_array(env, c.arguments[10], napi_float64_array, &layout_length);
  struct pruning pruning = {.clock = microseconds};
  if (blob == NULL || layout == NULL || layout_length != 10 || layout[7] > (double)maxima_length ||
      napi_get_value_uint32(env, c.arguments[11], &pruning.alpha) != napi_ok || pruning.alpha > 65536 ||
      napi_get_value_double(env, c.arguments[12], &budget) != napi_ok || c.hits_length < 2 * (size_t)c.k + 2)
    return refuse(env);
  const struct block_maxima maxima = {
      .slots = (const uint16_t *)(blob + (size_t)layout[0]),
      .first_entries = (const uint32_t *)(blob + (size_t)layout[1]),
      .present = (const uint32_t *)(blob + (size_t)layout[2]),
      .entries = (const struct superblock_entry *)(blob + (size_t)layout[3]),
      .super_maxima = blob + (size_t)layout[4],
      .block_maxima = blob + (size_t)layout[5],
      .super_columns = blob + (size_t)layout[6],
      .block_columns = blob + (size_t)layout[7],
      .super_stride = (uint64_t)layout[8],
      .block_stride = (uint64_t)layout[9],
  };
  if (budget > 0) pruning.deadline = microseconds() + budget;
  // Scratch: accumulators, bounds, cursors, order, heap.
  const size_t superblocks = ((size_t)c.lists.num_docs + SUPERBLOCK - 1) / SUPERBLOCK;
  uint32_t *bounds = c.scratch + WINDOW, *cursors = bounds + superblocks;
  uint64_t *order = (uint64_t *)(((uintptr_t)(cursors + 2 * (size_t)c.n) + 7) & ~(uintptr_t)7);
  struct hit *heap = heap_after(&c, WINDOW + 3 * superblocks + 2 * (size_t)c.n + 2);
  if (heap == NULL) return refuse(env);
  const uint32_t found = kernels_in_use()->search_pruned(&c.lists, &maxima, c.query, c.query + c.n, c.n,
                                                         (struct cursor *)cursors, bounds, order, c.scratch, c.accept, c.ranks,
                                                         heap, c.k, c.threshold, &pruning);
  c.hits[2 * (size_t)c.k] = pruning.visited;
  c.hits[2 * (size_t)c.k + 1] = pruning.complete;
  return answer(env, &c, heap, found);
}

napi_value search_lexical_call(napi_env env, napi_callback_info info) {
  size_t count = LEXICAL_ARGUMENTS, blob_length, layout_length, n, ranks_length, scratch_length, hits_length, idf_length,
         norms_length;
  napi_value a[LEXICAL_ARGUMENTS], result;
  struct posting_lists lists;
  const uint8_t *accept;
  uint32_t k;
  double threshold;
  if (napi_get_cb_info(env, info, &count, a, NULL, NULL) != napi_ok || count != LEXICAL_ARGUMENTS) return refuse(env);
  const uint8_t *blob = typed_array(env, a[0], napi_uint8_array, &blob_length);
  const double *layout = typed_array(env, a[1], napi_float64_array, &layout_length);
  const uint32_t *query = typed_array(env, a[2], napi_uint32_array, &n);
  const uint32_t *ranks = typed_array(env, a[4], napi_uint32_array, &ranks_length);
  double *scratch = typed_array(env, a[5], napi_float64_array, &scratch_length);
  uint32_t *hits = typed_array(env, a[6], napi_uint32_array, &hits_length);
  const double *idf = typed_array(env, a[9], napi_float64_array, &idf_length);
  const double *norms = typed_array(env, a[10], napi_float64_array, &norms_length);
  if (napi_get_value_uint32(env, a[7], &k) != napi_ok || napi_get_value_double(env, a[8], &threshold) != napi_ok ||
      blob == NULL || layout == NULL || layout_length != 9 || query == NULL || ranks == NULL || scratch == NULL ||
      hits == NULL || idf == NULL || norms == NULL || !parse_lists(layout, blob, blob_length, &lists) ||
      !parse_accept(env, a[3], lists.num_docs, &accept))
    return refuse(env);
  if (ranks_length < lists.num_docs || norms_length < lists.num_docs || idf_length < n || hits_length < k ||
      scratch_length < LEXICAL_WINDOW + n + 4 * (size_t)k)
    return refuse(env);
  for (size_t i = 0; i < n; i++)
    if (query[i] >= (uint32_t)layout[2]) return refuse(env);
  // Scratch: scores of the hits, accumulators, heap of 16-byte entries, cursors.
  double *scores = scratch + k;
  struct lexical_hit *heap = (struct lexical_hit *)(scores + LEXICAL_WINDOW);
  uint32_t *cursors = (uint32_t *)(heap + k);
  const uint32_t found = kernels_in_use()->search_lexical(&lists, query, idf, (uint32_t)n, norms, cursors, scores, accept, ranks,
                                                          heap, k, threshold);
  for (uint32_t i = 0; i < found; i++) {
    hits[i] = heap[i].doc;
    scratch[i] = heap[i].score;
  }
  napi_create_uint32(env, found, &result);
  return result;
}
