#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "world_inner.h"

enum {
    CACHESTAT = 451,
    DESCRIPTORS_MAX = 1024, /* that are kept in mind */
    /* All inode numbers have as many digits in a tag, so that each run is of the same length. And
     * no two are the same: thousands of runs make millions of files, each with a new number. */
    INO_BITS = 40,
    FILE_SYSTEM_FAST = 0xEF53,     /* EXT4_SUPER_MAGIC */
    FILE_SYSTEM_SLOW = 0x65735546, /* FUSE_SUPER_MAGIC */
};

/* --- files --- */

long REAL(syscall)(long number, ...);
long WRAPPED(syscall)(long number, ...);
int REAL(statx)(int fd, const char *path, int flags, unsigned mask, struct statx *ret_st);
int WRAPPED(statx)(int fd, const char *path, int flags, unsigned mask, struct statx *ret_st);

/* What was opened, and when the first bytes were written that are not synced; the time is a count.
 */
static struct {
    unsigned long now, wrote; /* 0: all is synced */
    unsigned long opened[DESCRIPTORS_MAX];
    unsigned late;
} syncs;

void world_wrote(void)
{
    if (syncs.wrote == 0)
        syncs.wrote = ++syncs.now;
}

void world_forget_writes(void)
{
    syncs.wrote = 0;
}

unsigned world_late_syncs(void)
{
    return syncs.late;
}

static long note_opened(long fd)
{
    if (fd >= 0 && fd < DESCRIPTORS_MAX)
        syncs.opened[fd] = ++syncs.now;
    return fd;
}

/* --- a file system of its own --- */

static bool is_below(int fd)
{
    char link[32], path[PATH_MAX];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    return strstr(path, "/puts") != NULL;
}

static bool leads_below(int fd, const char *path)
{
    return world_now()->below && strncmp(path, "puts", 4) == 0 && !is_below(fd);
}

/* --- opening and looking --- */

static long open_wrapped(long fd, const char *path, const struct open_how *how)
{
    struct open_how h = *how;

    if (world_fails(FAULT_OPEN))
        return -1;
    if (world_now()->cold && (h.resolve & RESOLVE_CACHED)) {
        errno = EAGAIN;
        return -1;
    }
    if ((h.resolve & RESOLVE_NO_XDEV) && leads_below((int)fd, path)) {
        errno = EXDEV;
        return -1;
    }
    h.resolve &= ~(uint64_t)RESOLVE_CACHED;
    return note_opened(REAL(syscall)(SYS_openat2, fd, path, &h, sizeof(h)));
}

static uint64_t even_ino(uint64_t ino)
{
    const uint64_t highest = UINT64_C(1) << (INO_BITS - 1);

    return (ino & (highest - 1)) | highest;
}

static long stat_wrapped(long fd, struct stat *ret_st)
{
    if (world_fails(FAULT_STAT))
        return -1;
    long r = REAL(syscall)(SYS_fstat, fd, ret_st);
    if (r == 0)
        ret_st->st_ino = even_ino(ret_st->st_ino);
    return r;
}

static long cachestat_wrapped(const uint64_t range[2], uint64_t ret_stat[5])
{
    const uint64_t page = 4096;

    if (world_fails(FAULT_CACHESTAT))
        return -1;
    memset(ret_stat, 0, 5 * sizeof(uint64_t));
    if (!world_now()->cold)
        ret_stat[0] = (range[0] + range[1] - 1) / page - range[0] / page + 1;
    return 0;
}

long WRAPPED(syscall)(long number, ...)
{
    void *a[4];
    va_list args;

    va_start(args, number);
    for (unsigned i = 0; i < 4; i++)
        a[i] = va_arg(args, void *);
    va_end(args);
    switch (number) {
    case SYS_openat2:
        return open_wrapped((int)(intptr_t)a[0], a[1], a[2]);
    case SYS_fstat:
        return stat_wrapped((int)(intptr_t)a[0], a[1]);
    case CACHESTAT:
        return cachestat_wrapped(a[1], a[2]);
    default: /* world_now()->c does not know it, so no script may meet it */
        abort();
    }
}

int WRAPPED(statx)(int fd, const char *path, int flags, unsigned mask, struct statx *ret_st)
{
    /* What is open is not gone. */
    if (world_fails(mask == STATX_TYPE                        ? FAULT_TYPE
                    : mask == STATX_MNT_ID || path[0] == '\0' ? FAULT_STAT
                                                              : FAULT_STAT_PATH))
        return -1;
    int r = REAL(statx)(fd, path, flags, mask, ret_st);
    if (r == 0)
        ret_st->stx_ino = even_ino(ret_st->stx_ino);
    if (r == 0 && mask == STATX_MNT_ID)
        ret_st->stx_mnt_id = world_now()->below && is_below(fd);
    return r;
}

ssize_t REAL(preadv64v2)(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t WRAPPED(preadv64v2)(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t REAL(sendfile64)(int out, int in, off_t *offset, size_t len);
ssize_t WRAPPED(sendfile64)(int out, int in, off_t *offset, size_t len);
ssize_t REAL(getdents64)(int fd, void *memory, size_t len);
ssize_t WRAPPED(getdents64)(int fd, void *memory, size_t len);
off_t REAL(lseek64)(int fd, off_t offset, int whence);
off_t WRAPPED(lseek64)(int fd, off_t offset, int whence);
int REAL(fstatfs64)(int fd, struct statfs *ret_fs);
int WRAPPED(fstatfs64)(int fd, struct statfs *ret_fs);

/* The server calls it with RWF_NOWAIT only. */
ssize_t WRAPPED(preadv64v2)(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    struct iovec first = *iov;
    int error = fault_at(FAULT_READ_NOW);

    (void)flags;
    if (error == FAULT_NOTHING)
        return 0;
    if (error > 0 || world_now()->cold) {
        errno = error > 0 ? error : EAGAIN;
        return -1;
    }
    first.iov_len = world_shortened(first.iov_len);
    if (first.iov_len < iov->iov_len)
        return REAL(preadv64v2)(fd, &first, 1, offset, 0);
    return REAL(preadv64v2)(fd, iov, count, offset, 0);
}

ssize_t WRAPPED(sendfile64)(int out, int in, off_t *offset, size_t len)
{
    int error = fault_at(FAULT_SENDFILE);

    if (error == FAULT_NOTHING)
        return 0;
    if (error > 0) {
        errno = error;
        return -1;
    }
    return REAL(sendfile64)(out, in, offset, world_shortened(len));
}

ssize_t WRAPPED(getdents64)(int fd, void *memory, size_t len)
{
    if (world_fails(FAULT_FOLDER))
        return -1;
    ssize_t n = REAL(getdents64)(fd, memory, len);
    for (ssize_t at = 0; world_now()->untyped && at < n;) {
        struct dirent64 *d = (void *)((char *)memory + at);
        d->d_type = DT_UNKNOWN;
        at += d->d_reclen;
    }
    return n;
}

off_t WRAPPED(lseek64)(int fd, off_t offset, int whence)
{
    return world_fails(FAULT_SEEK) ? -1 : REAL(lseek64)(fd, offset, whence);
}

int WRAPPED(fstatfs64)(int fd, struct statfs *ret_fs)
{
    if (world_fails(FAULT_STATFS))
        return -1;
    int r = REAL(fstatfs64)(fd, ret_fs);
    ret_fs->f_type = world_now()->slow ? FILE_SYSTEM_SLOW : FILE_SYSTEM_FAST;
    return r;
}

/* --- changes --- */

int REAL(fstatat64)(int dir_fd, const char *name, struct stat *ret_st, int flags);
int WRAPPED(fstatat64)(int dir_fd, const char *name, struct stat *ret_st, int flags);
ssize_t REAL(pwrite64)(int fd, const void *data, size_t len, off_t offset);
ssize_t WRAPPED(pwrite64)(int fd, const void *data, size_t len, off_t offset);
int REAL(linkat)(int from_fd, const char *from, int to_fd, const char *to, int flags);
int WRAPPED(linkat)(int from_fd, const char *from, int to_fd, const char *to, int flags);
int REAL(renameat)(int from_fd, const char *from, int to_fd, const char *to);
int WRAPPED(renameat)(int from_fd, const char *from, int to_fd, const char *to);
int REAL(renameat2)(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int WRAPPED(renameat2)(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int REAL(fsync)(int fd);
int WRAPPED(fsync)(int fd);
int REAL(syncfs)(int fd);
int WRAPPED(syncfs)(int fd);
int REAL(fchmod)(int fd, mode_t mode);
int WRAPPED(fchmod)(int fd, mode_t mode);
int REAL(fchown)(int fd, uid_t user, gid_t group);
int WRAPPED(fchown)(int fd, uid_t user, gid_t group);
int REAL(futimens)(int fd, const struct timespec times[2]);
int WRAPPED(futimens)(int fd, const struct timespec times[2]);
int REAL(utimensat)(int dir_fd, const char *name, const struct timespec times[2], int flags);
int WRAPPED(utimensat)(int dir_fd, const char *name, const struct timespec times[2], int flags);
ssize_t REAL(pread64)(int fd, void *memory, size_t len, off_t offset);
ssize_t WRAPPED(pread64)(int fd, void *memory, size_t len, off_t offset);

int WRAPPED(fstatat64)(int dir_fd, const char *name, struct stat *ret_st, int flags)
{
    if (world_fails(FAULT_STAT))
        return -1;
    int r = REAL(fstatat64)(dir_fd, name, ret_st, flags);
    if (r == 0)
        ret_st->st_ino = even_ino(ret_st->st_ino);
    return r;
}

ssize_t WRAPPED(pwrite64)(int fd, const void *data, size_t len, off_t offset)
{
    int error = fault_at(FAULT_WRITE_NOW);

    if (error == 0) {
        world_wrote();
        return REAL(pwrite64)(fd, data, world_shortened(len), offset);
    }
    errno = error;
    return error == FAULT_NOTHING ? 0 : -1;
}

int WRAPPED(linkat)(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    return world_fails(FAULT_LINK) ? -1 : REAL(linkat)(from_fd, from, to_fd, to, flags);
}

/* Where each folder is a file system of its own. */
static bool leads_across(int from_fd, int to_fd)
{
    struct stat from, to;

    if (!world_now()->across || REAL(syscall)(SYS_fstat, from_fd, &from) < 0 ||
        REAL(syscall)(SYS_fstat, to_fd, &to) < 0 || from.st_ino == to.st_ino)
        return false;
    errno = EXDEV;
    return true;
}

int WRAPPED(renameat)(int from_fd, const char *from, int to_fd, const char *to)
{
    if (world_fails(FAULT_RENAME) || leads_across(from_fd, to_fd))
        return -1;
    return REAL(renameat)(from_fd, from, to_fd, to);
}

int WRAPPED(renameat2)(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (world_fails(FAULT_RENAME) || leads_across(from_fd, to_fd))
        return -1;
    return REAL(renameat2)(from_fd, from, to_fd, to, flags);
}

/* Thousands of runs are to come, and no power cut. */
int WRAPPED(sync_file_range)(int fd, off64_t offset, off64_t len, unsigned flags);

int WRAPPED(sync_file_range)(int fd, off64_t offset, off64_t len, unsigned flags)
{
    (void)fd;
    (void)offset;
    (void)len;
    (void)flags;
    return world_fails(FAULT_SYNC_RANGE) ? -1 : 0;
}

int REAL(fallocate64)(int fd, int mode, off_t from, off_t len);
int WRAPPED(fallocate64)(int fd, int mode, off_t from, off_t len);

int WRAPPED(fallocate64)(int fd, int mode, off_t from, off_t len)
{
    return world_fails(FAULT_RESERVE) ? -1 : REAL(fallocate64)(fd, mode, from, len);
}

int WRAPPED(fsync)(int fd)
{
    (void)fd;
    world_forget_writes(); /* a copy of one file */
    return world_fails(FAULT_SYNC) ? -1 : 0;
}

int WRAPPED(syncfs)(int fd)
{
    assert(fd >= 0 && fd < DESCRIPTORS_MAX);
    if (fault_kind_now() != FAULTS_MANY && syncs.wrote > 0 && syncs.opened[fd] > syncs.wrote)
        syncs.late++;
    syncs.wrote = 0;
    return world_fails(FAULT_SYNC) ? -1 : 0;
}

int WRAPPED(fchmod)(int fd, mode_t mode)
{
    return world_fails(FAULT_RIGHTS) ? -1 : REAL(fchmod)(fd, mode);
}

int WRAPPED(fchown)(int fd, uid_t user, gid_t group)
{
    return world_fails(FAULT_RIGHTS) ? -1 : REAL(fchown)(fd, user, group);
}

int WRAPPED(futimens)(int fd, const struct timespec times[2])
{
    return world_fails(FAULT_TIMES) ? -1 : REAL(futimens)(fd, times);
}

int WRAPPED(utimensat)(int dir_fd, const char *name, const struct timespec times[2], int flags)
{
    return world_fails(FAULT_TIMES) ? -1 : REAL(utimensat)(dir_fd, name, times, flags);
}

ssize_t WRAPPED(pread64)(int fd, void *memory, size_t len, off_t offset)
{
    int error = fault_at(FAULT_READ_AT);

    if (error == 0)
        return REAL(pread64)(fd, memory, world_shortened(len), offset);
    errno = error;
    return error == FAULT_NOTHING ? 0 : -1;
}

/* --- watched folders --- */

int REAL(fanotify_init)(unsigned flags, unsigned event_flags);
int WRAPPED(fanotify_init)(unsigned flags, unsigned event_flags);
int REAL(fanotify_mark)(int group, unsigned flags, uint64_t mask, int dir_fd, const char *path);
int WRAPPED(fanotify_mark)(int group, unsigned flags, uint64_t mask, int dir_fd, const char *path);
ssize_t REAL(read)(int fd, void *memory, size_t len);
ssize_t WRAPPED(read)(int fd, void *memory, size_t len);

static int changes_fd = -1;

int WRAPPED(fanotify_init)(unsigned flags, unsigned event_flags)
{
    changes_fd = world_fails(FAULT_CHANGES) ? -1 : REAL(fanotify_init)(flags, event_flags);
    return changes_fd;
}

/* Adding a mark can fail; taking one away cannot, where it is. */
int WRAPPED(fanotify_mark)(int group, unsigned flags, uint64_t mask, int dir_fd, const char *path)
{
    if ((flags & FAN_MARK_ADD) && world_fails(FAULT_MARK))
        return -1;
    return REAL(fanotify_mark)(group, flags, mask, dir_fd, path);
}

ssize_t WRAPPED(read)(int fd, void *memory, size_t len)
{
    int error = fd == changes_fd ? fault_at(FAULT_CHANGES_SEEN) : 0;

    if (error == 0)
        return REAL(read)(fd, memory, len);
    errno = error;
    return error == FAULT_NOTHING ? 0 : -1;
}
