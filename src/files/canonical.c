#include "files/canonical.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* As many as the kernel follows in one path. */
enum { LINKS_MAX = 40 };

/* A path that is being resolved. */
struct way {
    int root_fd;
    uint64_t resolve;
    char *out; /* what is resolved, followed by a NUL */
    size_t len;
    char *rest; /* what is not, followed by a NUL; in `memory` */
    char *memory;
    unsigned links;
    bool lost; /* nothing is there: what follows stays as it is written */
};

static bool is_not_there(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ENAMETOOLONG;
}

/* Opens what a path without links leads to, be it a link itself. */
static int open_plain(int root_fd, const char *path, uint64_t flags, uint64_t resolve)
{
    return root_open_raw(root_fd, path, O_PATH | flags, 0, resolve | RESOLVE_NO_SYMLINKS);
}

/* Puts what the link says, and a slash, before the rest. */
static int follow_link(struct way *w, int fd)
{
    _cleanup_free_ char *target = malloc(LIMIT_PATH_BYTES);
    size_t rest_len = strlen(w->rest);

    if (!target)
        return -ENOMEM;
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    ssize_t len = readlinkat(fd, "", target, LIMIT_PATH_BYTES);
    if (len < 0)
        return -errno;
    if (len == 0 || target[0] == '/') /* as the kernel with RESOLVE_BENEATH */
        return -EXDEV;
    if ((size_t)len + 1 + rest_len >= LIMIT_PATH_BYTES)
        return -ENAMETOOLONG;
    memmove(w->memory + len + 1, w->rest, rest_len + 1);
    memcpy(w->memory, target, (size_t)len);
    w->memory[len] = '/';
    w->rest = w->memory;
    return 0;
}

/* Without links before it ".." is the folder that is written there. */
static int leave_folder(struct way *w)
{
    if (w->len == 0)
        return -EXDEV;
    while (w->len > 0 && w->out[--w->len] != '/')
        continue;
    w->out[w->len] = '\0';
    return 0;
}

static int enter_name(struct way *w, struct span name, bool follow)
{
    size_t before = w->len;
    struct stat st;

    if (w->len + 1 + name.len >= LIMIT_PATH_BYTES)
        return -ENAMETOOLONG;
    if (w->len > 0)
        w->out[w->len++] = '/';
    memcpy(w->out + w->len, name.data, name.len);
    w->len += name.len;
    w->out[w->len] = '\0';
    if (w->lost || !follow)
        return 0;
    _cleanup_close_ int fd = open_plain(w->root_fd, w->out, O_NOFOLLOW, w->resolve);
    w->lost = is_not_there(fd);
    if (fd < 0)
        return w->lost ? 0 : fd;
    int r = file_stat(fd, &st);
    if (r < 0 || !S_ISLNK(st.st_mode))
        return r;
    w->len = before;
    w->out[before] = '\0';
    return follow_link(w, fd);
}

static int go(struct way *w, bool follow)
{
    int r = 0;

    while (r == 0 && *w->rest) {
        size_t len = strcspn(w->rest, "/");
        struct span name = span_of(w->rest, len);
        w->rest += len;
        w->rest += strspn(w->rest, "/");
        bool last = *w->rest == '\0';
        if (span_equal(name, SPAN("..")))
            r = leave_folder(w);
        else if (len > 0 && !span_equal(name, SPAN(".")))
            r = enter_name(w, name, follow || !last);
    }
    return r;
}

static int resolve_slowly(int root_fd, struct span path, uint64_t resolve, bool follow,
                          char out[LIMIT_PATH_BYTES], struct span *ret_path)
{
    _cleanup_free_ char *memory = malloc(LIMIT_PATH_BYTES);
    struct way w = {root_fd, resolve, .out = out, .memory = memory};

    if (!memory)
        return -ENOMEM;
    out[0] = '\0';
    memcpy(memory, path.data, path.len + 1);
    w.rest = memory;
    int r = go(&w, follow);
    if (r == 0)
        *ret_path = span_of(out, w.len);
    return r;
}

/* Whether there is no link on the way: 1, 0 or -errno. */
static int is_canonical(int root_fd, struct span path, uint64_t resolve, bool follow, char *memory)
{
    const char *slash = memrchr(path.data, '/', path.len);
    const char *to_open = path.data;
    uint64_t flags = 0;

    if (!follow) {
        if (!slash)
            return 1;
        size_t len = (size_t)(slash - path.data);
        memcpy(memory, path.data, len);
        memory[len] = '\0';
        to_open = memory;
        flags = O_DIRECTORY;
    }
    _cleanup_close_ int fd = open_plain(root_fd, to_open, flags, resolve);
    if (fd >= 0 || is_not_there(fd))
        return 1;
    return fd == -ELOOP ? 0 : fd;
}

int canonical_path(int root_fd, struct span path, uint64_t resolve, bool follow,
                   char out[LIMIT_PATH_BYTES], struct span *ret_path)
{
    assert(path.len < LIMIT_PATH_BYTES && path.data[path.len] == '\0');
    int r = path.len == 0 ? 1 : is_canonical(root_fd, path, resolve, follow, out);
    if (r == 0)
        return resolve_slowly(root_fd, path, resolve, follow, out, ret_path);
    if (r < 0)
        return r;
    *ret_path = path;
    return 0;
}
