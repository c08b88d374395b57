// The posting searches as Node-API functions. ../table.ts lists their parameters; ../search/native-search.ts checks the
// arrays of a block once. Here every search checks types, and the lengths that memory safety needs.
#ifdef _WIN32
#include <windows.h>
#else
#include <time.h>
#endif

#include "../generated/kernels.h"
#include "../search/search-arguments.h"
#include "arguments.h"

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

static napi_value reject(napi_env env) {
  return reject_arguments(env, "posting search: an argument has the wrong type or length");
}

// The checks that all searches need. The parameters that they share come first, in the same order.
static int check_common(const struct argument *a, uint32_t *num_docs) {
  const double *layout = a[SEARCH_EXACT_LAYOUT].array;
  if (a[SEARCH_EXACT_LAYOUT].length != POSTING_LENGTH || layout[POSTING_COLUMNS] > (double)a[SEARCH_EXACT_BYTES].length)
    return 0;
  *num_docs = (uint32_t)layout[POSTING_NUM_DOCS];
  const struct argument *filter_bits = &a[SEARCH_EXACT_FILTER_BITS];
  if (filter_bits->array != NULL && filter_bits->length * 8 < *num_docs) return 0;
  const uint32_t *query = a[SEARCH_EXACT_QUERY].array, terms = a[SEARCH_EXACT_TERMS].integer;
  if (a[SEARCH_EXACT_RANKS].length < *num_docs || a[SEARCH_EXACT_QUERY].length < terms) return 0;
  for (uint32_t i = 0; i < terms; i++)
    if (query[i] >= (uint32_t)layout[POSTING_NUM_LISTS]) return 0;
  return 1;
}

// The checks that searches over impacts need; `scratch_words` and `hit_words` are the lengths that their buffers need.
static int check_impacts(const struct argument *a, size_t scratch_words, size_t hit_words) {
  const uint32_t *query = a[SEARCH_EXACT_QUERY].array;
  const size_t terms = a[SEARCH_EXACT_TERMS].integer;
  if (a[SEARCH_EXACT_QUERY].length != 2 * terms || a[SEARCH_EXACT_SCRATCH].length < scratch_words ||
      a[SEARCH_EXACT_HITS].length < hit_words)
    return 0;
  for (size_t i = terms; i < 2 * terms; i++)
    if (query[i] > MAX_QUERY_WEIGHT) return 0;
  return 1;
}

static struct search_arguments search_arguments_of(const struct argument *a) {
  return (struct search_arguments){
      .bytes = a[SEARCH_EXACT_BYTES].array,
      .layout = a[SEARCH_EXACT_LAYOUT].array,
      .query = a[SEARCH_EXACT_QUERY].array,
      .terms = a[SEARCH_EXACT_TERMS].integer,
      .filter_bits = a[SEARCH_EXACT_FILTER_BITS].array,
      .ranks = a[SEARCH_EXACT_RANKS].array,
      .scratch = a[SEARCH_EXACT_SCRATCH].array,
      .hits = a[SEARCH_EXACT_HITS].array,
      .k = a[SEARCH_EXACT_K].integer,
      .threshold = a[SEARCH_EXACT_THRESHOLD].integer,
      .budget_us = a[SEARCH_EXACT_BUDGET_US].number,
  };
}

napi_value search_exact_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {SEARCH_EXACT_KINDS};
  struct argument a[SEARCH_EXACT_LENGTH];
  uint32_t num_docs;
  if (!read_arguments(env, info, kinds, SEARCH_EXACT_LENGTH, a) || !check_common(a, &num_docs)) return reject(env);
  const struct search_arguments arguments = search_arguments_of(a);
  const size_t k = arguments.k;
  if (!check_impacts(a, exact_scratch_words(arguments.terms, k), 2 * k + 2)) return reject(env);
  return number_of(env, run_search_exact(kernels_in_use()->search_exact, &arguments, microseconds));
}

napi_value search_pruned_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {SEARCH_PRUNED_KINDS};
  struct argument a[SEARCH_PRUNED_LENGTH];
  uint32_t num_docs;
  if (!read_arguments(env, info, kinds, SEARCH_PRUNED_LENGTH, a) || !check_common(a, &num_docs)) return reject(env);
  const struct search_arguments arguments = search_arguments_of(a);
  const struct argument *bytes = &a[SEARCH_PRUNED_BLOCK_MAX_BYTES], *layout = &a[SEARCH_PRUNED_BLOCK_MAX_LAYOUT];
  const double *offsets = layout->array;
  const uint32_t alpha = a[SEARCH_PRUNED_ALPHA].integer;
  const size_t k = arguments.k;
  if (!check_impacts(a, pruned_scratch_words(arguments.terms, k, superblocks_of(num_docs)), 2 * k + 2) ||
      layout->length != BLOCK_MAX_LENGTH || offsets[BLOCK_MAX_BLOCK_COLUMNS] > (double)bytes->length ||
      alpha > ALPHA_ONE)
    return reject(env);
  const struct block_max_index block_max = block_max_index_of(bytes->array, offsets);
  const uint32_t found = run_search_pruned(kernels_in_use()->search_pruned, &arguments, &block_max, alpha,
                                           microseconds);
  return number_of(env, found);
}

napi_value search_lexical_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {SEARCH_LEXICAL_KINDS};
  struct argument a[SEARCH_LEXICAL_LENGTH];
  uint32_t num_docs;
  if (!read_arguments(env, info, kinds, SEARCH_LEXICAL_LENGTH, a) || !check_common(a, &num_docs)) return reject(env);
  const size_t k = a[SEARCH_LEXICAL_K].integer, terms = a[SEARCH_LEXICAL_TERMS].integer;
  double *scratch = a[SEARCH_LEXICAL_SCRATCH].array;
  uint32_t *hits = a[SEARCH_LEXICAL_HITS].array;
  if (a[SEARCH_LEXICAL_NORMS].length < num_docs || a[SEARCH_LEXICAL_IDF].length < terms ||
      a[SEARCH_LEXICAL_HITS].length < 2 * k + 2 || a[SEARCH_LEXICAL_SCRATCH].length < LEXICAL_WINDOW_DOCS + 3 * (terms + 1) + 3 * k)
    return reject(env);
  const struct posting_lists lists = posting_lists_of(a[SEARCH_LEXICAL_BYTES].array, a[SEARCH_LEXICAL_LAYOUT].array);
  // Scratch: the scores of the hits, accumulators, the heap of 16-byte entries, and what is known of each word.
  double *scores = scratch + k;
  struct lexical_hit *heap = (struct lexical_hit *)(scores + LEXICAL_WINDOW_DOCS);
  double *bounds = (double *)(heap + k);
  struct cursor *ranges = (struct cursor *)(bounds + terms + 1);
  const struct lexical_scratch working = {scores, bounds, ranges, (uint32_t *)(ranges + terms)};
  const struct lexical_request request = {
      .lists = &lists,
      .list_ids = a[SEARCH_LEXICAL_QUERY].array,
      .idf = a[SEARCH_LEXICAL_IDF].array,
      .norms = a[SEARCH_LEXICAL_NORMS].array,
      .terms = (uint32_t)terms,
      .k = (uint32_t)k,
      .threshold = a[SEARCH_LEXICAL_THRESHOLD].number,
      .filter_bits = a[SEARCH_LEXICAL_FILTER_BITS].array,
      .ranks = a[SEARCH_LEXICAL_RANKS].array,
      .heap = heap,
  };
  struct time_budget budget = budget_of(a[SEARCH_LEXICAL_BUDGET_US].number, microseconds);
  const uint32_t found = kernels_in_use()->search_lexical(&request, &working, &budget);
  hits[2 * k + 1] = budget.complete;
  for (uint32_t i = 0; i < found; i++) {
    hits[i] = heap[i].doc;
    scratch[i] = heap[i].score;
  }
  return number_of(env, found);
}
