// The Node-API module: picks the instruction set once, then exposes every kernel as a function of plain numbers.
// Arena kernels are called as name(arena: Uint8Array, ...numbers); pointers are byte offsets into the arena, 0 = NULL.
// ../kernels.ts checks every offset and size before a call; here only the argument count and types are checked.
#define _GNU_SOURCE
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#ifdef WITH_AMX
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#include "kernels.h"

extern const struct kernels kernels_baseline;
#ifdef WITH_AVX2
extern const struct kernels kernels_avx2;
#endif
#ifdef WITH_VNNI
extern const struct kernels kernels_vnni;
#endif
#ifdef WITH_AMX
extern const struct kernels kernels_amx;
#endif

static const struct kernels *chosen;
static const char *chosen_name;
// Why nothing better was chosen; empty when there is nothing better.
static const char *chosen_reason = "";

// Tile registers need the processor and, as their 8 KiB a thread are not saved by default, the operating system's leave.
#if defined(WITH_AMX) && defined(__linux__)
static const char *why_no_amx(void) {
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return "amx: the processor does not say what it has";
  const unsigned tiles = 1u << 22 | 1u << 24 | 1u << 25; // AMX-BF16, AMX-TILE, AMX-INT8
  if ((d & tiles) != tiles) return "amx: the processor has no AMX tiles for int8 and bf16";
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & 1u << 5)) return "amx: the processor lacks AVX512-BF16";
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & 3u << 17) != 3u << 17) return "amx: the operating system does not save tile registers";
  const long request_permission = 0x1023, tile_data = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: Linux 5.16
  if (syscall(SYS_arch_prctl, request_permission, tile_data) != 0)
    return "amx: the operating system refused tile registers (Linux 5.16 or later grants them)";
  return NULL;
}
#elif !defined(__aarch64__)
static const char *why_no_amx(void) { return "amx: not known to the compiler, or not Linux"; }
#endif

// WINNOW_CPU=baseline|avx2|vnni|amx lowers the choice; it never selects what the processor lacks.
static void choose_kernels(void) {
  const char *limit = getenv("WINNOW_CPU");
  chosen = &kernels_baseline;
#if defined(__aarch64__)
  chosen_name = "neon";
#else
  chosen_name = "baseline";
  chosen_reason = "limited by WINNOW_CPU";
  if (limit && strcmp(limit, "baseline") == 0) return;
#ifdef WITH_AVX2
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    chosen_reason = "avx2: the processor lacks AVX2 or FMA";
    return;
  }
  chosen = &kernels_avx2;
  chosen_name = "avx2";
  if (limit && strcmp(limit, "avx2") == 0) return;
#endif
#ifdef WITH_VNNI
  if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq")) {
    chosen_reason = "vnni: the processor lacks AVX-512 VNNI";
    return;
  }
  chosen = &kernels_vnni;
  chosen_name = "vnni";
  if (limit && strcmp(limit, "vnni") == 0) return;
#endif
  chosen_reason = why_no_amx();
#ifdef WITH_AMX
  if (chosen_reason) return;
  chosen_reason = "";
  chosen = &kernels_amx;
  chosen_name = "amx";
#endif
#endif
}

const struct kernels *kernels_in_use(void) { return chosen; }

#define MAX_ARGUMENTS 16
#define P(i) (a[i] == 0 ? NULL : (void *)(m + (size_t)a[i]))
#define I(i) ((int32_t)a[i])
#define F(i) ((float)a[i])
#define CALL(name) static double call_##name(uint8_t *m, const double *a)

CALL(gemm_int8) {
  chosen->gemm_int8(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), I(8), I(9), I(10), I(11));
  return 0;
}
CALL(gemm_int8_exact) {
  chosen->gemm_int8_exact(P(0), P(1), P(2), I(3), I(4), I(5));
  return 0;
}
CALL(head_max_int8) {
  chosen->head_max_int8(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), P(8), I(9), I(10), I(11), I(12));
  return 0;
}
CALL(quantize_rows) {
  chosen->quantize_rows(P(0), P(1), P(2), P(3), I(4), I(5), I(6), P(7), P(8));
  return 0;
}
CALL(gelu_quantize) {
  chosen->gelu_quantize(P(0), P(1), P(2), P(3), I(4), I(5), I(6), P(7), P(8));
  return 0;
}
CALL(gelu) {
  chosen->gelu(P(0), I(1));
  return 0;
}
CALL(layer_norm_quantize) {
  chosen->layer_norm_quantize(P(0), P(1), P(2), P(3), F(4), P(5), P(6), P(7), P(8), I(9), I(10), I(11), P(12), P(13));
  return 0;
}
CALL(embed) {
  chosen->embed(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), I(8), I(9), I(10));
  return 0;
}
CALL(collect_above) { return chosen->collect_above(P(0), F(1), P(2), P(3), I(4)); }
CALL(gemm_f32) {
  chosen->gemm_f32(P(0), P(1), P(2), P(3), I(4), I(5), I(6));
  return 0;
}
CALL(attention) {
  chosen->attention(P(0), P(1), P(2), P(3), I(4), I(5), I(6));
  return 0;
}

CALL(gemm_n16) {
  chosen->gemm_n16(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), I(8), I(9), I(10), I(11), I(12));
  return 0;
}
CALL(gemm_block4) {
  chosen->gemm_block4(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), P(8), P(9), P(10), I(11), I(12), I(13), I(14));
  return 0;
}
CALL(gemm_block4_f32) {
  chosen->gemm_block4_f32(P(0), P(1), P(2), P(3), P(4), P(5), P(6), I(7), I(8), I(9));
  return 0;
}
CALL(head_argmax_int8) {
  chosen->head_argmax_int8(P(0), P(1), P(2), P(3), P(4), P(5), P(6), P(7), P(8), P(9), I(10), I(11), I(12), I(13));
  return 0;
}
CALL(head_argmax_f32) {
  chosen->head_argmax_f32(P(0), P(1), P(2), P(3), P(4), P(5), I(6), I(7), I(8), I(9));
  return 0;
}
CALL(score_pairs_int8) {
  chosen->score_pairs_int8(P(0), P(1), P(2), P(3), P(4), P(5), P(6), I(7), I(8), I(9));
  return 0;
}
CALL(head_backward) {
  chosen->head_backward(P(0), P(1), P(2), P(3), P(4), P(5), P(6), I(7), I(8));
  return 0;
}
CALL(gemv_thresholded) { return chosen->gemv_thresholded(P(0), P(1), F(2), P(3), P(4), P(5), P(6), I(7), I(8)); }

struct entry {
  const char *name;
  int arguments;
  double (*call)(uint8_t *m, const double *a);
};
#define ENTRY(name, arguments) {#name, arguments, call_##name}
static const struct entry ENTRIES[] = {
    ENTRY(gemm_int8, 12),      ENTRY(gemm_int8_exact, 6), ENTRY(head_max_int8, 13), ENTRY(quantize_rows, 9),
    ENTRY(gelu_quantize, 9),   ENTRY(gelu, 2),            ENTRY(embed, 11),         ENTRY(layer_norm_quantize, 14),
    ENTRY(collect_above, 5),   ENTRY(gemm_f32, 7),        ENTRY(attention, 7),      ENTRY(gemm_n16, 13),
    ENTRY(gemm_block4, 15),    ENTRY(gemm_block4_f32, 10), ENTRY(head_backward, 9), ENTRY(head_argmax_int8, 14),
    ENTRY(head_argmax_f32, 10), ENTRY(score_pairs_int8, 10), ENTRY(gemv_thresholded, 9),
};

// Arena kernels share this callback; `data` is their row of ENTRIES.
static napi_value call_entry(napi_env env, napi_callback_info info) {
  size_t count = MAX_ARGUMENTS;
  napi_value values[MAX_ARGUMENTS], result = NULL;
  const struct entry *entry = NULL;
  double numbers[MAX_ARGUMENTS];
  void *arena = NULL;
  napi_typedarray_type type;
  if (napi_get_cb_info(env, info, &count, values, NULL, (void **)&entry) != napi_ok) return NULL;
  if (count != (size_t)entry->arguments + 1 ||
      napi_get_typedarray_info(env, values[0], &type, NULL, &arena, NULL, NULL) != napi_ok || type != napi_uint8_array) {
    napi_throw_type_error(env, NULL, "an arena kernel takes a Uint8Array and its fixed number of numbers");
    return NULL;
  }
  for (size_t i = 1; i < count; i++) {
    if (napi_get_value_double(env, values[i], &numbers[i - 1]) != napi_ok) {
      napi_throw_type_error(env, NULL, "an arena kernel takes only numbers after the arena");
      return NULL;
    }
  }
  napi_create_double(env, entry->call(arena, numbers), &result);
  return result;
}

// misalignment(view: Uint8Array): how far its first byte lies past a cache line, 0..63.
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

// Functions that work on their own typed arrays instead of the arena (posting kernels) are listed here.
struct function {
  const char *name;
  napi_callback callback;
};
napi_value search_exact_call(napi_env env, napi_callback_info info); // search.c
napi_value search_pruned_call(napi_env env, napi_callback_info info);
napi_value search_lexical_call(napi_env env, napi_callback_info info);
static const struct function FUNCTIONS[] = {
    {"searchExact", search_exact_call},
    {"searchPruned", search_pruned_call},
    {"searchLexical", search_lexical_call},
    {"misalignment", misalignment},
    {NULL, NULL}};

NAPI_MODULE_INIT() {
  napi_value value;
  choose_kernels();
  for (size_t i = 0; i < sizeof ENTRIES / sizeof *ENTRIES; i++) {
    napi_create_function(env, ENTRIES[i].name, NAPI_AUTO_LENGTH, call_entry, (void *)&ENTRIES[i], &value);
    napi_set_named_property(env, exports, ENTRIES[i].name, value);
  }
  for (const struct function *f = FUNCTIONS; f->name; f++) {
    napi_create_function(env, f->name, NAPI_AUTO_LENGTH, f->callback, NULL, &value);
    napi_set_named_property(env, exports, f->name, value);
  }
  napi_create_uint32(env, KERNELS_VERSION, &value);
  napi_set_named_property(env, exports, "version", value);
  napi_create_string_utf8(env, chosen_name, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, exports, "instructions", value);
  napi_create_string_utf8(env, chosen_reason, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, exports, "reason", value);
  napi_create_string_utf8(env, __VERSION__, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, exports, "compiler", value);
  return exports;
}
