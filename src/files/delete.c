#include "files/delete.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "files/name_lock.h"
#include "files/remove.h"
#include "files/trashing.h"
#include "files/undo.h"

enum { NOT_EMPTY = 1 }; /* a folder: there is more to do */

struct deletion {
    const struct change *c;
    uint64_t resolve;
    enum offload_lane lane;
    struct place place;
    struct guard_hold hold;
    bool partly;
    bool in_trash;
    struct stat st;
    struct trashed trashed;
};

/* --- on a helper thread --- */

static int remove_name(struct deletion *d, const struct stat *st)
{
    const struct change *c = d->c;
    bool folder = S_ISDIR(st->st_mode);

    if (c->trash) {
        int r = trashing_take(c->trash, &d->place, st, c->path, c->durable, &d->trashed);
        d->in_trash = r == 0;
        d->st = *st;
        if (r != TRASH_FOR_GOOD)
            return r < 0 ? r : 204;
    }
    if (unlinkat(d->place.dir_fd, d->place.name, folder ? AT_REMOVEDIR : 0) == 0)
        return 204;
    /* That is said only where nothing else forbids it. */
    if (folder && (errno == ENOTEMPTY || errno == EEXIST))
        return NOT_EMPTY;
    return -errno;
}

/* Under the name's lock. What is to be removed piece by piece stays claimed. */
static int delete_name(struct deletion *d)
{
    const struct change *c = d->c;
    struct stat st;

    int r = change_look(c, &d->place, &st);
    if (r != 0)
        return r;
    if (!change_fits(c->wants_folder, &st))
        return 404;
    if (S_ISDIR(st.st_mode) && !change_depth_is_infinite(c))
        return 400;
    const struct guard_part part = change_source(c, &st);
    r = guard_enter(c->guard, &part, 1, d->place.resolve, &d->hold);
    if (r != 0)
        return r;
    r = remove_name(d, &st);
    if (r != NOT_EMPTY)
        guard_leave(c->guard, &d->hold, r == 204 ? GUARD_DONE : GUARD_UNDONE);
    return r;
}

/* The trash first: should the power go between the two, it is in both. */
static int finish(void *arg)
{
    struct deletion *d = arg;
    int in_trash = d->in_trash ? trashing_sync(d->c->trash, &d->trashed, d->c->durable) : 0;
    int r = 0;

    guard_leave(d->c->guard, &d->hold, d->partly ? GUARD_PARTLY : GUARD_DONE);
    /* Where something is left, this says nothing about the rest: all of it has to last. */
    if (d->c->durable && d->partly && !d->place.unreadable)
        r = syncfs(d->place.dir_fd) < 0 ? -errno : 0;
    else if (d->c->durable)
        r = place_sync(&d->place, -1);
    place_close(&d->place);
    return r < 0 ? r : in_trash;
}

static int begin(void *arg)
{
    struct deletion *d = arg;

    int r = place_open_link(d->c->root->fd, d->c->path, d->resolve, &d->place);
    if (r < 0)
        return r;
    struct name_lock lock = name_lock_take(d->c->root, &d->place, NULL);
    r = delete_name(d);
    name_lock_release(lock);
    if (r == NOT_EMPTY)
        return r;
    int synced = r == 204 ? finish(d) : 0;
    place_close(&d->place);
    return synced < 0 ? synced : r;
}

/* --- on the loop --- */

static int delete_tree(struct task *t, struct deletion *d)
{
    struct failures failures;
    struct remover remover = {
        .dir_fd = d->place.dir_fd,
        .name = d->place.name,
        .failures = &failures,
    };

    failures_init(&failures, d->c->path);
    int r = remove_tree(t, d->lane, &remover);
    d->partly = remover.left;
    int synced = offload_always(t, d->lane, finish, d);
    change_end(t, d->c);
    if (r == 0)
        r = synced;
    if (r == 0 && failures.count > 0)
        r = failures_respond(t, d->c->x, &failures);
    else
        r = change_respond(t, d->c, r < 0 ? r : 204);
    failures_finish(&failures);
    return r;
}

/* Without a token where there is no memory for it, or no random bytes. */
static int respond_in_trash(struct task *t, const struct deletion *d)
{
    const struct change *c = d->c;
    const struct undo undo = {
        .item = d->trashed.item,
        .is_folder = S_ISDIR(d->st.st_mode),
        .dev = d->st.st_dev,
        .ino = d->st.st_ino,
        .dir_dev = d->place.dir.st_dev,
        .user = c->guard->shown.user,
        .path = c->path,
    };
    char token[UNDO_TOKEN_BYTES + 1];

    exchange_status(c->x, 204);
    if (undos_add(c->undos, &undo, loop_now_ms(task_loop(t)), token) == 0)
        exchange_field(c->x, SPAN("Trash-Token"), span_str(token));
    int r = exchange_begin(t, c->x, 0);
    return r < 0 ? r : exchange_end(t, c->x);
}

int file_delete(struct task *t, const struct change *c)
{
    struct deletion d = {.c = c, .place = PLACE_NONE, .hold = GUARD_NOTHING_HELD};

    if (c->path.len == 0)
        return exchange_error(t, c->x, 403, SPAN("This is the folder that is served."));
    int r = change_begin(t, c, begin, &d, &d.resolve, &d.lane);
    if (r == NOT_EMPTY)
        return delete_tree(t, &d);
    /* Although the last sync may have failed, what is gone is gone, with its locks. */
    change_end(t, c);
    return r == 204 && d.in_trash ? respond_in_trash(t, &d) : change_respond(t, c, r);
}
