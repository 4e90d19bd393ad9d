#include "files/mkcol.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/name_lock.h"

/* umask and default ACLs take away what should not be. */
enum { MODE_NEW = 0777 };

struct making {
    const struct change *c;
    uint64_t resolve;
    enum offload_lane lane;
    enum allow_what taken_by; /* with 405: what has the name */
};

static int make_at(struct making *m, const struct place *place)
{
    const struct guard_part part = {.path = m->c->path, .touch = TOUCH_STATE | TOUCH_NAME};
    const struct validators nothing = {0};
    struct guard_hold hold;
    struct stat st;

    int r = place_look(place, &st);
    if (r == 0) {
        m->taken_by = S_ISREG(st.st_mode) ? ALLOW_FILE : ALLOW_FOLDER;
        return 405;
    }
    if (r == -ENOENT)
        r = guard_evaluate(m->c->guard, &nothing, place->resolve);
    if (r == 0)
        r = guard_enter(m->c->guard, &part, 1, place->resolve, &hold);
    if (r != 0)
        return r;
    if (mkdirat(place->dir_fd, place->name, MODE_NEW) < 0)
        r = errno == EEXIST ? 405 : -errno;
    guard_leave(m->c->guard, &hold, r == 0 ? GUARD_DONE : GUARD_UNDONE);
    return r == 0 ? 201 : r;
}

static int sync_new(const struct making *m, const struct place *place)
{
    const uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    _cleanup_close_ int fd = -1;

    if (!m->c->durable)
        return 0;
    if (place->unreadable)
        fd = root_open_raw(place->dir_fd, place->name, flags, 0, m->resolve);
    return place_sync(place, fd);
}

static int make(void *arg)
{
    struct making *m = arg;
    struct place place;

    int r = place_open_link(m->c->root->fd, m->c->path, m->resolve, &place);
    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 409 : r;
    struct name_lock lock = name_lock_take(m->c->root, &place, NULL);
    r = make_at(m, &place);
    name_lock_release(lock);
    int synced = r == 201 ? sync_new(m, &place) : 0;
    place_close(&place);
    return synced < 0 ? synced : r;
}

int folder_make(struct task *t, const struct change *c)
{
    struct making m = {.c = c, .taken_by = ALLOW_FOLDER};

    if (c->x->request.has_body)
        return change_respond(t, c, 415);
    if (c->path.len == 0)
        return change_respond_taken(t, c, ALLOW_ROOT);
    int r = change_begin(t, c, make, &m, &m.resolve, &m.lane);
    if (r == 201)
        change_end(t, c);
    return r == 405 ? change_respond_taken(t, c, m.taken_by) : change_respond(t, c, r);
}
