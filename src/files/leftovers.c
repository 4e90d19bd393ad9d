#include "files/leftovers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/remove.h"
#include "files/temporary.h"

enum { DENTS_BYTES = 32 * 1024 };

struct sweep {
    int fd; /* of the folder, with a position of its own */
    char *dents;
    unsigned count; /* removed, and to be removed */
    unsigned trees;
    char names[LEFTOVERS_AT_ONCE][TEMPORARY_NAME_BYTES]; /* of the trees */
};

bool leftovers_are_due(int64_t ctime_s)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return ctime_s < now.tv_sec - LEFTOVERS_KEEP_S;
}

/* --- on a helper thread --- */

static void take(struct sweep *s, const char *name)
{
    struct stat st;

    if (!temporary_is_leftover(span_str(name)) ||
        fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) < 0 ||
        !leftovers_are_due(st.st_ctim.tv_sec))
        return;
    s->count++;
    if (S_ISDIR(st.st_mode))
        memcpy(s->names[s->trees++], name, strlen(name) + 1);
    else
        unlinkat(s->fd, name, 0);
}

/* The next names of the folder, until there are none or enough is found. */
static int find_some(void *arg)
{
    struct sweep *s = arg;
    ssize_t bytes = getdents64(s->fd, s->dents, DENTS_BYTES);

    for (ssize_t at = 0; at < bytes && s->count < LEFTOVERS_AT_ONCE;) {
        const struct dirent64 *d = (const void *)(s->dents + at);
        at += d->d_reclen;
        take(s, d->d_name);
    }
    if (bytes < 0)
        return -errno;
    return bytes > 0 && s->count < LEFTOVERS_AT_ONCE ? SLICE_MORE : SLICE_DONE;
}

struct opening {
    int dir_fd;
    int fd;
};

static int open_again(void *arg)
{
    struct opening *o = arg;

    o->fd = root_open_raw(o->dir_fd, "", O_RDONLY | O_DIRECTORY, 0, RESOLVE_NO_XDEV);
    return o->fd < 0 ? o->fd : 0;
}

static int close_it(void *arg)
{
    const struct sweep *s = arg;

    close(s->fd);
    return 0;
}

/* --- on the loop --- */

static void sweep(struct task *t, enum offload_lane lane, struct sweep *s)
{
    int r = slices_run(t, &lane, find_some, s);

    for (unsigned i = 0; r == 0 && i < s->trees; i++) {
        struct remover remover = {.dir_fd = s->fd, .name = s->names[i], .own = true};
        r = remove_tree(t, lane, &remover);
    }
}

void leftovers_sweep(struct task *t, enum offload_lane lane, int dir_fd)
{
    struct opening o = {.dir_fd = dir_fd};
    _cleanup_free_ struct sweep *s = calloc(1, sizeof(*s));
    _cleanup_free_ char *dents = malloc(DENTS_BYTES);

    if (!s || !dents || offload(t, lane, open_again, &o) < 0)
        return;
    s->fd = o.fd;
    s->dents = dents;
    sweep(t, lane, s);
    offload_always(t, lane, close_it, s);
}
