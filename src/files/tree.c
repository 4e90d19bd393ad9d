#include "files/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"

enum {
    DENTS_BYTES = 32 * 1024,
    NAME_BYTES = 256,
    FIRST_LEVELS = 16,
    /* How often a folder is read that others are filling meanwhile. */
    READINGS_MOST = 32,
};

static struct tree_level *last_level(const struct tree *tree)
{
    return &tree->levels[tree->depth - 1];
}

/* --- names of folders that wait: bytes, a NUL, and how many, to find them from behind --- */

static int push_name(struct tree *tree, struct span name)
{
    uint16_t len = (uint16_t)name.len;

    buf_append(&tree->names, name);
    buf_append_char(&tree->names, '\0');
    buf_append(&tree->names, span_of(&len, sizeof(len)));
    return buf_failed(&tree->names) ? -EFBIG : 0;
}

static size_t last_name_at(const struct tree *tree)
{
    uint16_t len;
    size_t end = tree->names.len - sizeof(len);

    memcpy(&len, tree->names.data + end, sizeof(len));
    return end - len - 1;
}

static void pop_name(struct tree *tree)
{
    tree->names.len = last_name_at(tree);
}

/* --- levels --- */

static int push_level(struct tree *tree, int fd, size_t name_at)
{
    if (tree->depth == tree->capacity) {
        size_t capacity = tree->capacity ? 2 * tree->capacity : FIRST_LEVELS;
        struct tree_level *levels = reallocarray(tree->levels, capacity, sizeof(*levels));
        if (!levels)
            return -ENOMEM;
        tree->levels = levels;
        tree->capacity = capacity;
    }
    tree->levels[tree->depth++] = (struct tree_level){
        .fd = fd,
        .name_at = name_at,
        .names_base = tree->names.len,
        .path_len = tree->path.len,
    };
    return 0;
}

static void pop_level(struct tree *tree)
{
    bool spoiled = last_level(tree)->spoiled;

    close(last_level(tree)->fd);
    tree->depth--;
    last_level(tree)->spoiled |= spoiled;
    pop_name(tree);
}

/* --- steps --- */

/* Puts a name behind the path of the last level; the name of the beginning is no part of it. */
static int put_path(struct tree *tree, const char *name)
{
    tree->path.len = last_level(tree)->path_len;
    if (tree->depth == 1)
        return 0;
    if (tree->path.len > 0)
        buf_append_char(&tree->path, '/');
    buf_append_str(&tree->path, name);
    return buf_failed(&tree->path) ? -EFBIG : 0;
}

/* Of the folder of the last level. */
static int step_inside(struct tree *tree, enum tree_event event, int error)
{
    const struct tree_level *level = last_level(tree);

    tree->path.len = level->path_len;
    tree->step = (struct tree_step){
        .event = event,
        .dir_fd = level[-1].fd,
        .name = tree->names.data + level->name_at,
        .fd = level->fd,
        .error = error,
        .spoiled = level->spoiled,
        .path = buf_span(&tree->path),
    };
    return 0;
}

/* Of something in that folder. */
static int step_below(struct tree *tree, enum tree_event event, const char *name)
{
    int r = put_path(tree, name);

    tree->step = (struct tree_step){
        .event = event,
        .dir_fd = last_level(tree)->fd,
        .name = name,
        .fd = -1,
        .path = buf_span(&tree->path),
    };
    return r;
}

static int enter(struct tree *tree)
{
    const uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    uint64_t resolve = RESOLVE_NO_SYMLINKS | (tree->stay ? RESOLVE_NO_XDEV : 0);
    size_t name_at = last_name_at(tree);
    const char *name = tree->names.data + name_at;

    int r = step_below(tree, TREE_UNREADABLE, name);
    if (r < 0)
        return r;
    int fd = tree->depth > LIMIT_TREE_DEPTH
                 ? -ENAMETOOLONG
                 : root_open_raw(last_level(tree)->fd, name, flags, 0, resolve);
    if (fd < 0) {
        tree->not_entered = true;
        tree->step.error = fd;
        return 0;
    }
    r = push_level(tree, fd, name_at);
    if (r < 0) {
        close(fd);
        return r;
    }
    tree->reading = true;
    tree->dents_at = tree->dents_end = 0;
    return step_inside(tree, TREE_ENTER, 0);
}

/* DT_UNKNOWN: `*ret_error` says why, -ENOENT where it is gone. */
static unsigned char type_of(int dir_fd, const char *name, int *ret_error)
{
    /* AT_EMPTY_PATH changes nothing for a name; home's system call filter wants it. */
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
    struct statx st;

    if (statx(dir_fd, name, flags, STATX_TYPE, &st) < 0) {
        *ret_error = -errno;
        return DT_UNKNOWN;
    }
    return (unsigned char)IFTODT(st.stx_mode);
}

/* Reads on where the buffer is used up. Returns whether there is an entry, or -errno. */
static int fill_dents(struct tree *tree)
{
    if (tree->dents_at < tree->dents_end)
        return 1;
    ssize_t bytes = getdents64(last_level(tree)->fd, tree->dents, DENTS_BYTES);
    if (bytes < 0)
        return -errno;
    tree->dents_at = 0;
    tree->dents_end = (size_t)bytes;
    return bytes > 0;
}

static const struct dirent64 *take_dent(struct tree *tree)
{
    const struct dirent64 *d = (const void *)(tree->dents + tree->dents_at);

    tree->dents_at += d->d_reclen;
    return d;
}

static bool is_left_out(const struct tree *tree, struct span name)
{
    return span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")) ||
           (tree->leave_out_reserved && root_path_reserved(name));
}

/* The next entry that is no folder; folders are kept for later. Returns 1 with a step, 0 at the end
 * of the folder, or -errno. */
static int read_on(struct tree *tree)
{
    int r;

    while ((r = fill_dents(tree)) > 0) {
        const struct dirent64 *d = take_dent(tree);
        if (is_left_out(tree, span_str(d->d_name)))
            continue;
        unsigned char type = d->d_type;
        int error = 0;
        if (type == DT_UNKNOWN) /* some file systems do not tell */
            type = type_of(last_level(tree)->fd, d->d_name, &error);
        if (type == DT_DIR) {
            r = push_name(tree, span_str(d->d_name));
            if (r < 0)
                return r;
            continue;
        }
        r = step_below(tree, TREE_ENTRY, d->d_name);
        tree->step.type = type;
        tree->step.error = error;
        return r < 0 ? r : 1;
    }
    tree->reading = false;
    if (r == 0)
        return 0;
    step_inside(tree, TREE_UNREADABLE, r);
    return 1;
}

int tree_next(struct tree *tree, const struct tree_step **ret_step)
{
    *ret_step = &tree->step;
    if (tree->not_entered)
        pop_name(tree);
    else if (tree->step.event == TREE_LEAVE && !tree->reading)
        pop_level(tree);
    tree->not_entered = false;
    int r = tree->reading ? read_on(tree) : 0;
    if (r != 0)
        return r < 0 ? r : 0;
    if (tree->names.len > last_level(tree)->names_base)
        return enter(tree);
    if (tree->depth > 1)
        return step_inside(tree, TREE_LEAVE, 0);
    tree->step = (struct tree_step){.event = TREE_END, .spoiled = last_level(tree)->spoiled};
    return 0;
}

bool tree_again(struct tree *tree)
{
    struct tree_level *level = last_level(tree);

    if (level->readings++ >= READINGS_MOST)
        return false;
    if (tree->not_entered) {
        tree->not_entered = false;
        return true;
    }
    tree->reading = lseek(level->fd, 0, SEEK_SET) == 0;
    tree->dents_at = tree->dents_end = 0;
    return tree->reading;
}

void tree_skip(struct tree *tree)
{
    tree->reading = false;
}

void tree_spoil(struct tree *tree)
{
    last_level(tree)->spoiled = true;
}

int tree_begin(struct tree *tree, int dir_fd, const char *name)
{
    buf_init_growing(&tree->names, LIMIT_WALK_BYTES);
    buf_init_growing(&tree->path, (LIMIT_TREE_DEPTH + 2) * NAME_BYTES);
    tree->dents = malloc(DENTS_BYTES);
    if (!tree->dents)
        return -ENOMEM;
    int r = push_level(tree, dir_fd, 0);
    return r < 0 ? r : push_name(tree, span_str(name));
}

void tree_finish(struct tree *tree)
{
    while (tree->depth > 1)
        close(tree->levels[--tree->depth].fd);
    free(tree->levels);
    free(tree->dents);
    buf_finish(&tree->names);
    buf_finish(&tree->path);
    *tree = (struct tree){0};
}
