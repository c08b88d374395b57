// The functions that build posting lists, as Node-API functions. ../table.ts lists their parameters;
// ../search/inversion.ts checks what the arrays hold. Here types and lengths are checked.
#include "arguments.h"

#include "../generated/kernels.h"
#include "../search/crc32.h"
#include "../search/inversion.h"
#include "../search/search-arguments.h"
#include "inversion.h"

void prepare_inversion(void) { prepare_crc32(); }

static napi_value reject(napi_env env) {
  return reject_arguments(env, "posting lists: an argument has the wrong type or length");
}

napi_value quantize_weights_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {QUANTIZE_WEIGHTS_KINDS};
  struct argument a[QUANTIZE_WEIGHTS_LENGTH];
  if (!read_arguments(env, info, kinds, QUANTIZE_WEIGHTS_LENGTH, a)) return reject(env);
  const uint32_t count = a[QUANTIZE_WEIGHTS_COUNT].integer;
  const size_t at = a[QUANTIZE_WEIGHTS_AT].integer;
  if (a[QUANTIZE_WEIGHTS_WEIGHTS].length < count || a[QUANTIZE_WEIGHTS_IMPACTS].length < at + count) return reject(env);
  uint8_t *impacts = a[QUANTIZE_WEIGHTS_IMPACTS].array;
  return number_of(env, quantize_weights(a[QUANTIZE_WEIGHTS_WEIGHTS].array, count,
                                         a[QUANTIZE_WEIGHTS_PER_IMPACT].number, impacts + at));
}

napi_value count_columns_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {COUNT_COLUMNS_KINDS};
  struct argument a[COUNT_COLUMNS_LENGTH];
  if (!read_arguments(env, info, kinds, COUNT_COLUMNS_LENGTH, a)) return reject(env);
  const uint32_t from = a[COUNT_COLUMNS_FROM].integer, to = a[COUNT_COLUMNS_TO].integer;
  if (from > to || a[COUNT_COLUMNS_COLUMN_IDS].length < to || a[COUNT_COLUMNS_COUNTS].length < COLUMNS)
    return reject(env);
  count_columns((const uint16_t *)a[COUNT_COLUMNS_COLUMN_IDS].array + from, to - from, a[COUNT_COLUMNS_COUNTS].array);
  return NULL;
}

napi_value scatter_rows_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {SCATTER_ROWS_KINDS};
  struct argument a[SCATTER_ROWS_LENGTH];
  if (!read_arguments(env, info, kinds, SCATTER_ROWS_LENGTH, a)) return reject(env);
  const struct inversion rows = {
      .row_offsets = a[SCATTER_ROWS_ROW_OFFSETS].array,
      .column_ids = a[SCATTER_ROWS_COLUMN_IDS].array,
      .values = a[SCATTER_ROWS_VALUES].array,
      .first_doc = a[SCATTER_ROWS_FIRST_DOC].integer,
      .end_doc = a[SCATTER_ROWS_END_DOC].integer,
      .counts = a[SCATTER_ROWS_COUNTS].array,
      .next = a[SCATTER_ROWS_NEXT].array,
      .local_ids = a[SCATTER_ROWS_LOCAL_IDS].array,
      .list_values = a[SCATTER_ROWS_LIST_VALUES].array,
      .columns = a[SCATTER_ROWS_COLUMNS].array,
      .column_stride = a[SCATTER_ROWS_COLUMN_STRIDE].integer,
  };
  if (rows.first_doc >= rows.end_doc || rows.end_doc >= a[SCATTER_ROWS_ROW_OFFSETS].length ||
      a[SCATTER_ROWS_COUNTS].length < COLUMNS || a[SCATTER_ROWS_NEXT].length < COLUMNS)
    return reject(env);
  const uint32_t from = rows.row_offsets[rows.first_doc], to = rows.row_offsets[rows.end_doc];
  if (from > to || a[SCATTER_ROWS_COLUMN_IDS].length < to || a[SCATTER_ROWS_VALUES].length < to ||
      a[SCATTER_ROWS_SCRATCH].length < COLUMNS + (size_t)(to - from))
    return reject(env);
  uint32_t *scratch = a[SCATTER_ROWS_SCRATCH].array;
  scatter_rows(&rows, scratch, scratch + COLUMNS);
  return NULL;
}

napi_value summarize_lists_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {SUMMARIZE_LISTS_KINDS};
  struct argument a[SUMMARIZE_LISTS_LENGTH];
  if (!read_arguments(env, info, kinds, SUMMARIZE_LISTS_LENGTH, a)) return reject(env);
  const double *layout = a[SUMMARIZE_LISTS_LAYOUT].array;
  if (a[SUMMARIZE_LISTS_LAYOUT].length != POSTING_LENGTH ||
      layout[POSTING_COLUMNS] > (double)a[SUMMARIZE_LISTS_BYTES].length)
    return reject(env);
  const struct posting_lists lists = posting_lists_of(a[SUMMARIZE_LISTS_BYTES].array, layout);
  const uint32_t num_lists = (uint32_t)layout[POSTING_NUM_LISTS], *ranks = a[SUMMARIZE_LISTS_RANKS].array;
  const size_t num_ranks = a[SUMMARIZE_LISTS_RANKS].length;
  const uint32_t *frequencies = a[SUMMARIZE_LISTS_FREQUENCIES].array;
  uint8_t *kth_values = a[SUMMARIZE_LISTS_KTH_VALUES].array;
  uint32_t *checksums = a[SUMMARIZE_LISTS_CHECKSUMS].array;
  if (num_ranks == 0 || a[SUMMARIZE_LISTS_FREQUENCIES].length < num_lists ||
      a[SUMMARIZE_LISTS_KTH_VALUES].length < num_lists * num_ranks || a[SUMMARIZE_LISTS_CHECKSUMS].length < num_lists)
    return reject(env);
  for (uint32_t list = 0; list < num_lists; list++) {
    const uint8_t *values;
    size_t count;
    const uint16_t dense = lists.dense_slots[list];
    if (dense == NOT_DENSE) {
      const uint32_t from = lists.starts[(size_t)list * lists.num_chunks];
      count = lists.starts[((size_t)list + 1) * lists.num_chunks] - from;
      values = lists.values + from;
      checksums[list] = crc32_of((const uint8_t *)(lists.local_ids + from), 2 * count, 0) ^ crc32_of(values, count, 0);
    } else {
      count = lists.num_docs;
      values = lists.columns + dense * lists.column_stride;
      checksums[list] = crc32_of(values, count, 0);
    }
    if (frequencies[list] >= ranks[0]) kth_largest(values, count, ranks, num_ranks, kth_values + list * num_ranks);
  }
  return NULL;
}

napi_value crc32_call(napi_env env, napi_callback_info info) {
  static const enum argument_kind kinds[] = {CRC32_KINDS};
  struct argument a[CRC32_LENGTH];
  if (!read_arguments(env, info, kinds, CRC32_LENGTH, a)) return reject(env);
  return number_of(env, crc32_of(a[CRC32_BYTES].array, a[CRC32_BYTES].length, a[CRC32_BEFORE].integer));
}
