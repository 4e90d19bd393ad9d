#include "route.h"

#include <errno.h>

#include "auth/csrf.h"
#include "base/cleanup.h"
#include "dav/lock.h"
#include "dav/options.h"
#include "dav/propfind.h"
#include "dav/proppatch.h"
#include "files/archive.h"
#include "files/cache.h"
#include "files/copy.h"
#include "files/delete.h"
#include "files/get.h"
#include "files/guard.h"
#include "files/mkcol.h"
#include "files/move.h"
#include "files/put.h"
#include "files/restore.h"
#include "files/upload_http.h"
#include "files/upload_ietf.h"
#include "files/upload_tus.h"
#include "http/allow.h"
#include "http/dav_fields.h"
#include "http/dav_if.h"
#include "http/uri.h"
#include "ui/asset.h"
#include "ui/listing.h"

/* One request on its way to its handler. */
struct visit {
    const struct site *site;
    const struct visitor *visitor;
    struct span path;    /* decoded, relative, followed by a NUL */
    bool wants_folder;   /* it ended in a slash */
    struct guard *guard; /* of a request that changes something */
};

static bool may_change(const struct visit *v)
{
    return !v->site->read_only && !v->visitor->read_only;
}

static int refuse_method(struct task *t, struct exchange *x, const struct visit *v)
{
    int status = x->request.method == METHOD_OTHER ? 501 : 405;
    enum allow_what what = ALLOW_SERVER; /* it has not been looked at */

    if (v->path.len == 0)
        what = ALLOW_ROOT;
    else if (v->wants_folder)
        what = ALLOW_FOLDER;
    exchange_status(x, status);
    if (status == 405)
        exchange_field(x, SPAN("Allow"), allow_methods(what, may_change(v)));
    return exchange_error(t, x, status, SPAN(""));
}

/* --- GET and HEAD --- */

/* Relative links of a listing need the slash at its end. */
static int add_slash(struct task *t, struct exchange *x, const struct visit *v)
{
    /* What it can become, every byte of the path escaped. */
    size_t most = 3 * v->path.len + x->request.query.len + 3;
    int refusal = most > EXCHANGE_LOCATION_BYTES ? 414 : status_from_errno(-ENOMEM);
    struct buf location;

    buf_init_growing(&location, EXCHANGE_LOCATION_BYTES);
    buf_append_char(&location, '/');
    uri_encode_path(&location, v->path);
    buf_append_char(&location, '/');
    if (x->request.query.data) {
        buf_append_char(&location, '?');
        buf_append(&location, x->request.query);
    }
    int r = buf_failed(&location) ? exchange_error(t, x, refusal, SPAN(""))
                                  : exchange_redirect(t, x, 308, buf_span(&location));
    buf_finish(&location);
    return r;
}

static int get_folder(struct task *t, struct exchange *x, const struct visit *v,
                      const struct file *folder)
{
    struct listing_options options = {
        .writable = may_change(v),
        .can_logout = v->visitor->has_session,
        .has_trash = v->site->trash != NULL,
        .user = v->visitor->user,
    };

    if (!v->wants_folder && v->path.len > 0)
        return add_slash(t, x, v);
    if (archive_is_wanted(&x->request))
        return archive_respond(t, x, v->site->root, folder, v->path);
    return listing_respond(t, x, v->site->folders, folder, v->path, &options);
}

static int get_open(struct task *t, struct exchange *x, const struct visit *v, struct file *file)
{
    if (S_ISDIR(file->st.st_mode))
        return get_folder(t, x, v, file);
    if (v->wants_folder)
        return exchange_error(t, x, 404, SPAN(""));
    if (archive_is_wanted(&x->request))
        return exchange_error(t, x, 400, SPAN("There are archives of folders only."));
    return file_get(t, x, v->site->mime, file, uri_last_segment(v->path));
}

static int get(struct task *t, struct exchange *x, const struct visit *v)
{
    struct file file;

    int r = file_cache_open(t, v->site->cache, v->path, &file);
    if (r == -ECANCELED || r == -ETIMEDOUT)
        return r;
    if (r < 0)
        return exchange_error(t, x, status_from_errno(r), SPAN(""));
    r = get_open(t, x, v, &file);
    file_cache_close(t, &file);
    return r;
}

/* Changes nothing: an archive of what is named in the body. */
static int post(struct task *t, struct exchange *x, const struct visit *v)
{
    return archive_is_wanted(&x->request) ? get(t, x, v) : refuse_method(t, x, v);
}

/* --- PUT and other uploads --- */

static struct upload_request upload_request(struct exchange *x, const struct visit *v)
{
    return (struct upload_request){
        .x = x,
        .root = v->site->root,
        .user = v->visitor->user,
        .durable = v->site->durable,
        .boot = v->site->boot,
        .guard = v->guard,
    };
}

static int put(struct task *t, struct exchange *x, const struct visit *v)
{
    if (v->wants_folder || v->path.len == 0)
        return refuse_method(t, x, v);
    if (upload_ietf_is_meant(&x->request)) {
        const struct upload_request by = upload_request(x, v);
        return upload_ietf_create(t, &by, v->path);
    }
    return file_put(t, x, v->guard, v->site->durable);
}

static int upload(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct upload_request by = upload_request(x, v);

    return upload_serve(t, &by, v->path);
}

static int upload_options(struct task *t, struct exchange *x, const struct visit *v)
{
    (void)v;
    return upload_serve_options(t, x, SPAN("HEAD, PATCH, DELETE, OPTIONS"));
}

static int tus(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct upload_request by = upload_request(x, v);

    return upload_tus_create(t, &by, v->path);
}

static int tus_options(struct task *t, struct exchange *x, const struct visit *v)
{
    (void)v;
    return upload_serve_options(t, x, SPAN("POST, OPTIONS"));
}

/* --- MKCOL, DELETE and back, MOVE, COPY --- */

static struct change change_of(struct exchange *x, const struct visit *v)
{
    return (struct change){
        .x = x,
        .root = v->site->root,
        .guard = v->guard,
        .locks_file = v->site->locks_file,
        .path = v->path,
        .wants_folder = v->wants_folder,
        .durable = v->site->durable,
        .trash = v->site->trash,
        .undos = v->site->undos,
    };
}

static int mkcol(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return folder_make(t, &c);
}

static int delete (struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return file_delete(t, &c);
}

static int move(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return file_move(t, &c);
}

static int copy(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return file_copy(t, &c);
}

static int restore(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return v->path.len > 0 ? exchange_error(t, x, 404, SPAN("")) : deletion_restore(t, &c);
}

/* --- LOCK and UNLOCK --- */

static int lock(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return lock_respond(t, &c);
}

static int unlock(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return unlock_respond(t, &c);
}

/* --- OPTIONS, PROPFIND, PROPPATCH --- */

static int options(struct task *t, struct exchange *x, const struct visit *v)
{
    return options_respond(t, x, v->site->root, v->path, may_change(v));
}

static int propfind(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct propfind_options options = {
        .root = v->site->root,
        .folders = v->site->folders,
        .mime = v->site->mime,
        .locks = v->site->locks,
        .can_lock = may_change(v),
        .path = v->path,
        .wants_folder = v->wants_folder,
    };

    return propfind_respond(t, x, &options);
}

static int proppatch(struct task *t, struct exchange *x, const struct visit *v)
{
    const struct change c = change_of(x, v);

    return proppatch_respond(t, &c);
}

/* --- the table --- */

struct route {
    enum http_method method;
    bool is_change, is_dav; /* is_dav: obeys If and Depth */
    int (*handle)(struct task *t, struct exchange *x, const struct visit *v);
};

/* clang-format off */
static const struct route routes[] = {
    {METHOD_GET, .handle = get},
    {METHOD_HEAD, .handle = get},
    {METHOD_POST, .handle = post},
    {METHOD_OPTIONS, .handle = options},
    {METHOD_PROPFIND, .is_dav = true, .handle = propfind},
    {METHOD_PUT, .is_change = true, .is_dav = true, .handle = put},
    {METHOD_MKCOL, .is_change = true, .is_dav = true, .handle = mkcol},
    {METHOD_DELETE, .is_change = true, .is_dav = true, .handle = delete},
    {METHOD_MOVE, .is_change = true, .is_dav = true, .handle = move},
    {METHOD_COPY, .is_change = true, .is_dav = true, .handle = copy},
    {METHOD_PROPPATCH, .is_change = true, .is_dav = true, .handle = proppatch},
    {METHOD_LOCK, .is_change = true, .is_dav = true, .handle = lock},
    {METHOD_UNLOCK, .is_change = true, .is_dav = true, .handle = unlock},
};
/* clang-format on */

static const struct route *find_route(enum http_method method)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (routes[i].method == method)
            return &routes[i];
    return NULL;
}

/* What of the server's own has more than a name: the handler's path is what follows. */
static const struct own_route {
    struct span folder;
    struct route route;
} own_routes[] = {
    {SPAN("upload"), {METHOD_OPTIONS, .handle = upload_options}},
    /* Whoever may not change anything has none, and to look at one ends what still adds to it. */
    {SPAN("upload"), {METHOD_OTHER, .is_change = true, .is_dav = true, .handle = upload}},
    {SPAN("tus"), {METHOD_OPTIONS, .handle = tus_options}},
    {SPAN("tus"), {METHOD_POST, .is_change = true, .is_dav = true, .handle = tus}},
    {SPAN("restore"), {METHOD_POST, .is_change = true, .is_dav = true, .handle = restore}},
};

/* METHOD_OTHER stands for any. Takes the folder from the path. */
static const struct route *find_own_route(enum http_method method, struct visit *v)
{
    struct span rest = v->path;
    struct span folder = span_split(&rest, '/');

    for (size_t i = 0; i < sizeof(own_routes) / sizeof(own_routes[0]); i++) {
        const struct own_route *own = &own_routes[i];
        if (!span_equal(own->folder, folder) ||
            (own->route.method != METHOD_OTHER && own->route.method != method))
            continue;
        v->path = rest.data ? rest : span_skip(v->path, v->path.len);
        return &own->route;
    }
    return NULL;
}

/* /.fastfile/NAME. */
static int serve_own(struct task *t, struct exchange *x, struct span name)
{
    bool get_method = x->request.method == METHOD_GET || x->request.method == METHOD_HEAD;

    if (get_method && span_equal(name, SPAN("health")))
        return exchange_respond(t, x, 200, SPAN("text/plain; charset=utf-8"), SPAN("ok\n"));
    if (span_starts_with(name, SPAN("ui/")))
        return asset_respond(t, x, name);
    return exchange_error(t, x, 404, SPAN(""));
}

static int handle_change(struct task *t, struct exchange *x, const struct route *route,
                         const struct visit *v)
{
    struct visit guarded = *v;
    struct guard guard;

    guard_init(&guard, v->site->locks, v->site->root, &x->request, x->conn->is_tls,
               v->visitor->user, v->path);
    guarded.guard = &guard;
    int r = route->handle(t, x, &guarded);
    guard_finish(&guard);
    return r;
}

/* Who may not is told here, and nowhere else; and no handler sees an If or Depth that is malformed:
 * what was to protect something is not ignored. */
static int handle(struct task *t, struct exchange *x, const struct route *route, struct visit *v)
{
    const struct request *q = &x->request;
    enum dav_depth depth;
    bool no_root;

    if (route->is_change &&
        !csrf_allowed(true, x->conn->is_tls, q->sec_fetch_site, q->origin, q->host))
        return exchange_error(t, x, 403, SPAN("This request was made by another site."));
    if (route->is_change && !may_change(v))
        return exchange_error(t, x, 403, SPAN("You may read here, not change anything."));
    if (route->is_dav && dav_if_check(q->dav_if) < 0)
        return exchange_error(t, x, 400, SPAN("The field If is malformed."));
    if (route->is_dav && dav_depth_parse(q->depth, &depth, &no_root) < 0)
        return exchange_error(t, x, 400, SPAN("Depth is 0, 1 or infinity."));
    return route->is_change ? handle_change(t, x, route, v) : route->handle(t, x, v);
}

static int route(struct task *t, struct exchange *x, const struct site *site,
                 const struct visitor *visitor)
{
    struct visit visit = {.site = site, .visitor = visitor};
    const struct request *q = &x->request;
    _cleanup_free_ char *path = malloc(LIMIT_PATH_BYTES);

    if (!path)
        return -ENOMEM;
    if (span_equal(q->path, SPAN("*")))
        return q->method == METHOD_OPTIONS ? options(t, x, &visit)
                                           : exchange_error(t, x, 400, SPAN(""));
    int r = uri_decode_path(q->path, path, &visit.path, &visit.wants_folder);
    if (r < 0)
        return exchange_error(t, x, -r, SPAN(""));
    if (span_starts_with(visit.path, SPAN(".fastfile/"))) {
        visit.path = span_skip(visit.path, sizeof(".fastfile/") - 1);
        const struct route *own = find_own_route(q->method, &visit);
        return own ? handle(t, x, own, &visit) : serve_own(t, x, visit.path);
    }
    if (root_path_reserved(visit.path))
        return exchange_error(t, x, 404, SPAN(""));
    const struct route *found = find_route(q->method);
    return found ? handle(t, x, found, &visit) : refuse_method(t, x, &visit);
}

enum conn_after route_handle(struct task *t, struct exchange *x, const struct site *site,
                             const struct visitor *visitor)
{
    return exchange_after(route(t, x, site, visitor));
}
