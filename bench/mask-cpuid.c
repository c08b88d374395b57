// Preloaded into a process, hides AVX-512, AVX-VNNI and AMX from everything that asks the processor what it has, so that a
// benchmark compares AVX2 with AVX2 on a newer machine. CPUID is made to fault and answered here with those bits cleared
// (Linux, arch_prctl ARCH_SET_CPUID; needs `cpuid_fault` in /proc/cpuinfo). Nothing is emulated: all code runs at full speed.
//   cc -O2 -shared -fPIC -o mask-cpuid.so bench/mask-cpuid.c -ldl
//   LD_PRELOAD=$PWD/mask-cpuid.so node dist/cli/main.js bench kernels
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

typedef int (*set_action)(int, const struct sigaction *, struct sigaction *);
static set_action real_sigaction;
static struct sigaction next; // the handler that the program believes to have installed

static void answer(unsigned leaf, unsigned part, unsigned r[4]) {
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
  __cpuid_count(leaf, part, r[0], r[1], r[2], r[3]);
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
  if (leaf == 7 && part == 0) {
    r[1] &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31);
    r[2] &= ~(1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14);
    r[3] &= ~(1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25);
  }
  if (leaf == 7 && part == 1) {
    r[0] &= ~(1u << 4 | 1u << 5 | 1u << 21 | 1u << 23);
    r[3] &= ~(1u << 4 | 1u << 5 | 1u << 10 | 1u << 19);
  }
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
  const unsigned char *code = (const unsigned char *)g[REG_RIP];
  if (info->si_code == SI_KERNEL && code[0] == 0x0f && code[1] == 0xa2) {
    unsigned r[4];
    answer((unsigned)g[REG_RAX], (unsigned)g[REG_RCX], r);
    g[REG_RAX] = r[0], g[REG_RBX] = r[1], g[REG_RCX] = r[2], g[REG_RDX] = r[3];
    g[REG_RIP] += 2;
    return;
  }
  if (next.sa_flags & SA_SIGINFO && next.sa_sigaction) next.sa_sigaction(signal, info, context);
  else _exit(139);
}

int sigaction(int signal, const struct sigaction *action, struct sigaction *old) {
  if (!real_sigaction) real_sigaction = (set_action)dlsym(RTLD_NEXT, "sigaction");
  if (signal != SIGSEGV) return real_sigaction(signal, action, old);
  if (old) *old = next;
  if (action) next = *action;
  return 0;
}

__attribute__((constructor)) static void start(void) {
  struct sigaction own = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  real_sigaction = (set_action)dlsym(RTLD_NEXT, "sigaction");
  if (real_sigaction(SIGSEGV, &own, NULL) == 0) syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
}
