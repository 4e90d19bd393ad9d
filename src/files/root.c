#include "files/root.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

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
    uint64_t resolve;
    struct file *file;
};

static int open_slowly(void *arg)
{
    struct slow_open *o = arg;
    int fd = open_below(o->root_fd, o->path, o->resolve);

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

/* Another file system below the root may be a slow one: RESOLVE_NO_XDEV keeps us on ours, and
 * -EXDEV says that the path leads there. */
static int open_fast(struct task *t, const struct root *root, const char *path, struct file *file)
{
    if (!root->fast)
        return -EXDEV;
    int fd = open_below(root->fd, path, RESOLVE_CACHED | RESOLVE_NO_XDEV);
    if (fd == -EAGAIN) {
        struct slow_open o = {root->fd, path, RESOLVE_NO_XDEV, file};
        return offload(t, OFFLOAD_FAST, open_slowly, &o);
    }
    int error = fd < 0 ? fd : file_stat(fd, &file->st);
    if (error < 0 && fd >= 0)
        close(fd);
    return error < 0 ? error : fd;
}

int root_open(struct task *t, const struct root *root, struct span path, struct file *ret_file)
{
    struct file file = {.fd = -1, .fast = true};

    assert(path.data[path.len] == '\0');
    clock_gettime(CLOCK_REALTIME_COARSE, &file.before);
    int fd = open_fast(t, root, path.data, &file);
    if (fd == -EXDEV) {
        struct slow_open o = {root->fd, path.data, 0, &file};
        file.lane = OFFLOAD_SLOW;
        fd = offload(t, OFFLOAD_SLOW, open_slowly, &o);
    }
    if (fd < 0)
        return fd;
    file.fd = fd;
    if (!S_ISREG(file.st.st_mode) && !S_ISDIR(file.st.st_mode)) {
        file_close(t, &file);
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

/* --- open files --- */

struct look {
    int fd;
    struct stat *st;
};

static int look_slowly(void *arg)
{
    struct look *l = arg;

    return file_stat(l->fd, l->st);
}

int file_look(struct task *t, const struct file *file, struct stat *ret_stat)
{
    struct look l = {file->fd, ret_stat};

    return file->lane == OFFLOAD_FAST ? look_slowly(&l) : offload(t, OFFLOAD_SLOW, look_slowly, &l);
}

struct closing {
    struct offload_work work;
    int fd;
};

static int close_slowly(void *arg)
{
    struct closing *c = arg;

    close(c->fd);
    free(c);
    return 0;
}

void file_close(struct task *t, const struct file *file)
{
    struct closing *c = file->lane == OFFLOAD_FAST ? NULL : malloc(sizeof(*c));

    if (!c) {
        close(file->fd);
        return;
    }
    *c = (struct closing){
        .work = {OFFLOAD_SLOW, .fn = close_slowly, .arg = c},
        .fd = file->fd,
    };
    offload_start(task_loop(t), &c->work);
}
