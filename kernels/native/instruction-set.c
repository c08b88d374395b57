// Picks the instruction set once, when the module is loaded.
#define _GNU_SOURCE
#include "instruction-set.h"

#include <stdlib.h>
#include <string.h>
#ifdef WITH_AMX
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

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
static const char *chosen_reason = "";

// Tile registers need the processor. They also need the operating system's permission, because it does not save their
// 8 KiB per thread by default.
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
static const char *why_no_amx(void) { return "amx: the compiler does not know it, or the system is not Linux"; }
#endif

void choose_kernels(void) {
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
const char *instruction_set_name(void) { return chosen_name; }
const char *instruction_set_reason(void) { return chosen_reason; }
