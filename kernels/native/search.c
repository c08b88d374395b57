// searchExact(blob: Uint8Array, layout: Float64Array, query: Uint32Array, accept: Uint8Array | undefined,
//             ranks: Uint32Array, scratch: Uint32Array, hits: Uint32Array, k: number,
//             threshold: number): number
// layout: numDocs, numChunks, numLists, then byte offsets of starts, denseSlots, localIds, values, columns, then the
// column stride; query: n list numbers then n weights; scratch: WINDOW + n + 4 k entries; hits: receives k document ids
// then k scores. ../posting-search.ts checks all of it before a call; here only lengths that memory safety needs.
#include <node_api.h>

#include "kernels.h"
#include "posting-lists.h"

enum { WINDOW = 8192 }; // as in simd/posting-search.h

static void *typed_array(napi_env env, napi_value value, napi_typedarray_type want, size_t *length) {
  napi_typedarray_type type;
  void *data = NULL;
  *length = 0;
  if (napi_get_typedarray_info(env, value, &type, length, &data, NULL, NULL) != napi_ok || type != want) return NULL;
  return data;
}

static napi_value refuse(napi_env env) {
  napi_throw_range_error(env, NULL, "searchExact: an argument has the wrong type or length");
  return NULL;
}

napi_value search_exact_call(napi_env env, napi_callback_info info) {
  size_t count = 9, blob_length, layout_length, query_length, accept_length = 0, ranks_length, scratch_length, hits_length;
  napi_value a[9], result;
  uint32_t k, threshold;
  if (napi_get_cb_info(env, info, &count, a, NULL, NULL) != napi_ok || count != 9) return refuse(env);
  const uint8_t *blob = typed_array(env, a[0], napi_uint8_array, &blob_length);
  const double *layout = typed_array(env, a[1], napi_float64_array, &layout_length);
  const uint32_t *query = typed_array(env, a[2], napi_uint32_array, &query_length);
  const uint8_t *accept = NULL;
  napi_valuetype accept_type;
  if (napi_typeof(env, a[3], &accept_type) != napi_ok) return refuse(env);
  if (accept_type != napi_undefined) {
    accept = typed_array(env, a[3], napi_uint8_array, &accept_length);
    if (accept == NULL) return refuse(env);
  }
  const uint32_t *ranks = typed_array(env, a[4], napi_uint32_array, &ranks_length);
  uint32_t *scratch = typed_array(env, a[5], napi_uint32_array, &scratch_length);
  uint32_t *hits = typed_array(env, a[6], napi_uint32_array, &hits_length);
  if (napi_get_value_uint32(env, a[7], &k) != napi_ok || napi_get_value_uint32(env, a[8], &threshold) != napi_ok || blob == NULL || layout == NULL || layout_length != 9 ||
      query == NULL || ranks == NULL || scratch == NULL || hits == NULL)
    return refuse(env);

  const uint32_t n = (uint32_t)(query_length / 2);
  const uint32_t num_lists = (uint32_t)layout[2];
  const struct posting_lists lists = {
      .num_docs = (uint32_t)layout[0],
      .num_chunks = (uint32_t)layout[1],
      .starts = (const uint32_t *)(blob + (size_t)layout[3]),
      .dense_slots = (const uint16_t *)(blob + (size_t)layout[4]),
      .local_ids = (const uint16_t *)(blob + (size_t)layout[5]),
      .values = blob + (size_t)layout[6],
      .columns = blob + (size_t)layout[7],
      .column_stride = (uint64_t)layout[8],
  };
  if (layout[7] > (double)blob_length || ranks_length < lists.num_docs || hits_length < 2 * (size_t)k ||
      scratch_length < WINDOW + n + 4 * (size_t)k || (accept != NULL && accept_length * 8 < lists.num_docs))
    return refuse(env);
  for (uint32_t i = 0; i < n; i++) {
    if (query[i] >= num_lists || query[n + i] > 32767) return refuse(env);
  }
  // Scratch: accumulators, cursors, then the heap, whose 16-byte entries need 8-byte alignment.
  uint32_t *cursors = scratch + WINDOW;
  struct hit *heap = (struct hit *)(((uintptr_t)(cursors + n) + 7) & ~(uintptr_t)7);
  if ((uint8_t *)(heap + k) > (uint8_t *)(scratch + scratch_length)) return refuse(env);
  const uint32_t found = kernels_in_use()->search_exact(&lists, query, query + n, n, cursors, scratch, accept, ranks, heap, k, threshold);
  for (uint32_t i = 0; i < found; i++) {
    hits[i] = heap[i].doc;
    hits[k + i] = (uint32_t)(heap[i].key >> 32);
  }
  napi_create_uint32(env, found, &result);
  return result;
}
