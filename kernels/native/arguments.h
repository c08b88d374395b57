// Arguments of native functions that work on typed arrays of their own; ../table.ts lists their types.
#pragma once
#include <node_api.h>
#include <stdint.h>

#include "../generated/search-layout.h"

// An array or a number, by its kind.
struct argument {
  void *array; // NULL for undefined
  size_t length;
  union {
    uint32_t integer;
    double number;
  };
};

enum { MOST_ARGUMENTS = 16 };

static inline int read_argument(napi_env env, napi_value value, enum argument_kind kind, struct argument *argument) {
  static const napi_typedarray_type TYPES[] = {
      [ARGUMENT_U8S] = napi_uint8_array,   [ARGUMENT_U8S_OR_NONE] = napi_uint8_array,
      [ARGUMENT_U16S] = napi_uint16_array, [ARGUMENT_U32S] = napi_uint32_array,
      [ARGUMENT_I32S] = napi_int32_array,  [ARGUMENT_F32S] = napi_float32_array,
      [ARGUMENT_F64S] = napi_float64_array,
  };
  if (kind == ARGUMENT_U32) return napi_get_value_uint32(env, value, &argument->integer) == napi_ok;
  if (kind == ARGUMENT_F64) return napi_get_value_double(env, value, &argument->number) == napi_ok;
  if (kind == ARGUMENT_U8S_OR_NONE) {
    napi_valuetype type;
    if (napi_typeof(env, value, &type) != napi_ok) return 0;
    if (type == napi_undefined) {
      argument->array = NULL;
      argument->length = 0;
      return 1;
    }
  }
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, &argument->length, &argument->array, NULL, NULL) != napi_ok ||
      type != TYPES[kind])
    return 0;
  return argument->array != NULL || argument->length == 0;
}

static inline int read_arguments(napi_env env, napi_callback_info info, const enum argument_kind *kinds, size_t wanted,
                                 struct argument *arguments) {
  napi_value values[MOST_ARGUMENTS];
  size_t count = wanted;
  if (napi_get_cb_info(env, info, &count, values, NULL, NULL) != napi_ok || count != wanted) return 0;
  for (size_t i = 0; i < wanted; i++)
    if (!read_argument(env, values[i], kinds[i], &arguments[i])) return 0;
  return 1;
}

static inline napi_value reject_arguments(napi_env env, const char *message) {
  napi_throw_range_error(env, NULL, message);
  return NULL;
}

static inline napi_value number_of(napi_env env, uint32_t number) {
  napi_value result = NULL;
  napi_create_uint32(env, number, &result);
  return result;
}
