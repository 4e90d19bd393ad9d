#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "world_inner.h"

int REAL(mkdirat)(int dir_fd, const char *name, mode_t mode);
int WRAPPED(mkdirat)(int dir_fd, const char *name, mode_t mode);
int REAL(symlinkat)(const char *target, int dir_fd, const char *name);
int WRAPPED(symlinkat)(const char *target, int dir_fd, const char *name);
int REAL(unlinkat)(int dir_fd, const char *name, int flags);
int WRAPPED(unlinkat)(int dir_fd, const char *name, int flags);
ssize_t REAL(copy_file_range)(int in, off_t *at_in, int out, off_t *at_out, size_t len, unsigned f);
ssize_t WRAPPED(copy_file_range)(int in, off_t *at_in, int out, off_t *at_out, size_t len,
                                 unsigned flags);
int REAL(ftruncate64)(int fd, off_t length);
int WRAPPED(ftruncate64)(int fd, off_t length);

int WRAPPED(mkdirat)(int dir_fd, const char *name, mode_t mode)
{
    return world_fails(FAULT_MAKE) ? -1 : REAL(mkdirat)(dir_fd, name, mode);
}

int WRAPPED(symlinkat)(const char *target, int dir_fd, const char *name)
{
    return world_fails(FAULT_MAKE) ? -1 : REAL(symlinkat)(target, dir_fd, name);
}

int WRAPPED(unlinkat)(int dir_fd, const char *name, int flags)
{
    return world_fails(FAULT_UNLINK) ? -1 : REAL(unlinkat)(dir_fd, name, flags);
}

ssize_t WRAPPED(copy_file_range)(int in, off_t *at_in, int out, off_t *at_out, size_t len,
                                 unsigned flags)
{
    int error = fault_at(FAULT_COPY);

    world_wrote();
    if (error == 0)
        return REAL(copy_file_range)(in, at_in, out, at_out, world_shortened(len), flags);
    errno = error;
    return error == FAULT_NOTHING ? 0 : -1;
}

int WRAPPED(ftruncate64)(int fd, off_t length)
{
    return world_fails(FAULT_CUT) ? -1 : REAL(ftruncate64)(fd, length);
}

/* --- links, clones, access lists --- */

ssize_t REAL(readlinkat)(int dir_fd, const char *name, char *memory, size_t len);
ssize_t WRAPPED(readlinkat)(int dir_fd, const char *name, char *memory, size_t len);
ssize_t REAL(pread64)(int fd, void *memory, size_t len, off_t offset);
ssize_t REAL(pwrite64)(int fd, const void *data, size_t len, off_t offset);
int REAL(ioctl)(int fd, unsigned long request, ...);
int WRAPPED(ioctl)(int fd, unsigned long request, ...);
ssize_t REAL(fgetxattr)(int fd, const char *name, void *memory, size_t len);
ssize_t WRAPPED(fgetxattr)(int fd, const char *name, void *memory, size_t len);
ssize_t REAL(flistxattr)(int fd, char *names, size_t len);
ssize_t WRAPPED(flistxattr)(int fd, char *names, size_t len);
int REAL(fsetxattr)(int fd, const char *name, const void *value, size_t len, int flags);
int WRAPPED(fsetxattr)(int fd, const char *name, const void *value, size_t len, int flags);
int REAL(fremovexattr)(int fd, const char *name);
int WRAPPED(fremovexattr)(int fd, const char *name);

ssize_t WRAPPED(readlinkat)(int dir_fd, const char *name, char *memory, size_t len)
{
    return world_fails(FAULT_READLINK) ? -1 : REAL(readlinkat)(dir_fd, name, memory, len);
}

static int clone_file(int to, int from)
{
    char memory[4096];
    off_t at = 0;
    ssize_t len;

    while ((len = REAL(pread64)(from, memory, sizeof(memory), at)) > 0) {
        if (REAL(pwrite64)(to, memory, (size_t)len, at) != len)
            abort();
        at += len;
    }
    return 0;
}

/* No file system can clone here, but where that takes the place of a fault. */
int WRAPPED(ioctl)(int fd, unsigned long request, ...)
{
    va_list args;

    va_start(args, request);
    void *value = va_arg(args, void *);
    va_end(args);
    if (request == FS_IOC_FIEMAP && world_fails(FAULT_EXTENTS))
        return -1;
    if (request != FICLONE)
        return REAL(ioctl)(fd, request, value);
    int error = fault_at(FAULT_CLONE);
    world_wrote();
    if (error == FAULT_NOTHING)
        return clone_file(fd, (int)(intptr_t)value);
    errno = error > 0 ? error : EOPNOTSUPP;
    return -1;
}

ssize_t WRAPPED(fgetxattr)(int fd, const char *name, void *memory, size_t len)
{
    return world_fails(FAULT_LIST_READ) ? -1 : REAL(fgetxattr)(fd, name, memory, len);
}

ssize_t WRAPPED(flistxattr)(int fd, char *names, size_t len)
{
    return world_fails(FAULT_NAMES) ? -1 : REAL(flistxattr)(fd, names, len);
}

int WRAPPED(fsetxattr)(int fd, const char *name, const void *value, size_t len, int flags)
{
    return world_fails(FAULT_LIST_GIVE) ? -1 : REAL(fsetxattr)(fd, name, value, len, flags);
}

int WRAPPED(fremovexattr)(int fd, const char *name)
{
    return world_fails(FAULT_LIST_REMOVE) ? -1 : REAL(fremovexattr)(fd, name);
}
