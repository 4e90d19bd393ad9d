#include "files/look.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

struct look {
    int root_fd;
    const char *path;
    uint64_t resolve;
    bool doubtful; /* the path is (files/root.h) */
    struct stat *st;
};

static int open_it(const struct look *l)
{
    int fd = l->doubtful
                 ? -ELOOP
                 : root_open_raw(l->root_fd, l->path, O_PATH, 0, l->resolve | RESOLVE_NO_SYMLINKS);

    return fd == -ELOOP && !(l->resolve & RESOLVE_CACHED)
               ? root_open_linked(l->root_fd, l->path, O_PATH, l->resolve)
               : fd;
}

static int open_and_stat(void *arg)
{
    const struct look *l = arg;

    int fd = open_it(l);
    if (fd < 0)
        return fd;
    int error = file_stat(fd, l->st);
    if (error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

/* What is cached, from the loop; -EXDEV where the path leads to another file system, which may be
 * a slow one. */
static int open_fast(struct task *t, const struct root *root, struct look *l)
{
    if (!root->fast)
        return -EXDEV;
    l->resolve = RESOLVE_NO_XDEV | RESOLVE_CACHED;
    int fd = open_and_stat(l);
    if (fd != -EAGAIN && fd != -ELOOP)
        return fd;
    l->resolve = RESOLVE_NO_XDEV;
    return offload(t, OFFLOAD_FAST, open_and_stat, l);
}

int look_open(struct task *t, const struct root *root, struct span path, struct file *ret_file)
{
    struct file file = {.lane = OFFLOAD_FAST};
    struct look l = {
        .root_fd = root->fd,
        .path = path.data,
        .doubtful = root_path_is_doubtful(path),
        .st = &file.st,
    };

    assert(path.data[path.len] == '\0');
    clock_gettime(CLOCK_REALTIME_COARSE, &file.before);
    file.fd = open_fast(t, root, &l);
    if (file.fd == -EXDEV) {
        file.lane = OFFLOAD_SLOW;
        l.resolve = 0;
        file.fd = offload(t, OFFLOAD_SLOW, open_and_stat, &l);
    }
    if (file.fd < 0)
        return file.fd;
    if (!S_ISREG(file.st.st_mode) && !S_ISDIR(file.st.st_mode)) {
        file_close(t, &file);
        return -ENOENT;
    }
    *ret_file = file;
    return 0;
}
