#include "files/move.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/copy.h"
#include "files/etag.h"
#include "files/name_lock.h"
#include "files/remove.h"
#include "files/replace.h"

enum {
    SET_ASIDE = 1, /* done, and a folder that was replaced is to be removed */
    ACROSS = 2,    /* not possible: it leads to another file system */
};

struct move {
    const struct change *c;
    struct target target;
    uint64_t resolve;
    enum offload_lane lane;
    struct place from, to;
    struct replacement replaced;
    struct guard_hold hold;
};

/* --- on a helper thread --- */

static int open_places(struct move *m)
{
    int root_fd = m->c->root->fd;

    int r = place_open_link(root_fd, m->c->path, m->resolve, &m->from);
    if (r < 0)
        return r;
    r = place_open_link(root_fd, m->target.path, m->resolve, &m->to);
    return r == -ENOENT || r == -ENOTDIR ? 409 : r;
}

/* That nobody gets a lock of either until it is done. Where something must not be replaced, that is
 * told before anybody learns that it is locked. */
static int enter(struct move *m, const struct stat *st)
{
    struct guard_part parts[2] = {change_source(m->c, st)};
    int r = change_destination(&m->target, &m->to, &parts[1]);

    parts[0].touch |= TOUCH_MOVED;
    if (r != 0)
        return r == -EXDEV ? ACROSS : r;
    return guard_enter(m->c->guard, parts, 2, m->from.resolve, &m->hold);
}

/* A new name is a new ctime, and that would be another tag. */
static void keep_tag(const struct move *m, const struct stat *before, const struct timespec *now)
{
    struct stat after;

    if (S_ISREG(before->st_mode) && place_look(&m->to, &after) == 0)
        etag_keep(before, &after, now);
}

/* Under the locks of both names. Where something is set aside they stay claimed. */
static int rename_now(struct move *m)
{
    struct timespec now;
    struct stat st;

    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    int r = change_look(m->c, &m->from, &st);
    if (r != 0)
        return r;
    if (!change_fits(m->c->wants_folder, &st))
        return 404;
    if (S_ISDIR(st.st_mode) && !change_depth_is_infinite(m->c))
        return 400;
    r = enter(m, &st);
    if (r != 0)
        return r;
    r = replace_name(&m->from, &m->to, m->target.overwrite, &m->replaced);
    if (r == 0)
        keep_tag(m, &st, &now);
    if (r != 0)
        guard_leave(m->c->guard, &m->hold, GUARD_UNDONE);
    else if (m->replaced.aside_fd < 0)
        guard_leave(m->c->guard, &m->hold, GUARD_DONE);
    return r == -EXDEV ? ACROSS : r == -EINVAL ? 403 : r;
}

static int sync_one(const struct place *p, const struct place *other)
{
    bool help = !other->unreadable && other->dir.st_dev == p->dir.st_dev;

    return place_sync(p, help ? other->dir_fd : -1);
}

/* Bytes that another program has just written may not be on the disk yet, while those of the file
 * that they replace are: a power cut would leave neither. */
static int sync_content(const struct move *m)
{
    const uint64_t flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    struct stat st;

    if (!m->c->durable || !m->target.overwrite || place_look(&m->to, &st) < 0 ||
        place_look(&m->from, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    _cleanup_close_ int fd = root_open_raw(m->from.dir_fd, m->from.name, flags, 0, m->from.resolve);
    /* Where it may not be read there is no way to do that. */
    return fd >= 0 && fsync(fd) < 0 ? -errno : 0;
}

/* The new name first: should the power go between the two, there are both. */
static int sync_names(const struct move *m)
{
    if (!m->c->durable)
        return 0;
    int r = sync_one(&m->to, &m->from);
    return r < 0 || m->from.dir.st_ino == m->to.dir.st_ino ? r : sync_one(&m->from, &m->to);
}

/* A part of what was there may be gone already. */
static int undo(void *arg)
{
    struct move *m = arg;
    struct name_lock lock = name_lock_take(m->c->root, &m->from, &m->to);

    int r = replace_undo(&m->from, &m->to, &m->replaced);
    guard_leave(m->c->guard, &m->hold, GUARD_PARTLY);
    name_lock_release(lock);
    return r < 0 ? r : sync_names(m);
}

static int finish(void *arg)
{
    struct move *m = arg;

    place_close(&m->from);
    place_close(&m->to);
    return 0;
}

static int begin(void *arg)
{
    struct move *m = arg;

    int r = open_places(m);
    /* As the kernel would say; but nobody waits for one of them while he holds up the other. */
    if (r == 0 && m->from.dir.st_dev != m->to.dir.st_dev)
        r = ACROSS;
    if (r == 0)
        r = sync_content(m);
    if (r == 0) {
        struct name_lock lock = name_lock_take(m->c->root, &m->from, &m->to);
        r = rename_now(m);
        name_lock_release(lock);
    }
    if (r == 0) {
        r = sync_names(m);
        if (r < 0 && m->replaced.aside_fd >= 0) /* nobody would ever find it again */
            undo(m);
    }
    if (r == ACROSS || (r == 0 && m->replaced.aside_fd >= 0))
        return r == 0 ? SET_ASIDE : r;
    finish(m);
    return r == 0 && m->replaced.created ? 201 : r == 0 ? 204 : r;
}

static int end(void *arg)
{
    struct move *m = arg;

    guard_leave(m->c->guard, &m->hold, GUARD_DONE);
    return sync_names(m);
}

/* --- on the loop --- */

/* What cannot be replaced as a whole is not replaced: the server MUST delete it before (RFC 4918
 * section 9.9.3). */
static int remove_aside(struct task *t, struct move *m)
{
    struct failures failures;
    struct remover remover = {
        .dir_fd = m->replaced.aside_fd,
        .name = m->replaced.aside_name,
        .to_the_end = true,
        .failures = &failures,
    };

    failures_init(&failures, m->target.path);
    int r = remove_tree(t, m->lane, &remover);
    int then = offload_always(t, m->lane, remover.left ? undo : end, m);
    if (r == 0)
        r = then;
    change_end(t, m->c);
    if (r == 0 && failures.count > 0)
        r = failures_respond(t, m->c->x, &failures);
    else
        r = change_respond(t, m->c, r < 0 ? r : 204);
    failures_finish(&failures);
    return r;
}

static int move(struct task *t, struct move *m)
{
    int r = change_begin(t, m->c, begin, m, &m->resolve, &m->lane);

    change_end(t, m->c);
    if (r == SET_ASIDE) {
        r = remove_aside(t, m);
        offload_always(t, m->lane, finish, m);
        return r;
    }
    if (r == ACROSS) {
        offload_always(t, m->lane, finish, m);
        return file_move_across(t, m->c, &m->target);
    }
    return change_respond(t, m->c, r);
}

int file_move(struct task *t, const struct change *c)
{
    _cleanup_free_ char *path = malloc(LIMIT_PATH_BYTES);
    struct move m = {.c = c, .from = PLACE_NONE, .to = PLACE_NONE, .hold = GUARD_NOTHING_HELD};

    if (!path)
        return change_respond(t, c, 503);
    int r = change_target(c, path, &m.target);
    return r != 0 ? change_respond(t, c, r) : move(t, &m);
}
