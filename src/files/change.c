#include "files/change.h"

#include <errno.h>
#include <linux/openat2.h>
#include <time.h>

#include "files/etag.h"
#include "files/locks_file.h"
#include "http/destination.h"

/* Whether `a` is `b`, or a folder that `b` is in. */
static bool holds(struct span a, struct span b)
{
    return span_starts_with(b, a) && (b.len == a.len || b.data[a.len] == '/');
}

int change_target(const struct change *c, char memory[LIMIT_PATH_BYTES], struct target *ret_target)
{
    const struct request *q = &c->x->request;
    struct target target;

    int r = destination_parse(q, c->x->conn->is_tls, memory, &target.path, &target.wants_folder);
    if (r == 0)
        r = overwrite_parse(q, &target.overwrite);
    if (r < 0)
        return -r;
    if (c->path.len == 0 || target.path.len == 0 || root_path_reserved(target.path) ||
        holds(c->path, target.path) || holds(target.path, c->path))
        return 403;
    *ret_target = target;
    return 0;
}

bool change_depth_is_infinite(const struct change *c)
{
    struct span depth = c->x->request.depth;

    return !depth.data || span_equal_nocase(depth, SPAN("infinity"));
}

int change_look(const struct change *c, const struct place *place, struct stat *ret_stat)
{
    char tag[ETAG_BYTES];
    struct timespec before;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    int r = place_look(place, ret_stat);
    if (r < 0)
        return r == -ENOENT ? 404 : r;
    struct validators current = {
        .exists = true,
        .mtime = ret_stat->st_mtim.tv_sec,
        .now = before.tv_sec,
        .even = ret_stat->st_mtim.tv_nsec == 0,
    };
    if (S_ISREG(ret_stat->st_mode))
        current.etag = etag_format(ret_stat, &before, tag);
    return guard_evaluate(c->guard, &current, place->resolve);
}

struct guard_part change_source(const struct change *c, const struct stat *st)
{
    return (struct guard_part){
        .path = c->path,
        .touch = TOUCH_STATE | TOUCH_NAME | TOUCH_GONE | (S_ISDIR(st->st_mode) ? TOUCH_BELOW : 0),
    };
}

int change_destination(const struct target *target, const struct place *to,
                       struct guard_part *ret_part)
{
    struct stat old;
    int r = place_look(to, &old);

    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && !target->overwrite)
        return 412;
    *ret_part = (struct guard_part){
        .path = target->path,
        .place = to,
        .touch = TOUCH_STATE | TOUCH_NAME |
                 /* a DELETE first: RFC 4918 section 9.9.3 */
                 (r == 0 && S_ISDIR(old.st_mode) ? TOUCH_BELOW : 0),
    };
    return 0;
}

bool change_fits(bool wants_folder, const struct stat *st)
{
    return !wants_folder || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode);
}

int change_begin(struct task *t, const struct change *c, int (*begin)(void *arg), void *arg,
                 uint64_t *resolve, enum offload_lane *lane)
{
    *lane = c->root->fast ? OFFLOAD_SYNC : OFFLOAD_SLOW;
    *resolve = c->root->fast ? RESOLVE_NO_XDEV : 0;
    int r = offload(t, *lane, begin, arg);
    if (r != -EXDEV || *lane == OFFLOAD_SLOW)
        return r;
    *lane = OFFLOAD_SLOW;
    *resolve = 0;
    return offload(t, *lane, begin, arg);
}

void change_end(struct task *t, const struct change *c)
{
    loop_new_epoch(task_loop(t));
    /* Where they cannot be written down, they would end by themselves in the end. */
    if (c->guard->has_ended && c->locks_file)
        (void)locks_save(t, c->locks_file);
}

static int respond_empty(struct task *t, struct exchange *x, int status)
{
    exchange_status(x, status);
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

int change_respond_taken(struct task *t, const struct change *c, enum allow_what what)
{
    exchange_status(c->x, 405);
    exchange_field(c->x, SPAN("Allow"), allow_methods(what, true));
    return exchange_error(t, c->x, 405, SPAN("Something has this name."));
}

int change_respond(struct task *t, const struct change *c, int status)
{
    struct exchange *x = c->x;

    if (status == -ECANCELED || status == -ETIMEDOUT)
        return status;
    if (status == 423 && guard_is_blocked(c->guard))
        return guard_respond(t, x, c->guard);
    bool error = status < 0;
    if (error)
        status = status_from_errno(status);
    switch (status) {
    case 201:
    case 204:
        return respond_empty(t, x, status);
    case 409:
        return exchange_error(t, x, 409,
                              error ? SPAN("Somebody else has changed it meanwhile.")
                                    : SPAN("The folder for it does not exist."));
    case 412:
        return exchange_error(t, x, 412, SPAN("It is not what was asked for."));
    case 415:
        return exchange_error(t, x, 415, SPAN("A new folder is empty: no body is understood."));
    case 502:
        return exchange_error(t, x, 502, SPAN("The destination is on another server."));
    default:
        return exchange_error(t, x, status, SPAN(""));
    }
}
