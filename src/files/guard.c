#include "files/guard.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "files/canonical.h"
#include "files/etag.h"
#include "files/failures.h"
#include "http/dav_fields.h"
#include "http/dav_if.h"
#include "http/destination.h"
#include "http/uri.h"

static void show(struct lock_shown *shown, struct span token)
{
    if (token.len == LOCK_TOKEN_BYTES && shown->count < LIMIT_IF_TOKENS)
        shown->tokens[shown->count++] = token;
}

void guard_init(struct guard *g, struct locks *locks, const struct root *root,
                const struct request *request, bool is_tls, struct span user, struct span path)
{
    struct span token;

    *g = (struct guard){
        .locks = locks,
        .root = root,
        .request = request,
        .path = path,
        .is_tls = is_tls,
        .shown = {.user = user},
    };
    buf_init_growing(&g->blocked, LIMIT_FAILURES * LIMIT_PATH_BYTES);
    guard_show(g, request->dav_if);
    /* Word shows it so when it saves, and has no If then ([MS-WDV] section 2.2.4.2). */
    if (request->method == METHOD_PUT && dav_lock_token_parse(request->lock_token, &token) == 0)
        show(&g->shown, token);
}

void guard_finish(struct guard *g)
{
    buf_finish(&g->blocked);
}

void guard_show(struct guard *g, struct span dav_if)
{
    struct dav_if_item item = {.kind = DAV_IF_LIST};
    struct dav_if at;

    if (!dav_if.data)
        return;
    dav_if_init(&at, dav_if);
    while (item.kind != DAV_IF_END && dav_if_next(&at, &item) == 0)
        if (item.kind == DAV_IF_TOKEN)
            show(&g->shown, item.value);
}

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- If --- */

/* The resource that conditions are about. On the heap, as it is longer than a frame may be. */
struct resource {
    const struct guard *g;
    const struct validators *current; /* of the request's own path */
    uint64_t resolve;
    bool exists, is_named;
    struct span path;      /* data == NULL: nothing of this server */
    struct span canonical; /* data == NULL: not found out yet */
    struct span etag;
    char tag[ETAG_BYTES];
    char path_bytes[LIMIT_PATH_BYTES], canonical_bytes[LIMIT_PATH_BYTES];
};

static int look_at_file(struct resource *r)
{
    struct timespec before;
    struct stat st;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    _cleanup_close_ int fd = root_open_raw(r->g->root->fd, r->path.data, O_PATH, 0, r->resolve);
    if (fd == -EXDEV && r->resolve & RESOLVE_NO_XDEV)
        return fd;
    if (fd < 0 || file_stat(fd, &st) < 0)
        return 0;
    r->exists = true;
    if (S_ISREG(st.st_mode))
        r->etag = etag_format(&st, &before, r->tag);
    return 0;
}

static int look(void *context, struct span reference)
{
    struct resource *r = context;
    const struct request *q = r->g->request;
    bool is_folder;

    r->exists = false;
    r->path = r->canonical = r->etag = (struct span){0};
    if (reference.data && destination_resolve(reference, q->host, r->g->is_tls, r->path_bytes,
                                              &r->path, &is_folder) < 0)
        return 0;
    if (!reference.data || span_equal(r->path, r->g->path)) {
        r->path = r->g->path;
        r->exists = r->current->exists;
        r->etag = r->current->etag;
        return 0;
    }
    if (root_path_reserved(r->path)) {
        r->path = (struct span){0};
        return 0;
    }
    return look_at_file(r);
}

static bool has_token(void *context, struct span token)
{
    struct resource *r = context;
    const struct guard *g = r->g;

    if (!g->locks || !r->path.data || !locks_any(g->locks))
        return false;
    if (!r->canonical.data && canonical_path(g->root->fd, r->path, r->resolve, true,
                                             r->canonical_bytes, &r->canonical) < 0)
        r->canonical = r->path;
    return locks_covers(g->locks, token, r->canonical, !r->exists, clock_ms());
}

static bool has_etag(void *context, struct span etag)
{
    const struct resource *r = context;

    return conditional_match_list(etag, r->etag, ETAG_WEAK) == 1;
}

int guard_evaluate(struct guard *g, const struct validators *current, uint64_t resolve)
{
    int r = conditional_evaluate(g->request, current);

    if (r != 0 || !g->request->dav_if.data)
        return r;
    _cleanup_free_ struct resource *resource = malloc(sizeof(*resource));
    if (!resource)
        return -ENOMEM;
    resource->g = g;
    resource->current = current;
    resource->resolve = resolve;
    const struct dav_if_state state = {resource, look, has_token, has_etag};
    r = dav_if_evaluate(g->request->dav_if, &state);
    return r < 0 ? r : r > 0 ? 0 : 412;
}

/* --- locks --- */

/* Where the next canonical path goes. */
static char *room_at(const struct guard_hold *hold)
{
    return hold->paths + (size_t)hold->count * LIMIT_PATH_BYTES;
}

static void add_claim(struct guard_hold *hold, struct span path, unsigned touch)
{
    assert(hold->count < 2 * GUARD_PARTS_MAX);
    hold->claims[hold->count++] = (struct lock_claim){.path = path, .touch = touch};
}

/* Who removes or renames a link changes what its path leads to as well: that is what has been
 * locked by its name. */
static int add_target(const struct guard *g, const struct guard_part *part, uint64_t resolve,
                      struct guard_hold *hold)
{
    struct span link = hold->claims[hold->count - 1].path, target;

    int r = canonical_path(g->root->fd, part->path, resolve, true, room_at(hold), &target);
    if (r == -EXDEV && resolve & RESOLVE_NO_XDEV)
        return r;
    /* A link that leads nowhere is only a link. */
    if (r == 0 && !span_equal(link, target))
        add_claim(hold, target, TOUCH_STATE);
    return 0;
}

/* Returns 0, 409 where they are not, or -errno. */
static int compare_places(const struct place *a, const struct place *b)
{
    struct stat x, y;

    int r = file_stat(a->dir_fd, &x);
    if (r == 0)
        r = file_stat(b->dir_fd, &y);
    if (r != 0)
        return r;
    bool same = x.st_dev == y.st_dev && x.st_ino == y.st_ino && strcmp(a->name, b->name) == 0;
    return same ? 0 : 409;
}

/* Folders on the way may have been renamed since it was found. */
static int look_again(const struct guard *g, const struct guard_part *part, uint64_t resolve)
{
    struct place now;

    if (!part->place)
        return 0;
    int r = part->follow ? place_open(g->root->fd, part->path, resolve, &now)
                         : place_open_link(g->root->fd, part->path, resolve, &now);
    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? 409 : r;
    r = compare_places(&now, part->place);
    place_close(&now);
    return r;
}

/* A change of all that is in a folder may take long. */
static bool may_take_long(const struct guard_part *parts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (parts[i].touch & TOUCH_BELOW)
            return true;
    return false;
}

static int find_claims(const struct guard *g, const struct guard_part *parts, unsigned count,
                       uint64_t resolve, struct guard_hold *hold)
{
    struct span path;
    int r = 0;

    assert(count <= GUARD_PARTS_MAX);
    if (!locks_any(g->locks) && !may_take_long(parts, count)) {
        for (unsigned i = 0; i < count; i++)
            add_claim(hold, parts[i].path, parts[i].touch);
        return 0;
    }
    hold->paths = malloc(2 * (size_t)count * LIMIT_PATH_BYTES);
    if (!hold->paths)
        return -ENOMEM;
    for (unsigned i = 0; r == 0 && i < count; i++) {
        r = look_again(g, &parts[i], resolve);
        if (r == 0)
            r = canonical_path(g->root->fd, parts[i].path, resolve, parts[i].follow, room_at(hold),
                               &path);
        if (r == 0)
            add_claim(hold, path, parts[i].touch);
        if (r == 0 && !parts[i].follow)
            r = add_target(g, &parts[i], resolve, hold);
    }
    return r;
}

/* Whether it is in a folder that was to be changed with all that is in it. */
static bool is_member(struct span path, const struct guard_hold *hold)
{
    for (unsigned i = 0; i < hold->count; i++) {
        struct span folder = hold->claims[i].path;
        if (hold->claims[i].touch & TOUCH_BELOW && path.len > folder.len &&
            span_starts_with(path, folder) && (folder.len == 0 || path.data[folder.len] == '/'))
            return true;
    }
    return false;
}

static bool are_members(const struct buf *blocked, const struct guard_hold *hold)
{
    for (size_t at = 0; at < blocked->len; at += strlen(blocked->data + at) + 1)
        if (!is_member(span_str(blocked->data + at), hold))
            return false;
    return true;
}

/* `hold` holds nothing yet; what it was filled with is freed where it does not become one. */
static int claim(struct guard *g, const struct guard_part *parts, unsigned count, uint64_t resolve,
                 bool only_ask, struct guard_hold *hold)
{
    *hold = GUARD_NOTHING_HELD;
    if (!g->locks)
        return 0;
    g->blocked.len = 0;
    int r = find_claims(g, parts, count, resolve, hold);
    if (r == 0)
        r = locks_claim(g->locks, hold->claims, hold->count, &g->shown, only_ask, clock_ms(),
                        &g->blocked);
    if (r == 423 && buf_failed(&g->blocked))
        r = -ENOMEM;
    if (r == 423)
        g->only_members = are_members(&g->blocked, hold);
    if (r == 0 && !only_ask) {
        hold->locks = g->locks;
        return 0;
    }
    free(hold->paths);
    hold->paths = NULL;
    hold->count = 0;
    return r;
}

int guard_check(struct guard *g, const struct guard_part *parts, unsigned count, uint64_t resolve)
{
    struct guard_hold hold;

    if (!g->locks || !locks_any(g->locks))
        return 0;
    return claim(g, parts, count, resolve, true, &hold);
}

int guard_enter(struct guard *g, const struct guard_part *parts, unsigned count, uint64_t resolve,
                struct guard_hold *ret_hold)
{
    return claim(g, parts, count, resolve, false, ret_hold);
}

static bool is_gone(const struct guard *g, const char *path)
{
    _cleanup_close_ int fd = root_open_raw(g->root->fd, path, O_PATH | O_NOFOLLOW, 0, 0);

    return fd == -ENOENT || fd == -ENOTDIR;
}

static void forget_what_is_gone(struct guard *g, struct span path)
{
    struct buf locked;

    buf_init_growing(&locked, LIMIT_LOCK_BYTES);
    locks_list(g->locks, path, &locked);
    for (size_t at = 0; !buf_failed(&locked) && at < locked.len;) {
        struct span one = span_str(locked.data + at);
        at += one.len + 1;
        if (is_gone(g, one.data))
            g->has_ended |= locks_forget(g->locks, one);
    }
    buf_finish(&locked);
}

void guard_leave(struct guard *g, struct guard_hold *hold, enum guard_outcome outcome)
{
    if (!hold->locks)
        return;
    for (unsigned i = 0; outcome == GUARD_PARTLY && i < hold->count; i++)
        if (hold->claims[i].touch & (TOUCH_BELOW | TOUCH_GONE) && locks_any(g->locks))
            forget_what_is_gone(g, hold->claims[i].path);
    g->has_ended |= locks_unclaim(hold->locks, hold->claims, hold->count, outcome == GUARD_DONE);
    free(hold->paths);
    *hold = GUARD_NOTHING_HELD;
}

/* --- the answer --- */

static int respond_members(struct task *t, struct exchange *x, const struct guard *g)
{
    struct failures failures;

    failures_init(&failures, SPAN(""));
    for (size_t at = 0; at < g->blocked.len; at += strlen(g->blocked.data + at) + 1)
        failures_add(&failures, span_str(g->blocked.data + at), 423);
    int r = failures_respond(t, x, &failures);
    failures_finish(&failures);
    return r;
}

int guard_respond(struct task *t, struct exchange *x, const struct guard *g)
{
    struct buf body;

    if (g->only_members)
        return respond_members(t, x, g);
    buf_init_growing(&body, LIMIT_FAILURES * (3 * LIMIT_PATH_BYTES + 64) + 512);
    buf_append(&body, SPAN("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                           "<D:error xmlns:D=\"DAV:\"><D:lock-token-submitted>"));
    for (size_t at = 0; at < g->blocked.len; at += strlen(g->blocked.data + at) + 1) {
        buf_append(&body, SPAN("<D:href>/"));
        uri_encode_path(&body, span_str(g->blocked.data + at));
        buf_append(&body, SPAN("</D:href>"));
    }
    buf_append(&body, SPAN("</D:lock-token-submitted></D:error>\n"));
    int r = buf_failed(&body) ? exchange_error(t, x, 503, SPAN(""))
                              : exchange_respond(t, x, 423, SPAN("application/xml; charset=utf-8"),
                                                 buf_span(&body));
    buf_finish(&body);
    return r;
}
