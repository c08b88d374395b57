// The Node-API module: exposes every kernel as a function. Arena kernels are called as name(arena: Uint8Array,
// ...numbers); pointers are byte offsets into the arena, 0 = NULL. The checked calls in TypeScript verify every offset
// and size first; here only the number and types of the arguments are checked.
#include <node_api.h>

#include "../generated/kernel-calls.h"
#include "instruction-set.h"
#include "inversion.h"

#if defined(_WIN32)
#include <windows.h>
#elif defined(__APPLE__)
#include <pthread.h>
#include <pthread/qos.h>
#else
#include <sys/resource.h>
#endif

// Arena kernels share this callback; `data` is their row of ARENA_FUNCTIONS.
static napi_value call_arena_kernel(napi_env env, napi_callback_info info) {
  size_t count = MAX_PARAMETERS + 1;
  napi_value values[MAX_PARAMETERS + 1], result = NULL;
  const struct arena_function *function = NULL;
  double numbers[MAX_PARAMETERS];
  void *arena = NULL;
  napi_typedarray_type type;
  if (napi_get_cb_info(env, info, &count, values, NULL, (void **)&function) != napi_ok) return NULL;
  if (count != (size_t)function->parameters + 1 ||
      napi_get_typedarray_info(env, values[0], &type, NULL, &arena, NULL, NULL) != napi_ok ||
      type != napi_uint8_array) {
    napi_throw_type_error(env, NULL, "an arena kernel takes a Uint8Array and its fixed number of numbers");
    return NULL;
  }
  for (size_t i = 1; i < count; i++) {
    if (napi_get_value_double(env, values[i], &numbers[i - 1]) != napi_ok) {
      napi_throw_type_error(env, NULL, "an arena kernel takes only numbers after the arena");
      return NULL;
    }
  }
  napi_create_double(env, function->call(kernels_in_use(), arena, numbers), &result);
  return result;
}

// misalignment(view: Uint8Array): how many bytes its first byte lies past a cache line, 0..63.
static napi_value misalignment(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value view, result = NULL;
  napi_typedarray_type type;
  void *data = NULL;
  if (napi_get_cb_info(env, info, &count, &view, NULL, NULL) != napi_ok) return NULL;
  if (count != 1 || napi_get_typedarray_info(env, view, &type, NULL, &data, NULL, NULL) != napi_ok) {
    napi_throw_type_error(env, NULL, "misalignment takes a typed array");
    return NULL;
  }
  napi_create_uint32(env, (uint32_t)((uintptr_t)data % 64), &result);
  return result;
}

// lowerPriority(): lets other threads of the machine run before the calling one. Where the system refuses, nothing changes.
static napi_value lower_priority(napi_env env, napi_callback_info info) {
#if defined(_WIN32)
  SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
#elif defined(__APPLE__)
  pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0);
#elif defined(__linux__)
  // Linux keeps a nice value for each thread; 0 names the calling one. The process may have been started with one of its own.
  int nice = getpriority(PRIO_PROCESS, 0) + 5;
  setpriority(PRIO_PROCESS, 0, nice > 19 ? 19 : nice);
#endif
  return NULL;
}

// Functions that work on typed arrays of their own instead of the arena.
napi_value search_exact_call(napi_env env, napi_callback_info info); // search.c
napi_value search_pruned_call(napi_env env, napi_callback_info info);
napi_value search_lexical_call(napi_env env, napi_callback_info info);
static const struct {
  const char *name;
  napi_callback callback;
} FUNCTIONS[] = {
    {"searchExact", search_exact_call},
    {"searchPruned", search_pruned_call},
    {"searchLexical", search_lexical_call},
    {"quantizeWeights", quantize_weights_call},
    {"countColumns", count_columns_call},
    {"scatterRows", scatter_rows_call},
    {"summarizeLists", summarize_lists_call},
    {"crc32", crc32_call},
    {"misalignment", misalignment},
    {"lowerPriority", lower_priority},
};

static void set_text(napi_env env, napi_value exports, const char *name, const char *text) {
  napi_value value;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, exports, name, value);
}

NAPI_MODULE_INIT() {
  napi_value value;
  choose_kernels();
  prepare_inversion();
  for (size_t i = 0; i < sizeof ARENA_FUNCTIONS / sizeof *ARENA_FUNCTIONS; i++) {
    const struct arena_function *function = &ARENA_FUNCTIONS[i];
    napi_create_function(env, function->name, NAPI_AUTO_LENGTH, call_arena_kernel, (void *)function, &value);
    napi_set_named_property(env, exports, function->name, value);
  }
  for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
    napi_create_function(env, FUNCTIONS[i].name, NAPI_AUTO_LENGTH, FUNCTIONS[i].callback, NULL, &value);
    napi_set_named_property(env, exports, FUNCTIONS[i].name, value);
  }
  napi_create_uint32(env, KERNEL_ABI, &value);
  napi_set_named_property(env, exports, "abi", value);
  set_text(env, exports, "instructions", instruction_set_name());
  set_text(env, exports, "reason", instruction_set_reason());
  set_text(env, exports, "compiler", __VERSION__);
  return exports;
}
