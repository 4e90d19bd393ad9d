#include "files/root.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "rt/offload.h"

/* statfs(2) has the numbers, linux/magic.h only some of them. */
enum {
    FS_EXT4 = 0xEF53,
    FS_XFS = 0x58465342,
    FS_TMPFS = 0x01021994,
};
#define FS_BTRFS 0x9123683Eu
#define FS_F2FS 0xF2F52010u

static bool is_fast(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    switch ((uint32_t)fs.f_type) {
    case FS_EXT4:
    case FS_XFS:
    case FS_TMPFS:
    case FS_BTRFS:
    case FS_F2FS:
        return true;
    default:
        return false;
    }
}

int file_stat(int fd, struct stat *ret_stat)
{
    return syscall(SYS_fstat, fd, ret_stat) < 0 ? -errno : 0;
}

void root_init(struct root *root, int fd)
{
    struct stat st;

    *root = (struct root){.fd = fd, .fast = is_fast(fd)};
    if (file_stat(fd, &st) == 0)
        root->device = st.st_dev;
}

static int open_below(int root_fd, const char *path, uint64_t resolve)
{
    /* O_NONBLOCK: a FIFO without a writer must not stop us. O_NOCTTY: nor a terminal become ours.
     */
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
    };
    long fd;

    do
        fd = syscall(SYS_openat2, root_fd, path[0] ? path : ".", &how, sizeof(how));
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : (int)fd;
}

struct slow_open {
    int root_fd;
    const char *path;
    struct file *file;
};

static int open_slowly(void *arg)
{
    struct slow_open *o = arg;
    int fd = open_below(o->root_fd, o->path, 0);

    if (fd < 0)
        return fd;
    int error = file_stat(fd, &o->file->st);
    if (error < 0) {
        close(fd);
        return error;
    }
    o->file->fast = is_fast(fd);
    return fd;
}

int root_open(struct task *t, const struct root *root, struct span path, struct file *ret_file)
{
    struct file file = {.fd = -1, .fast = true};

    assert(path.data[path.len] == '\0');
    clock_gettime(CLOCK_REALTIME_COARSE, &file.before);
    /* Another file system below the root may be a slow one: RESOLVE_NO_XDEV keeps us on ours. */
    int fd =
        root->fast ? open_below(root->fd, path.data, RESOLVE_CACHED | RESOLVE_NO_XDEV) : -EAGAIN;
    if (fd == -EAGAIN || fd == -EXDEV) {
        struct slow_open o = {root->fd, path.data, &file};
        fd = offload(t, open_slowly, &o);
        if (fd < 0)
            return fd;
    } else if (fd < 0) {
        return fd;
    } else {
        int error = file_stat(fd, &file.st);
        if (error < 0) {
            close(fd);
            return error;
        }
    }
    file.fd = fd;
    if (!S_ISREG(file.st.st_mode) && !S_ISDIR(file.st.st_mode)) {
        close(fd);
        return -ENOENT;
    }
    *ret_file = file;
    return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_same_bytes(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && same_time(&a->st_mtim, &b->st_mtim);
}

bool file_same(const struct stat *a, const struct stat *b)
{
    return file_same_bytes(a, b) && same_time(&a->st_ctim, &b->st_ctim);
}

int status_from_errno(int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO: /* a socket, or a device without a driver */
    case ENODEV:
        return 404;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
    case EROFS:
        return 403;
    case ENAMETOOLONG:
        return 414;
    case ENOSPC:
    case EDQUOT:
        return 507;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
        return 503;
    default:
        return 500;
    }
}
