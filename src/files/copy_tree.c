#include "files/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "files/xattrs.h"
#include "http/uri.h"

enum { FIRST_DEPTH = 16 };

/* What others have removed meanwhile was never there. */
static bool is_gone(int error)
{
    return error == -ENOENT;
}

/* It is something else by now. */
static int changed(int error)
{
    return error == -ELOOP || error == -ENOTDIR ? -EEXIST : error;
}

static int note(const struct copier *c, const struct tree_step *step, const struct stat *st)
{
    return c->copied ? copied_add(c->copied, step->path, st) : 0;
}

static int keep_attributes(int from, int to, const struct stat *st)
{
    int r = xattrs_carry(from, to);

    return r < 0 ? r : content_keep_attributes(to, st);
}

/* --- files --- */

static void close_content(struct copier *c)
{
    if (c->content.from >= 0)
        close(c->content.from);
    if (c->content.to >= 0)
        close(c->content.to);
    content_finish(&c->content);
    c->content = (struct content){.from = -1, .to = -1};
}

static int begin_file(struct copier *c, const struct tree_step *step)
{
    const uint64_t reading = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    const uint64_t writing = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

    int fd = root_open_raw(step->dir_fd, step->name, reading, 0, RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return is_gone(fd) ? SLICE_MORE : changed(fd);
    c->content.from = fd;
    int r = file_stat(fd, &c->st);
    if (r == 0 && !S_ISREG(c->st.st_mode))
        r = -EEXIST;
    if (r < 0)
        return r;
    fd = root_open_raw(c->fds[c->depth - 1], step->name, writing, S_IRUSR | S_IWUSR, 0);
    if (fd < 0)
        return fd;
    c->content.to = fd;
    return SLICE_MORE;
}

/* As it was before it was read, but only if that is how long the copy is: whoever has cut it off
 * meanwhile may have put back what its end was. */
static int note_file(const struct copier *c)
{
    struct stat copy;

    int r = c->copied ? file_stat(c->content.to, &copy) : 0;
    if (r < 0 || !c->copied || copy.st_size != c->st.st_size)
        return r;
    return copied_add(c->copied, buf_span(&c->tree.path), &c->st);
}

static int go_on_with_file(struct copier *c)
{
    int r = content_step(&c->content);

    if (r == SLICE_DONE && (r = note_file(c)) == 0)
        r = keep_attributes(c->content.from, c->content.to, &c->st);
    if (r > 0)
        return r;
    close_content(c);
    return r < 0 ? r : SLICE_MORE;
}

/* --- links --- */

/* Looked at before it is read: whoever replaces it between the two is noticed. */
static int copy_link(const struct copier *c, const struct tree_step *step)
{
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
    _cleanup_free_ char *target = malloc(LIMIT_PATH_BYTES);
    int to = c->fds[c->depth - 1];
    struct stat st;

    if (!target)
        return -ENOMEM;
    if (fstatat(step->dir_fd, step->name, &st, flags) < 0)
        return is_gone(-errno) ? SLICE_MORE : -errno;
    int r = S_ISLNK(st.st_mode) ? note(c, step, &st) : -EEXIST;
    if (r < 0)
        return r;
    ssize_t len = readlinkat(step->dir_fd, step->name, target, LIMIT_PATH_BYTES - 1);
    if (len < 0)
        return is_gone(-errno) ? SLICE_MORE : errno == EINVAL ? -EEXIST : -errno;
    target[len] = '\0';
    if (symlinkat(target, to, step->name) < 0)
        return -errno;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
    utimensat(to, step->name, times, AT_SYMLINK_NOFOLLOW);
    return SLICE_MORE;
}

/* --- folders --- */

static int push(struct copier *c, int fd)
{
    if (c->depth == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : FIRST_DEPTH;
        int *fds = reallocarray(c->fds, capacity, sizeof(*fds));
        if (!fds)
            return -ENOMEM;
        c->fds = fds;
        c->capacity = capacity;
    }
    c->fds[c->depth++] = fd;
    return 0;
}

static int enter(struct copier *c, const struct tree_step *step)
{
    const uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    bool first = c->depth == 0;
    int parent = first ? c->to_dir_fd : c->fds[c->depth - 1];
    const char *name = first ? c->to_name : step->name;
    struct stat st;

    int r = file_stat(step->fd, &st);
    if (r < 0)
        return r;
    if (st.st_dev == c->never->st_dev && st.st_ino == c->never->st_ino)
        return -EINVAL;
    r = note(c, step, &st);
    if (r < 0)
        return r;
    /* What it will have in the end, as far as we can work with that: a later chmod(2) by who is not
     * in the folder's group takes the set-group-ID away that it inherits. */
    if (mkdirat(parent, name, (st.st_mode & 0777) | S_IRWXU) < 0)
        return -errno;
    c->made = true;
    int fd = root_open_raw(parent, name, flags, 0, RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return fd;
    r = push(c, fd);
    if (r < 0) {
        close(fd);
        return r;
    }
    if (first)
        c->top_fd = fd;
    if (c->shallow)
        r = keep_attributes(step->fd, fd, &st);
    return r < 0 ? r : c->shallow ? SLICE_DONE : SLICE_MORE;
}

/* Only now: what is put into it changes its mtime, and its mode may forbid that. */
static int leave(struct copier *c, const struct tree_step *step)
{
    int fd = c->fds[--c->depth];
    struct stat st;

    int r = file_stat(step->fd, &st);
    if (r == 0)
        r = keep_attributes(step->fd, fd, &st);
    if (c->depth > 0)
        close(fd);
    return r < 0 ? r : SLICE_MORE;
}

static int unreadable(struct copier *c, const struct tree_step *step)
{
    if (step->error == -EXDEV && !c->exact && !c->slow) {
        c->slow = true;
        c->tree.stay = false;
        return tree_again(&c->tree) ? SLICE_SLOWER : -EXDEV;
    }
    return is_gone(step->error) && c->depth > 0 ? SLICE_MORE : changed(step->error);
}

/* --- */

static int take_entry(struct copier *c, const struct tree_step *step)
{
    switch (step->type) {
    case DT_REG:
        return begin_file(c, step);
    case DT_LNK:
        return copy_link(c, step);
    case DT_UNKNOWN:
        return is_gone(step->error) ? SLICE_MORE : step->error;
    default:
        return c->exact ? -EPERM : SLICE_MORE;
    }
}

static int next(struct copier *c)
{
    const struct tree_step *step;

    int r = tree_next(&c->tree, &step);
    if (r < 0)
        return r;
    switch (step->event) {
    case TREE_ENTRY:
        return take_entry(c, step);
    case TREE_ENTER:
        return enter(c, step);
    case TREE_LEAVE:
        return leave(c, step);
    case TREE_UNREADABLE:
        return unreadable(c, step);
    case TREE_END:
        break;
    }
    return SLICE_DONE;
}

static int begin(struct copier *c)
{
    c->begun = true;
    c->tree.leave_out_reserved = true;
    c->tree.stay = c->exact || !c->slow;
    buf_init_growing(&c->culprit, 3 * LIMIT_PATH_BYTES);
    return tree_begin(&c->tree, c->from_dir_fd, c->from_name);
}

int copier_step(void *arg)
{
    struct copier *c = arg;

    int r = c->begun ? 0 : begin(c);
    if (r == 0)
        r = c->content.to >= 0 ? go_on_with_file(c) : next(c);
    if (r < 0) /* the path is still that of what was begun last */
        uri_encode_path(&c->culprit, buf_span(&c->tree.path));
    return r;
}

void copier_finish(struct copier *c)
{
    close_content(c);
    while (c->depth > 1)
        close(c->fds[--c->depth]);
    if (c->top_fd >= 0)
        close(c->top_fd);
    c->top_fd = -1;
    c->depth = 0;
    free(c->fds);
    c->fds = NULL;
    c->capacity = 0;
    tree_finish(&c->tree);
}
