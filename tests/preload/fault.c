#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/sanitize.h"

#define PUBLIC __attribute__((visibility("default")))

/* linux/tls.h, which may not be there in this form. */
enum { LEVEL_TLS = 282, OPTION_TLS_TX = 1, CALL_CACHESTAT = 451 };

static struct fault *faults; /* NULL: nothing fails */

/* --- libc's own: looked up early, as a lookup may need memory --- */

static struct {
    int (*setsockopt)(int, int, int, const void *, socklen_t);
    ssize_t (*sendfile)(int, int, off_t *, size_t);
    ssize_t (*preadv2)(int, const struct iovec *, int, off_t, int);
    long (*syscall)(long, ...);
    int (*fsync)(int);
    int (*syncfs)(int);
    int (*sync_file_range)(int, off64_t, off64_t, unsigned);
    int (*fallocate)(int, int, off64_t, off64_t);
    int (*unlinkat)(int, const char *, int);
    int (*clock_gettime)(clockid_t, struct timespec *);
} libc;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("FASTFILE_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    *(void **)&libc.setsockopt = dlsym(RTLD_NEXT, "setsockopt");
    *(void **)&libc.sendfile = dlsym(RTLD_NEXT, "sendfile64");
    *(void **)&libc.preadv2 = dlsym(RTLD_NEXT, "preadv64v2");
    *(void **)&libc.syscall = dlsym(RTLD_NEXT, "syscall");
    *(void **)&libc.fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&libc.syncfs = dlsym(RTLD_NEXT, "syncfs");
    *(void **)&libc.sync_file_range = dlsym(RTLD_NEXT, "sync_file_range");
    *(void **)&libc.fallocate = dlsym(RTLD_NEXT, "fallocate64");
    *(void **)&libc.unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    *(void **)&libc.clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    if (fd < 0)
        return;
    void *memory =
        mmap(NULL, sizeof(struct fault[FAULT_CALLS]), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED)
        faults = memory;
}

/* Whether this call fails; then errno is set. In the order of arrival, from whichever process. */
static bool fails(enum fault_call call, bool *ret_pretend)
{
    struct fault *f = faults ? &faults[call] : NULL;

    *ret_pretend = false;
    if (!f || __atomic_load_n(&f->times, __ATOMIC_SEQ_CST) == 0)
        return false;
    uint32_t skip = __atomic_load_n(&f->skip, __ATOMIC_SEQ_CST);
    while (skip > 0)
        if (__atomic_compare_exchange_n(&f->skip, &skip, skip - 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            return false;
    uint32_t times = __atomic_load_n(&f->times, __ATOMIC_SEQ_CST);
    while (times > 0 && times != UINT32_MAX)
        if (__atomic_compare_exchange_n(&f->times, &times, times - 1, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST))
            break;
    if (times == 0)
        return false;
    __atomic_add_fetch(&f->hits, 1, __ATOMIC_SEQ_CST);
    if (f->error < 0) {
        struct timespec delay = {-f->error / 1000, -f->error % 1000 * 1000000L};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
        return false;
    }
    *ret_pretend = f->error == 0;
    if (f->error != 0)
        errno = f->error;
    return true;
}

/* --- the calls --- */

static int option_call(int level, int option)
{
    if (level == IPPROTO_TCP && option == TCP_ULP)
        return FAULT_TCP_ULP;
    if (level == IPPROTO_TCP && option == TCP_NOTSENT_LOWAT)
        return FAULT_NOTSENT_LOWAT;
    return level == LEVEL_TLS && option == OPTION_TLS_TX ? FAULT_TLS_TX : -1;
}

PUBLIC int setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    int call = option_call(level, option);
    bool pretend;

    if (call >= 0 && fails((enum fault_call)call, &pretend))
        return pretend ? 0 : -1;
    return libc.setsockopt(fd, level, option, value, length);
}

PUBLIC ssize_t sendfile64(int to, int from, off_t *offset, size_t count)
{
    bool pretend;

    return fails(FAULT_SENDFILE, &pretend) ? -1 : libc.sendfile(to, from, offset, count);
}

PUBLIC ssize_t preadv64v2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    bool pretend;

    return flags & RWF_NOWAIT && fails(FAULT_PREADV2, &pretend)
               ? -1
               : libc.preadv2(fd, iov, count, offset, flags);
}

PUBLIC int fsync(int fd)
{
    struct stat st;
    bool pretend, is_folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

    if (fails(is_folder ? FAULT_FSYNC_FOLDER : FAULT_FSYNC, &pretend))
        return pretend ? 0 : -1;
    return libc.fsync(fd);
}

PUBLIC int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags)
{
    bool pretend;

    if (fails(FAULT_SYNC_RANGE, &pretend) || fails(FAULT_FSYNC, &pretend))
        return pretend ? 0 : -1;
    return libc.sync_file_range(fd, offset, len, flags);
}

PUBLIC int fallocate64(int fd, int mode, off64_t from, off64_t len)
{
    bool pretend;

    return fails(FAULT_FALLOCATE, &pretend) ? -1 : libc.fallocate(fd, mode, from, len);
}

PUBLIC int unlinkat(int fd, const char *name, int flags)
{
    bool pretend;

    if (fails(FAULT_UNLINK, &pretend))
        return pretend ? 0 : -1;
    return libc.unlinkat(fd, name, flags);
}

PUBLIC int syncfs(int fd)
{
    bool pretend;

    if (fails(FAULT_SYNCFS, &pretend))
        return pretend ? 0 : -1;
    return libc.syncfs(fd);
}

/* Six arguments, as many as there can be: those that were not given are not looked at by the kernel
 * either, but AddressSanitizer would see them being read. */
PUBLIC __attribute__((no_sanitize("address"))) long syscall(long number, ...)
{
    long a[6];
    bool pretend;
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == CALL_CACHESTAT && fails(FAULT_CACHESTAT, &pretend))
        return -1;
    return libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#if !SANITIZED
void *__libc_malloc(size_t size);

PUBLIC void *malloc(size_t size)
{
    bool pretend;

    return size >= FAULT_MALLOC_LEAST && fails(FAULT_MALLOC, &pretend) ? NULL : __libc_malloc(size);
}
#endif

PUBLIC int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    const struct fault *f = faults ? &faults[FAULT_CLOCK] : NULL;

    int r = libc.clock_gettime ? libc.clock_gettime(clock, ret_time)
                               : (int)syscall(SYS_clock_gettime, clock, ret_time);
    if (r == 0 && f && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) &&
        __atomic_load_n(&f->times, __ATOMIC_SEQ_CST) > 0)
        ret_time->tv_sec += 3600 * __atomic_load_n(&f->error, __ATOMIC_SEQ_CST);
    return r;
}
