// Stands between a process and the disk (LD_PRELOAD, Linux). Only calls on a file named index.mdb are touched.
//   FAULT_LOG=FILE    appends every write, every completed sync and every line on standard output, in order, to FILE
//   FAULT_FULL=FILE   while FILE exists, writes of data pages fail with ENOSPC, also into pages that the file has already, as
//                     on a file system that copies on write; with FAULT_FULL_SAID=1 the system says so instead: no space
//                     is left, though what is under way still fits
// Records of the log: u8 kind ('w' write, 'd' write through a descriptor that syncs by itself, 'D' that write has come back,
// 's' sync has come back, 'o' output), u64 offset, u64 length, then the bytes written (kinds w, d, o).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD 1024
enum { OTHER, DATA, DATA_SYNC };
static unsigned char kinds[MAX_FD];
static int opened; // 1 once index.mdb was opened: only then does standard output count
static int log_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int kind_of(int fd) { return fd >= 0 && fd < MAX_FD ? kinds[fd] : OTHER; }

static void record(char kind, uint64_t offset, const struct iovec *parts, int count) {
  if (log_fd < 0) return;
  uint64_t length = 0;
  for (int i = 0; i < count; i++) length += parts[i].iov_len;
  unsigned char head[17] = {(unsigned char)kind};
  memcpy(head + 1, &offset, 8);
  memcpy(head + 9, &length, 8);
  pthread_mutex_lock(&lock);
  REAL(write)(log_fd, head, sizeof head);
  for (int i = 0; i < count; i++) REAL(write)(log_fd, parts[i].iov_base, parts[i].iov_len);
  pthread_mutex_unlock(&lock);
}

static int is_full(int kind) {
  const char *flag = getenv("FAULT_FULL");
  if (!flag || getenv("FAULT_FULL_SAID") || kind != DATA || access(flag, F_OK) != 0) return 0;
  errno = ENOSPC;
  return 1;
}

#define STATFS(name, type)                                              \
  int name(const char *path, struct type *out) {                        \
    int result = REAL(name)(path, out);                                 \
    const char *flag = getenv("FAULT_FULL");                            \
    if (flag && getenv("FAULT_FULL_SAID") && access(flag, F_OK) == 0) out->f_bavail = 0; \
    return result;                                                      \
  }
STATFS(statfs, statfs)
STATFS(statfs64, statfs64)

static int note(int fd, const char *path, int flags) {
  size_t length = strlen(path);
  if (fd < 0 || fd >= MAX_FD) return fd;
  kinds[fd] = OTHER;
  if (length < 9 || strcmp(path + length - 9, "index.mdb") != 0 || (flags & O_ACCMODE) == O_RDONLY) return fd;
  kinds[fd] = flags & O_DSYNC ? DATA_SYNC : DATA;
  const char *log = getenv("FAULT_LOG");
  if (log && log_fd < 0) log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  opened = 1;
  return fd;
}

#define OPEN(name)                                                   \
  int name(const char *path, int flags, ...) {                       \
    va_list rest;                                                    \
    va_start(rest, flags);                                           \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                    \
    return note(REAL(name)(path, flags, mode), path, flags);         \
  }
OPEN(open)
OPEN(open64)

static ssize_t written(int fd, uint64_t offset, const struct iovec *parts, int count, ssize_t (*perform)(int, const struct iovec *, int, off64_t)) {
  int kind = kind_of(fd);
  if (is_full(kind)) return -1;
  record(kind == DATA_SYNC ? 'd' : 'w', offset, parts, count);
  ssize_t result = perform(fd, parts, count, offset);
  if (kind == DATA_SYNC && result >= 0) record('D', offset, 0, 0);
  return result;
}

static ssize_t at_offset(int fd, const struct iovec *parts, int count, off64_t offset) {
  return REAL(pwritev64)(fd, parts, count, offset);
}

static ssize_t at_position(int fd, const struct iovec *parts, int count, off64_t offset) {
  (void)offset;
  return REAL(writev)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
  if (kind_of(fd) == OTHER) return REAL(pwrite64)(fd, bytes, length, offset);
  struct iovec part = {(void *)bytes, length};
  return written(fd, offset, &part, 1, at_offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (kind_of(fd) == OTHER) return REAL(writev)(fd, parts, count);
  return written(fd, lseek64(fd, 0, SEEK_CUR), parts, count, at_position);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  struct iovec part = {(void *)bytes, length};
  if (kind_of(fd) != OTHER) return written(fd, lseek64(fd, 0, SEEK_CUR), &part, 1, at_position);
  if (fd == 1 && opened) record('o', 0, &part, 1);
  return REAL(write)(fd, bytes, length);
}

static int synced(int fd, int result) {
  if (result == 0 && kind_of(fd) != OTHER) record('s', 0, 0, 0);
  return result;
}

int fdatasync(int fd) { return synced(fd, REAL(fdatasync)(fd)); }
int fsync(int fd) { return synced(fd, REAL(fsync)(fd)); }
