#include "dav/proppatch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dav/body.h"
#include "dav/proppatch_answer.h"
#include "dav/proppatch_request.h"
#include "files/etag.h"
#include "files/name_lock.h"
#include "files/xattrs.h"

/* One request while it is served. */
struct proppatch {
    const struct change *c;
    uint64_t resolve;
    enum offload_lane lane;
    struct proppatch_request request;
    struct proppatch_effect effect;
    struct place place;
    int fd;                /* of the file or folder */
    struct timespec began; /* CLOCK_REALTIME_COARSE */
    struct stat before;
    struct buf old_dead, new_dead;
    bool dead_changed, mode_changed, times_changed;
    bool keeps_nothing; /* the file system has no attributes */
};

/* --- on a helper thread: changing --- */

/* What says no to who asks, and not that something is broken. */
static bool is_refusal(int error)
{
    return error == -EPERM || error == -EACCES || error == -EROFS || error == -EINVAL ||
           error == -ENOSYS || error == -EOPNOTSUPP;
}

static bool is_full(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -E2BIG || error == -ERANGE;
}

/* Those that wanted to set something; where there are none, those that wanted to remove. */
static void blame_dead(struct proppatch *p, int status)
{
    struct proppatch_request *q = &p->request;

    for (int removing = 0; removing < 2 && !proppatch_has_failed(q); removing++)
        for (size_t i = 0; i < q->count; i++)
            if (q->steps[i].kind == PROPPATCH_DEAD && q->steps[i].removes == removing)
                q->steps[i].status = status;
}

/* Returns 0, or 507: then that step is to blame. */
static int make_dead(struct proppatch *p)
{
    struct proppatch_request *q = &p->request;
    struct buf next;

    buf_append(&p->new_dead, buf_span(&p->old_dead));
    for (size_t i = 0; i < q->count; i++) {
        const struct proppatch_step *step = &q->steps[i];
        if (step->kind != PROPPATCH_DEAD)
            continue;
        buf_init_growing(&next, LIMIT_DEAD_BYTES);
        dead_change(buf_span(&p->new_dead), &step->property, step->removes, &next);
        buf_finish(&p->new_dead);
        p->new_dead = next;
        if (buf_failed(&next)) {
            q->steps[i].status = 507;
            return 507;
        }
    }
    return 0;
}

/* All of these return 0, also where a step has got its status, or -errno. */
static int change_dead(struct proppatch *p)
{
    if (!p->effect.has_dead)
        return 0;
    int r = xattrs_get_own(p->fd, &p->old_dead);
    if (r < 0)
        return r;
    if (make_dead(p) != 0 || span_equal(buf_span(&p->new_dead), buf_span(&p->old_dead)))
        return 0;
    r = xattrs_set_own(p->fd, buf_span(&p->new_dead));
    p->dead_changed = r == 0;
    p->keeps_nothing = r == -EOPNOTSUPP;
    if (p->keeps_nothing || is_full(r))
        blame_dead(p, 507);
    else if (is_refusal(r))
        blame_dead(p, 403);
    else
        return r;
    return 0;
}

static int change_mode(struct proppatch *p)
{
    mode_t old = p->before.st_mode & 07777, mode = old & (mode_t)~0111;

    if (!p->effect.executable_by)
        return 0;
    if (p->effect.executable) /* for whom it may be read */
        mode = old | (old & 0444) >> 2;
    if (mode == old)
        return 0;
    if (fchmod(p->fd, mode) == 0) {
        p->mode_changed = true;
        return 0;
    }
    if (!is_refusal(-errno))
        return -errno;
    p->effect.executable_by->status = 403;
    return 0;
}

/* Both times always: much of what uses FUSE sets neither where one is to be left out, and says
 * nothing. */
static int change_times(struct proppatch *p)
{
    const struct proppatch_effect *e = &p->effect;
    struct timespec times[2] = {{0}, p->before.st_mtim};

    if (!e->mtime_by && !e->atime_by)
        return 0;
    clock_gettime(CLOCK_REALTIME, &times[0]);
    if (e->atime_by)
        times[0] = (struct timespec){.tv_sec = e->atime_s};
    if (e->mtime_by)
        times[1] = (struct timespec){.tv_sec = e->mtime_s};
    if (futimens(p->fd, times) == 0) {
        p->times_changed = true;
        return 0;
    }
    if (!is_refusal(-errno))
        return -errno;
    /* Explorer goes on without its times, and gives up with an error. */
    if (e->mtime_by && e->mtime_by->kind != PROPPATCH_WIN32_MTIME)
        e->mtime_by->status = 403;
    return 0;
}

/* Returns 0, or -errno where it could not be done. */
static int undo(const struct proppatch *p)
{
    int r = 0;

    if (p->mode_changed && fchmod(p->fd, p->before.st_mode & 07777) < 0)
        r = -errno;
    int restored = p->dead_changed ? xattrs_set_own(p->fd, buf_span(&p->old_dead)) : 0;
    return r < 0 ? r : restored;
}

static void keep_tag(const struct proppatch *p)
{
    struct stat after;

    if (S_ISREG(p->before.st_mode) && file_stat(p->fd, &after) == 0)
        etag_keep(&p->before, &after, &p->began);
}

static int change_all(struct proppatch *p)
{
    struct proppatch_request *q = &p->request;
    static int (*const changes[])(struct proppatch *) = {change_dead, change_mode, change_times};
    int r = 0;

    proppatch_find_effect(q, S_ISDIR(p->before.st_mode), p->began.tv_sec, &p->effect);
    for (size_t i = 0; i < 3 && r == 0 && !proppatch_has_failed(q); i++)
        r = changes[i](p);
    if (r < 0 || proppatch_has_failed(q)) {
        int undone = undo(p);
        r = r < 0 ? r : undone;
    }
    if (p->dead_changed || p->mode_changed || p->times_changed)
        keep_tag(p);
    return r;
}

/* --- finding it --- */

static int open_place(struct proppatch *p)
{
    const struct root *root = p->c->root;

    if (p->c->path.len > 0) {
        int r = place_open(root->fd, p->c->path, p->resolve, &p->place);
        return r == -ENOENT || r == -ENOTDIR ? 404 : r;
    }
    p->place.dir_fd = root_open_raw(root->fd, ".", O_RDONLY | O_DIRECTORY, 0, 0);
    return p->place.dir_fd < 0 ? p->place.dir_fd : file_stat(p->place.dir_fd, &p->place.dir);
}

static int open_it(struct proppatch *p)
{
    const uint64_t flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY;
    const char *name = p->c->path.len > 0 ? p->place.name : ".";

    p->fd = root_open_raw(p->place.dir_fd, name, flags, 0, p->place.resolve);
    if (p->fd < 0)
        return p->fd == -ENOENT ? 404 : p->fd;
    clock_gettime(CLOCK_REALTIME_COARSE, &p->began);
    int r = file_stat(p->fd, &p->before);
    if (r < 0)
        return r;
    if (!S_ISDIR(p->before.st_mode) && (!S_ISREG(p->before.st_mode) || p->c->wants_folder))
        return 404;
    return 0;
}

static int evaluate(struct proppatch *p)
{
    char tag[ETAG_BYTES];
    struct validators current = {
        .exists = true,
        .mtime = p->before.st_mtim.tv_sec,
        .now = p->began.tv_sec,
        .even = p->before.st_mtim.tv_nsec == 0,
    };

    if (S_ISREG(p->before.st_mode))
        current.etag = etag_format(&p->before, &p->began, tag);
    return guard_evaluate(p->c->guard, &current, p->resolve);
}

/* Under the lock of the name. */
static int change_locked(struct proppatch *p)
{
    const struct guard_part part = {p->c->path, TOUCH_STATE, .follow = true};
    struct guard_hold hold;

    int r = open_it(p);
    if (r == 0)
        r = evaluate(p);
    if (r == 0)
        r = guard_enter(p->c->guard, &part, 1, p->resolve, &hold);
    if (r != 0)
        return r;
    r = change_all(p);
    guard_leave(p->c->guard, &hold, r == 0 ? GUARD_DONE : GUARD_UNDONE);
    return r;
}

static int sync_changes(const struct proppatch *p)
{
    bool changed = p->dead_changed || p->mode_changed || p->times_changed;

    return changed && p->c->durable && fsync(p->fd) < 0 ? -errno : 0;
}

static int begin(void *arg)
{
    struct proppatch *p = arg;

    p->place = PLACE_NONE;
    p->fd = -1;
    int r = open_place(p);
    if (r == 0) {
        struct name_lock lock = name_lock_take(p->c->root, &p->place, NULL);
        r = change_locked(p);
        name_lock_release(lock);
    }
    if (r == 0)
        r = sync_changes(p);
    if (p->fd >= 0)
        close(p->fd);
    place_close(&p->place);
    return r;
}

/* --- on the loop --- */

static int respond(struct task *t, struct proppatch *p, int r)
{
    const struct proppatch_answer answer = {
        .request = &p->request,
        .path = p->c->path,
        .is_folder = S_ISDIR(p->before.st_mode),
        .keeps_nothing = p->keeps_nothing,
    };
    struct buf body;

    if (r != 0)
        return change_respond(t, p->c, r);
    proppatch_decide(&p->request);
    proppatch_answer_make(&answer, &body);
    r = buf_failed(&body)
            ? change_respond(t, p->c, 503)
            : exchange_respond(t, p->c->x, 207, SPAN("application/xml; charset=utf-8"),
                               buf_span(&body));
    buf_finish(&body);
    return r;
}

static int serve(struct task *t, struct proppatch *p)
{
    buf_init_growing(&p->old_dead, LIMIT_DEAD_BYTES);
    buf_init_growing(&p->new_dead, LIMIT_DEAD_BYTES);
    int r = change_begin(t, p->c, begin, p, &p->resolve, &p->lane);
    change_end(t, p->c);
    r = respond(t, p, r);
    buf_finish(&p->old_dead);
    buf_finish(&p->new_dead);
    return r;
}

static int read_request(struct task *t, struct proppatch *p)
{
    struct buf body;

    int r = dav_read_body(t, p->c->x, &body);
    if (r < 0)
        return r;
    r = proppatch_parse(buf_span(&body), &p->request);
    buf_finish(&body);
    return r;
}

int proppatch_respond(struct task *t, const struct change *c)
{
    struct proppatch *p = calloc(1, sizeof(*p));

    if (!p)
        return change_respond(t, c, 503);
    p->c = c;
    int r = read_request(t, p);
    if (r < 0) {
        r = dav_refuse_body(t, c->x, r);
    } else {
        /* Office sets its times while it holds the lock, and does not show it. */
        c->guard->shown.any_own = proppatch_is_win32(&p->request);
        r = serve(t, p);
        proppatch_finish(&p->request);
    }
    free(p);
    return r;
}
