#include "files/restore.h"

#include <errno.h>
#include <stdlib.h>

#include "files/name_lock.h"
#include "files/trashing.h"
#include "files/undo.h"
#include "http/form.h"
#include "http/uri.h"

enum { NAME_IS_TAKEN = 1 };

struct restoring {
    struct change c; /* of the path that it had */
    const struct undo *undo;
    uint64_t resolve;
    enum offload_lane lane;
    struct place place;
    struct guard_hold hold;
    struct trashed trashed;
    bool is_back;
};

/* --- on a helper thread --- */

/* Under the name's lock. Whatever has the name, that is told before anybody learns that it is
 * locked. */
static int give_back(struct restoring *s)
{
    const struct guard_part part = {
        .path = s->c.path, .touch = TOUCH_STATE | TOUCH_NAME, .place = &s->place};
    const struct validators nothing = {0};
    struct stat st;

    int r = place_look(&s->place, &st);
    if (r == 0 && st.st_dev == s->undo->dev && st.st_ino == s->undo->ino)
        return TRASH_MISSING; /* a desktop has put it back */
    if (r == 0)
        return NAME_IS_TAKEN;
    if (r == -ENOENT)
        r = guard_evaluate(s->c.guard, &nothing, s->place.resolve);
    if (r == 0)
        r = guard_enter(s->c.guard, &part, 1, s->place.resolve, &s->hold);
    if (r != 0)
        return r;
    r = trashing_give_back(s->c.trash, &s->undo->item, &s->place, s->c.path, &s->trashed);
    s->is_back = r == 0;
    guard_leave(s->c.guard, &s->hold, s->is_back ? GUARD_DONE : GUARD_UNDONE);
    /* What is mounted there now, or is not any more, is another file system with another trash. */
    if (r == TRASH_MISSING && s->place.dir.st_dev != s->undo->dir_dev)
        return -ENOENT;
    return r == 0 ? 201 : r;
}

/* Its folder first: should the power go between the two, the trash still knows of it. By then
 * something else may lie there under its name (-EEXIST): its note stays. Returns 201, or -EIO
 * whatever has failed: the thing is back, and no other status may say that it is not. */
static int finish(struct restoring *s)
{
    int r = s->c.durable ? place_sync(&s->place, -1) : 0;

    if (r == 0)
        r = trashing_forget(s->c.trash, &s->trashed, s->c.durable);
    else
        trash_close(&s->trashed.trash);
    return r == 0 || r == -EEXIST ? 201 : -EIO;
}

static int begin(void *arg)
{
    struct restoring *s = arg;

    int r = place_open_link(s->c.root->fd, s->c.path, s->resolve, &s->place);
    if (r < 0)
        return r;
    struct name_lock lock = name_lock_take(s->c.root, &s->place, NULL);
    r = give_back(s);
    name_lock_release(lock);
    if (s->is_back)
        r = finish(s);
    place_close(&s->place);
    return r;
}

/* --- on the loop --- */

static int respond_restored(struct task *t, struct exchange *x, const struct undo *undo)
{
    struct buf location;

    exchange_status(x, 201);
    buf_init_growing(&location, EXCHANGE_LOCATION_BYTES);
    buf_append_char(&location, '/');
    uri_encode_path(&location, undo->path);
    if (undo->is_folder)
        buf_append_char(&location, '/');
    if (!buf_failed(&location))
        exchange_field(x, SPAN("Location"), buf_span(&location));
    buf_finish(&location);
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

static int respond(struct task *t, const struct restoring *s, int r)
{
    struct exchange *x = s->c.x;

    if (r == 201)
        return respond_restored(t, x, s->undo);
    if (r == NAME_IS_TAKEN || r == -EEXIST)
        return exchange_error(t, x, 409, SPAN("Something else has its name now."));
    if (r == -ENOENT || r == -ENOTDIR || r == TRASH_ELSEWHERE)
        return exchange_error(t, x, 409,
                              SPAN("The folder that it was in does not exist any more."));
    if (r == TRASH_MISSING)
        return exchange_error(t, x, 404, SPAN("It is not in the trash any more."));
    return change_respond(t, &s->c, r);
}

static int restore(struct task *t, const struct change *c, struct undo *undo)
{
    struct restoring s = {.c = *c, .undo = undo, .place = PLACE_NONE, .hold = GUARD_NOTHING_HELD};
    const struct span path = c->guard->path;

    s.c.path = s.c.guard->path = undo->path;
    int r = change_begin(t, &s.c, begin, &s, &s.resolve, &s.lane);
    change_end(t, &s.c);
    int answered = respond(t, &s, r);
    c->guard->path = path;
    if (s.is_back)
        free(undo);
    else
        undos_put_back(c->undos, undo);
    return answered;
}

/* Returns 0, the status to refuse the request with, or -errno. */
static int read_token(struct task *t, struct exchange *x, char memory[UNDO_TOKEN_BYTES],
                      struct span *ret_token)
{
    struct span body;

    if (!form_is_urlencoded(x->request.content_type))
        return 415;
    int r = exchange_peek_body(t, x, LIMIT_FORM_BYTES, &body);
    if (r < 0)
        return r == -E2BIG ? 413 : r;
    return form_get(body, SPAN("token"), memory, UNDO_TOKEN_BYTES, ret_token) ? 0 : 400;
}

int deletion_restore(struct task *t, const struct change *c)
{
    char memory[UNDO_TOKEN_BYTES];
    struct span token;

    int r = c->undos ? read_token(t, c->x, memory, &token) : 404;
    if (r < 0)
        return r;
    if (r > 0)
        return exchange_error(t, c->x, r, SPAN(""));
    struct undo *undo =
        undos_take(c->undos, c->guard->shown.user, token, loop_now_ms(task_loop(t)));
    if (!undo)
        return exchange_error(t, c->x, 404, SPAN("This deletion cannot be taken back any more."));
    return restore(t, c, undo);
}
