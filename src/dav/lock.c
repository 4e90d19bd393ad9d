#include "dav/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dav/body.h"
#include "dav/error.h"
#include "dav/lock_answer.h"
#include "dav/lock_request.h"
#include "files/canonical.h"
#include "files/content.h"
#include "files/etag.h"
#include "files/failures.h"
#include "files/locks_file.h"
#include "files/name_lock.h"
#include "http/dav_fields.h"
#include "rt/io.h"

enum {
    /* umask and default ACLs take away what should not be. */
    MODE_NEW = 0666,
    /* No HTTP status: a change is being made there. */
    IS_CHANGING = 1,
    /* How often one looks whether it still is. */
    WAIT_MS = 5,
    /* Every byte of paths escaped, and the markup around them. */
    ANSWER_BYTES = LOCK_ANSWERS_MAX * (3 * LIMIT_PATH_BYTES + LIMIT_LOCK_OWNER_BYTES + 512) + 512,
};

/* One request while it is answered. */
struct locking {
    const struct change *c;
    struct locks *locks;
    struct lock_request request;
    struct lock lock; /* that is wanted */
    uint32_t seconds;
    bool wants_infinite;
    uint64_t now_ms;
    uint64_t resolve;
    enum offload_lane lane;
    struct span token;    /* of UNLOCK */
    bool is_released;     /* the lock, after it was granted */
    bool is_other;        /* 412, 409: no lock with this token covers the resource */
    struct buf conflicts; /* 423: paths of other locks, as locks.h has them */
    char path_bytes[LIMIT_PATH_BYTES];
};

/* --- on a helper thread --- */

/* Where locks of the resource are kept. What cannot be looked up is compared as it is written. */
static int find_path(struct locking *l)
{
    const struct change *c = l->c;

    int r = canonical_path(c->root->fd, c->path, l->resolve, true, l->path_bytes, &l->lock.path);
    if (r == -ENOMEM || (r == -EXDEV && l->resolve & RESOLVE_NO_XDEV))
        return r;
    if (r < 0)
        l->lock.path = c->path;
    return 0;
}

/* Preconditions and If; `st` is NULL where nothing is there. */
static int evaluate(struct locking *l, const struct stat *st, const struct timespec *before)
{
    char tag[ETAG_BYTES];
    struct validators current = {.exists = st != NULL, .now = before->tv_sec};

    if (st) {
        current.mtime = st->st_mtim.tv_sec;
        current.even = st->st_mtim.tv_nsec == 0;
    }
    if (st && S_ISREG(st->st_mode))
        current.etag = etag_format(st, before, tag);
    return guard_evaluate(l->c->guard, &current, l->resolve);
}

/* Who may not write a file may not keep others from it either. */
static int check_writable(const struct locking *l, const struct place *place)
{
    const uint64_t flags = O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY;
    _cleanup_close_ int fd = root_open_raw(place->dir_fd, place->name, flags, 0, l->resolve);

    return fd < 0 && fd != -ETXTBSY ? fd : 0;
}

static int grant(struct locking *l, bool is_infinite)
{
    l->lock.is_infinite = is_infinite;
    l->conflicts.len = 0;
    int r = find_path(l);
    if (r == 0)
        r = locks_grant(l->locks, &l->lock, l->seconds, l->now_ms, &l->conflicts);
    if (r == 423 && buf_failed(&l->conflicts))
        return -ENOMEM;
    return r == -EBUSY ? IS_CHANGING : r;
}

static void release(struct locking *l)
{
    l->is_released = true;
    (void)locks_release(l->locks, span_of(l->lock.token, LOCK_TOKEN_BYTES), l->lock.user,
                        l->lock.path, l->now_ms);
}

/* Clients that write next ask for the empty file's tag and send it as If-Match, all within a few
 * milliseconds; a weak one would be refused. Where the time cannot be set it stays one. */
static void make_tag_strong(int fd)
{
    struct timespec mtime;
    struct stat st;

    clock_gettime(CLOCK_REALTIME, &mtime);
    if (content_set_mtime(fd, &mtime) == 0 && file_stat(fd, &st) == 0 && st.st_size == 0 &&
        st.st_mtim.tv_sec == mtime.tv_sec && st.st_mtim.tv_nsec == mtime.tv_nsec)
        etag_note_own(&st);
}

/* The lock is there already, so nobody else's comes; and it is shown with those that the request
 * itself shows. The folder may be locked too. Returns 201 and the open file, 0 (another program was
 * quicker), 423, or -errno. */
static int make_file(struct locking *l, const struct place *place, int *ret_fd)
{
    const struct guard_part part = {
        .path = l->c->path, .touch = TOUCH_STATE | TOUCH_NAME, .follow = true};
    struct lock_shown *shown = &l->c->guard->shown;
    struct guard_hold hold;

    if (shown->count < LIMIT_IF_TOKENS)
        shown->tokens[shown->count++] = span_of(l->lock.token, LOCK_TOKEN_BYTES);
    int r = guard_enter(l->c->guard, &part, 1, l->resolve, &hold);
    if (r != 0)
        return r;
    *ret_fd = root_open_raw(place->dir_fd, place->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
                            MODE_NEW, l->resolve);
    guard_leave(l->c->guard, &hold, *ret_fd < 0 ? GUARD_UNDONE : GUARD_DONE);
    if (*ret_fd < 0)
        return *ret_fd == -EEXIST ? 0 : *ret_fd;
    make_tag_strong(*ret_fd);
    return 201;
}

static int lock_new(struct locking *l, const struct place *place, const struct timespec *before,
                    int *ret_fd)
{
    if (l->c->wants_folder) /* a LOCK makes none */
        return 409;
    int r = evaluate(l, NULL, before);
    if (r == 0)
        r = grant(l, false);
    if (r != 0)
        return r;
    r = make_file(l, place, ret_fd);
    if (r != 0 && r != 201)
        release(l);
    return r;
}

/* What is there; `place` is NULL for the root. */
static int lock_old(struct locking *l, const struct place *place, const struct stat *st,
                    const struct timespec *before)
{
    bool is_folder = S_ISDIR(st->st_mode);

    if ((!is_folder && !S_ISREG(st->st_mode)) || !change_fits(l->c->wants_folder, st))
        return 404;
    int r = evaluate(l, st, before);
    if (r == 0 && place && !is_folder)
        r = check_writable(l, place);
    return r != 0 ? r : grant(l, is_folder && l->wants_infinite);
}

static int lock_root(struct locking *l)
{
    struct timespec before;
    struct stat st;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    int r = file_stat(l->c->root->fd, &st);
    return r < 0 ? r : lock_old(l, NULL, &st, &before);
}

static int lock_at(struct locking *l, const struct place *place, int *ret_fd)
{
    struct timespec before;
    struct stat st;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    int r = place_look(place, &st);
    if (r == -ENOENT)
        return lock_new(l, place, &before, ret_fd);
    return r < 0 ? r : lock_old(l, place, &st, &before);
}

/* Returns 0 (granted), 201 (and a file was made), another status, IS_CHANGING, or -errno. */
static int begin(void *arg)
{
    struct locking *l = arg;
    const struct change *c = l->c;
    _cleanup_close_ int fd = -1; /* of a new file */
    struct place place;

    if (c->path.len == 0)
        return lock_root(l);
    int r = place_open(c->root->fd, c->path, l->resolve, &place);
    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 409 : r;
    struct name_lock lock = name_lock_take(c->root, &place, NULL);
    r = lock_at(l, &place, &fd);
    name_lock_release(lock);
    int synced = r == 201 && c->durable ? place_sync(&place, fd) : 0;
    if (synced < 0) {
        release(l);
        r = synced;
    }
    place_close(&place);
    return r;
}

/* Any token that the request shows may be the one. */
static int refresh_shown(struct locking *l)
{
    const struct lock_shown *shown = &l->c->guard->shown;
    int result = 412;

    for (unsigned i = 0; i < shown->count; i++) {
        int r = locks_refresh(l->locks, shown->tokens[i], shown->user, l->lock.path, l->seconds,
                              l->now_ms);
        if (r == 0)
            return 0;
        if (r == -EPERM)
            result = 403;
    }
    l->is_other = result == 412;
    return result;
}

static int refresh(void *arg)
{
    struct locking *l = arg;
    const struct change *c = l->c;
    struct timespec before;
    struct stat st;

    int r = find_path(l);
    if (r < 0)
        return r;
    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    _cleanup_close_ int fd = root_open_raw(c->root->fd, c->path.data, O_PATH, 0, l->resolve);
    if (fd == -EXDEV && l->resolve & RESOLVE_NO_XDEV)
        return fd;
    r = evaluate(l, fd >= 0 && file_stat(fd, &st) == 0 ? &st : NULL, &before);
    return r == 0 ? refresh_shown(l) : r;
}

static int unlock(void *arg)
{
    struct locking *l = arg;

    int r = find_path(l);
    if (r < 0)
        return r;
    r = locks_release(l->locks, l->token, l->lock.user, l->lock.path, l->now_ms);
    l->is_other = r == -ENOENT;
    return r == 0 ? 204 : r == -ENOENT ? 409 : 403;
}

/* --- on the loop --- */

static int keep(struct task *t, const struct locking *l)
{
    return l->c->locks_file ? locks_save(t, l->c->locks_file) : 0;
}

static int refuse_unkept(struct task *t, struct locking *l, int error)
{
    int status = status_from_errno(error);

    if (task_cancelled(t))
        return error;
    return exchange_error(t, l->c->x, status < 500 ? 500 : status,
                          SPAN("Locks cannot be written down now."));
}

/* Whether all of the other locks are below the resource. */
static bool are_members(const struct locking *l)
{
    struct span rest = buf_span(&l->conflicts), path = l->lock.path;
    bool members = rest.len > 0;

    while (rest.len > 0)
        members &= span_split(&rest, '\0').len > path.len;
    return members;
}

/* RFC 4918 section 9.10.9: 207 where it is members of a folder that cannot be locked. */
static int refuse_conflict(struct task *t, struct locking *l)
{
    struct exchange *x = l->c->x;
    struct span rest = buf_span(&l->conflicts);
    struct failures failures;

    if (rest.len == 0)
        return dav_error(t, x, 423, SPAN("no-conflicting-lock"));
    if (!are_members(l))
        return dav_error_at(t, x, 423, SPAN("no-conflicting-lock"), rest);
    failures_init(&failures, SPAN(""));
    while (rest.len > 0)
        failures_add(&failures, span_split(&rest, '\0'), 423);
    failures_add(&failures, l->c->path, 424);
    int r = failures_respond(t, x, &failures);
    failures_finish(&failures);
    return r;
}

static int refuse(struct task *t, struct locking *l, int result)
{
    struct exchange *x = l->c->x;

    if (result < 0 && task_cancelled(t))
        return result;
    int status = result < 0 ? status_from_errno(result) : result;
    if (l->is_other)
        return dav_error(t, x, status, SPAN("lock-token-matches-request-uri"));
    switch (result) {
    case 423:
        return guard_is_blocked(l->c->guard) ? guard_respond(t, x, l->c->guard)
                                             : refuse_conflict(t, l);
    case 409:
        return exchange_error(t, x, 409, SPAN("The folder for it does not exist."));
    case 412:
        return exchange_error(t, x, 412, SPAN("It is not what was asked for."));
    case 403:
        return exchange_error(t, x, 403, SPAN("This lock is somebody else's."));
    case 507:
        return exchange_error(t, x, 507, SPAN("There are too many locks."));
    default:
        return exchange_error(t, x, status, SPAN(""));
    }
}

/* `all` that cover the resource, or the new one alone. */
static int respond(struct task *t, struct locking *l, int status, bool all)
{
    struct exchange *x = l->c->x;
    bool hides_root = lock_answer_hides_root(x->request.user_agent);
    char token[LOCK_TOKEN_BYTES + 2];
    struct buf body, field;

    buf_init_growing(&body, ANSWER_BYTES);
    buf_append(&body, SPAN("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                           "<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>"));
    if (all)
        lock_answer_append_all(&body, l->locks, l->lock.path, l->now_ms, hides_root);
    else
        lock_answer_append(&body, &l->lock, (uint32_t)((l->lock.ends_ms - l->now_ms) / 1000),
                           hides_root);
    buf_append(&body, SPAN("</D:lockdiscovery></D:prop>\n"));
    exchange_status(x, buf_failed(&body) ? 503 : status);
    if (!all && !buf_failed(&body)) {
        buf_init_fixed(&field, token, sizeof(token));
        buf_append_char(&field, '<');
        buf_append(&field, span_of(l->lock.token, LOCK_TOKEN_BYTES));
        buf_append_char(&field, '>');
        exchange_field(x, SPAN("Lock-Token"), buf_span(&field));
    }
    int r = buf_failed(&body)
                ? exchange_error(t, x, 503, SPAN(""))
                : exchange_respond(t, x, status, SPAN("application/xml; charset=utf-8"),
                                   buf_span(&body));
    buf_finish(&body);
    return r;
}

/* As long as a change is being made to it, but not for ever. */
static int grant_patiently(struct task *t, struct locking *l)
{
    uint64_t started_ms = loop_now_ms(task_loop(t));
    int r = IS_CHANGING;

    while (r == IS_CHANGING) {
        l->now_ms = loop_now_ms(task_loop(t));
        r = change_begin(t, l->c, begin, l, &l->resolve, &l->lane);
        if (r != IS_CHANGING)
            break;
        if (l->now_ms - started_ms >= LIMIT_LOCK_WAIT_MS)
            return 423;
        int slept = io_sleep(t, WAIT_MS);
        if (slept < 0)
            return slept;
    }
    return r;
}

/* The lock may be in a file after an error too: others write it down with theirs. */
static void take_back(struct task *t, struct locking *l)
{
    if (!l->is_released)
        release(l);
    (void)keep(t, l);
}

static int respond_new(struct task *t, struct locking *l)
{
    int r = grant_patiently(t, l);

    if (r == 201)
        loop_new_epoch(task_loop(t));
    if (l->is_released)
        take_back(t, l);
    if (r != 0 && r != 201)
        return refuse(t, l, r);
    int kept = keep(t, l);
    if (kept == 0)
        kept = task_cancelled(t);
    if (kept < 0) {
        take_back(t, l);
        return refuse_unkept(t, l, kept);
    }
    return respond(t, l, r == 201 ? 201 : 200, false);
}

static int respond_refreshed(struct task *t, struct locking *l)
{
    if (!l->c->x->request.dav_if.data)
        return exchange_error(t, l->c->x, 400, SPAN("Which lock is to be refreshed? If says it."));
    int r = change_begin(t, l->c, refresh, l, &l->resolve, &l->lane);
    if (r != 0)
        return refuse(t, l, r);
    r = keep(t, l);
    return r < 0 ? refuse_unkept(t, l, r) : respond(t, l, 200, true);
}

static int respond_read(struct task *t, struct locking *l)
{
    l->lock.owner = l->request.owner;
    l->lock.is_shared = l->request.is_shared;
    buf_init_growing(&l->conflicts, LIMIT_FAILURES * LIMIT_PATH_BYTES);
    int r = l->request.is_refresh ? respond_refreshed(t, l) : respond_new(t, l);
    buf_finish(&l->conflicts);
    return r;
}

static struct locking *locking_create(struct task *t, const struct change *c)
{
    struct locking *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->c = c;
    l->locks = c->guard->locks;
    l->lock.user = c->guard->shown.user;
    l->now_ms = loop_now_ms(task_loop(t));
    return l;
}

/* Returns a sentence that says what is wrong with the fields of a LOCK, or "". */
static struct span read_fields(const struct request *q, struct locking *l)
{
    enum dav_depth depth;
    bool without_itself;

    if (dav_depth_parse(q->depth, &depth, &without_itself) < 0 || depth == DAV_DEPTH_1 ||
        without_itself)
        return SPAN("Depth is 0 or infinity.");
    if (dav_timeout_parse(q->timeout, &l->seconds) < 0)
        return SPAN("Timeout is malformed.");
    if (q->timeout.data && l->seconds == 0)
        l->seconds = 1;                       /* 0 would be without the field */
    l->wants_infinite = depth != DAV_DEPTH_0; /* section 9.10.3 */
    return SPAN("");
}

int lock_respond(struct task *t, const struct change *c)
{
    _cleanup_free_ struct locking *l = locking_create(t, c);
    struct exchange *x = c->x;
    struct buf body;

    if (!l)
        return exchange_error(t, x, 503, SPAN(""));
    struct span wrong = read_fields(&x->request, l);
    if (wrong.len > 0)
        return exchange_error(t, x, 400, wrong);
    int r = dav_read_body(t, x, &body);
    if (r < 0)
        return dav_refuse_body(t, x, r);
    r = lock_request_parse(buf_span(&body), &l->request);
    buf_finish(&body);
    return r < 0 ? dav_refuse_body(t, x, r) : respond_read(t, l);
}

int unlock_respond(struct task *t, const struct change *c)
{
    _cleanup_free_ struct locking *l = locking_create(t, c);
    struct exchange *x = c->x;

    if (!l)
        return exchange_error(t, x, 503, SPAN(""));
    if (dav_lock_token_parse(x->request.lock_token, &l->token) < 0)
        return exchange_error(t, x, 400, SPAN("Lock-Token is missing or malformed."));
    int r = change_begin(t, c, unlock, l, &l->resolve, &l->lane);
    if (r != 204)
        return refuse(t, l, r);
    r = keep(t, l);
    return r < 0 ? refuse_unkept(t, l, r) : change_respond(t, c, 204);
}
