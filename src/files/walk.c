#include "files/walk.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "rt/loop.h"

enum {
    DENTS_BYTES = 32 * 1024,
    NAME_BYTES = 256,
    /* Beside the types of getdents64(2): there, and nothing else is known. */
    TYPE_UNREADABLE = 255,
};

/* A folder that waits to be entered: its name lies below this on the stack. Or one to be left,
 * without a name. */
struct waiting {
    uint16_t name_len;
    uint16_t path_len; /* of the folder that it is in; of itself if it is to be left */
};

struct walk {
    const struct root *root;
    const struct file *start;
    const struct span *names; /* instead of what is in `start`; NULL: all of it */
    size_t names_left;
    bool begun;
    bool reading;       /* `folder` is to be read on */
    struct file folder; /* fd < 0: none but `start` */
    struct buf stack;   /* of waiting folders */
    size_t path_len;    /* of the folder that is being read, or was last */
    size_t dents_at, dents_end;
    char path[LIMIT_PATH_BYTES + NAME_BYTES]; /* of it, and of the entry in it */
    _Alignas(struct dirent64) char dents[DENTS_BYTES];
};

struct walk *walk_create(const struct root *root, const struct file *start,
                         const struct span *names, size_t count)
{
    struct walk *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->root = root;
    w->start = start;
    w->names = names;
    w->names_left = count;
    w->folder.fd = -1;
    buf_init_growing(&w->stack, LIMIT_WALK_BYTES);
    return w;
}

static void close_folder(struct task *t, struct walk *w)
{
    if (w->folder.fd >= 0)
        file_close(t, &w->folder);
    w->folder.fd = -1;
}

void walk_destroy(struct task *t, struct walk *w)
{
    if (!w)
        return;
    close_folder(t, w);
    buf_finish(&w->stack);
    free(w);
}

static const struct file *current(const struct walk *w)
{
    return w->folder.fd >= 0 ? &w->folder : w->start;
}

/* --- the path --- */

static void cut_path(struct walk *w, size_t len)
{
    w->path_len = len;
    w->path[len] = '\0';
}

/* Behind the path of the folder; returns where the name has begun. */
static size_t put_name(struct walk *w, struct span name)
{
    size_t at = w->path_len;

    if (at > 0)
        w->path[at++] = '/';
    assert(at + name.len < sizeof(w->path));
    memcpy(w->path + at, name.data, name.len);
    w->path[at + name.len] = '\0';
    return at;
}

static void set_path(struct walk_step *step, const struct walk *w, size_t name_at)
{
    step->path = span_str(w->path);
    step->name = span_skip(step->path, name_at);
}

static int make_step(struct walk *w, enum walk_event event, int error, struct walk_step *ret_step)
{
    size_t at = w->path_len;

    while (at > 0 && w->path[at - 1] != '/')
        at--;
    *ret_step = (struct walk_step){
        .event = event,
        .folder = event == WALK_ENTER ? current(w) : NULL,
        .error = error,
    };
    set_path(ret_step, w, at);
    return 1;
}

/* --- folders that wait --- */

static int push(struct walk *w, struct span name)
{
    const struct waiting waiting = {(uint16_t)name.len, (uint16_t)w->path_len};

    buf_append(&w->stack, name);
    buf_append(&w->stack, span_of(&waiting, sizeof(waiting)));
    return buf_failed(&w->stack) ? -EFBIG : 0;
}

static int enter(struct task *t, struct walk *w, struct walk_step *ret_step)
{
    close_folder(t, w);
    int r = root_open_in(t, w->root, w->start, span_of(w->path, w->path_len), &w->folder);
    if (r == 0 && !S_ISDIR(w->folder.st.st_mode)) {
        close_folder(t, w);
        r = -ENOTDIR;
    }
    if (r < 0 && task_cancelled(t))
        return r;
    if (r < 0)
        return make_step(w, WALK_UNREADABLE, r, ret_step);
    r = push(w, SPAN(""));
    w->reading = true;
    return r < 0 ? r : make_step(w, WALK_ENTER, 0, ret_step);
}

static int pop(struct task *t, struct walk *w, struct walk_step *ret_step)
{
    struct waiting waiting;

    if (w->stack.len == 0)
        return 0;
    w->stack.len -= sizeof(waiting);
    memcpy(&waiting, w->stack.data + w->stack.len, sizeof(waiting));
    w->stack.len -= waiting.name_len;
    cut_path(w, waiting.path_len);
    if (waiting.name_len == 0)
        return make_step(w, WALK_LEAVE, 0, ret_step);
    struct span name = span_of(w->stack.data + w->stack.len, waiting.name_len);
    size_t at = put_name(w, name);
    /* What cannot be opened has no longer path than what can: the kernel says so. */
    cut_path(w, at + name.len);
    return enter(t, w, ret_step);
}

/* --- reading, on a helper thread --- */

/* DT_UNKNOWN: it is gone. */
static unsigned char type_of(int dir_fd, const char *name)
{
    /* AT_EMPTY_PATH changes nothing for a name; home's system call filter wants it. */
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
    struct statx st;

    if (statx(dir_fd, name, flags, STATX_TYPE, &st) < 0)
        return errno == ENOENT ? DT_UNKNOWN : TYPE_UNREADABLE;
    return (unsigned char)IFTODT(st.stx_mode);
}

/* A buffer of entries. Some file systems do not tell their types. */
static int read_dents(void *arg)
{
    struct walk *w = arg;
    int fd = current(w)->fd;

    ssize_t bytes = getdents64(fd, w->dents, sizeof(w->dents));
    if (bytes < 0)
        return -errno;
    for (size_t at = 0; at < (size_t)bytes;) {
        struct dirent64 *d = (void *)(w->dents + at);
        if (d->d_type == DT_UNKNOWN)
            d->d_type = type_of(fd, d->d_name);
        at += d->d_reclen;
    }
    return (int)bytes;
}

static int rewind_start(void *arg)
{
    const struct walk *w = arg;

    return lseek(w->start->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* --- */

static bool is_left_out(struct span name)
{
    return span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")) || root_path_reserved(name);
}

/* Returns 1 with a step, 0 where there is none to be made of it, or -errno. */
static int take(struct walk *w, struct span name, unsigned char type, struct walk_step *ret_step)
{
    if (is_left_out(name) || type == DT_UNKNOWN)
        return 0;
    if (w->path_len + 1 + name.len >= sizeof(w->path)) { /* longer than NAME_BYTES */
        cut_path(w, w->path_len);
        return make_step(w, WALK_UNREADABLE, -ENAMETOOLONG, ret_step);
    }
    if (type == DT_DIR)
        return push(w, name);
    if (type == TYPE_UNREADABLE)
        *ret_step = (struct walk_step){.event = WALK_UNREADABLE, .error = -EIO};
    else
        *ret_step = (struct walk_step){.event = WALK_ENTRY, .folder = current(w), .type = type};
    set_path(ret_step, w, put_name(w, name));
    return 1;
}

static int read_on(struct task *t, struct walk *w, struct walk_step *ret_step)
{
    int r = 0;

    while (r == 0) {
        if (w->dents_at == w->dents_end) {
            w->dents_at = w->dents_end = 0;
            r = offload(t, current(w)->lane, read_dents, w);
            w->reading = r > 0;
            cut_path(w, w->path_len);
            if (r < 0 && !task_cancelled(t))
                return make_step(w, WALK_UNREADABLE, r, ret_step);
            if (r <= 0)
                return r;
            w->dents_end = (size_t)r;
        }
        const struct dirent64 *d = (const void *)(w->dents + w->dents_at);
        w->dents_at += d->d_reclen;
        r = take(w, span_str(d->d_name), d->d_type, ret_step);
    }
    return r;
}

struct question {
    int fd;
    const char *name;
};

static int answer(void *arg)
{
    const struct question *q = arg;

    return type_of(q->fd, q->name);
}

static int next_name(struct task *t, struct walk *w, struct walk_step *ret_step)
{
    struct question q = {.fd = w->start->fd, .name = w->names->data};

    close_folder(t, w);
    cut_path(w, 0);
    int type = offload(t, w->start->lane, answer, &q);
    if (type < 0)
        return type;
    struct span name = *w->names++;
    w->names_left--;
    return take(w, name, (unsigned char)type, ret_step);
}

static int begin(struct task *t, struct walk *w, struct walk_step *ret_step)
{
    w->begun = true;
    if (w->names)
        return 0;
    int r = offload(t, w->start->lane, rewind_start, w);
    if (r == 0)
        r = push(w, SPAN(""));
    w->reading = true;
    return r < 0 ? r : make_step(w, WALK_ENTER, 0, ret_step);
}

int walk_next(struct task *t, struct walk *w, struct walk_step *ret_step)
{
    int r = task_cancelled(t);

    if (r == 0 && !w->begun)
        r = begin(t, w, ret_step);
    if (r == 0 && w->reading)
        r = read_on(t, w, ret_step);
    while (r == 0 && w->stack.len == 0 && w->names_left > 0)
        r = next_name(t, w, ret_step);
    return r != 0 ? r : pop(t, w, ret_step);
}
