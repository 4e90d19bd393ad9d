#include "route.h"

#include <errno.h>

#include "auth/csrf.h"
#include "base/cleanup.h"
#include "files/cache.h"
#include "files/get.h"
#include "http/uri.h"
#include "ui/asset.h"
#include "ui/listing.h"

/* One request on its way to its handler. */
struct visit {
    const struct site *site;
    const struct visitor *visitor;
    struct span path;  /* decoded, relative, followed by a NUL */
    bool wants_folder; /* it ended in a slash */
};

/* --- GET and HEAD --- */

static struct span last_segment(struct span path)
{
    for (size_t at = path.len; at > 0; at--)
        if (path.data[at - 1] == '/')
            return span_skip(path, at);
    return path;
}

/* Relative links of a listing need the slash at its end. */
static int add_slash(struct task *t, struct exchange *x, const struct visit *v)
{
    struct buf location;

    buf_init_growing(&location, EXCHANGE_LOCATION_BYTES);
    buf_append_char(&location, '/');
    uri_encode_path(&location, v->path);
    buf_append_char(&location, '/');
    if (x->request.query.data) {
        buf_append_char(&location, '?');
        buf_append(&location, x->request.query);
    }
    int r = buf_failed(&location) ? exchange_error(t, x, 414, SPAN(""))
                                  : exchange_redirect(t, x, 308, buf_span(&location));
    buf_finish(&location);
    return r;
}

static int get_folder(struct task *t, struct exchange *x, const struct visit *v,
                      const struct file *folder)
{
    struct listing_options options = {
        .writable = !v->site->read_only && !v->visitor->read_only,
        .can_logout = v->visitor->has_session,
        .user = v->visitor->user,
    };

    if (!v->wants_folder && v->path.len > 0)
        return add_slash(t, x, v);
    return listing_respond(t, x, folder, v->site->root->fd, v->path, &options);
}

static int get_open(struct task *t, struct exchange *x, const struct visit *v, struct file *file)
{
    if (S_ISDIR(file->st.st_mode))
        return get_folder(t, x, v, file);
    if (v->wants_folder)
        return exchange_error(t, x, 404, SPAN(""));
    return file_get(t, x, v->site->mime, file, last_segment(v->path));
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

/* --- OPTIONS --- */

#define ALLOW SPAN("GET, HEAD, OPTIONS")

static int options(struct task *t, struct exchange *x, const struct visit *v)
{
    (void)v;
    exchange_status(x, 204);
    exchange_field(x, SPAN("Allow"), ALLOW);
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

/* --- the table --- */

static const struct route {
    enum http_method method;
    bool is_change;
    int (*handle)(struct task *t, struct exchange *x, const struct visit *v);
} routes[] = {
    {METHOD_GET, false, get},
    {METHOD_HEAD, false, get},
    {METHOD_OPTIONS, false, options},
};

static const struct route *find_route(enum http_method method)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (routes[i].method == method)
            return &routes[i];
    return NULL;
}

/* /.fastfile/NAME: the server's own. */
static int serve_own(struct task *t, struct exchange *x, struct span name)
{
    bool get_method = x->request.method == METHOD_GET || x->request.method == METHOD_HEAD;

    if (get_method && span_equal(name, SPAN("health")))
        return exchange_respond(t, x, 200, SPAN("text/plain; charset=utf-8"), SPAN("ok\n"));
    if (asset_find(name))
        return asset_respond(t, x, name);
    return exchange_error(t, x, 404, SPAN(""));
}

static int refuse_method(struct task *t, struct exchange *x)
{
    int status = x->request.method == METHOD_OTHER ? 501 : 405;

    exchange_status(x, status);
    if (status == 405)
        exchange_field(x, SPAN("Allow"), ALLOW);
    return exchange_error(t, x, status, SPAN(""));
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
    if (span_equal(visit.path, SPAN(".fastfile")))
        return exchange_error(t, x, 404, SPAN(""));
    if (span_starts_with(visit.path, SPAN(".fastfile/")))
        return serve_own(t, x, span_skip(visit.path, sizeof(".fastfile/") - 1));
    const struct route *found = find_route(q->method);
    if (!found)
        return refuse_method(t, x);
    if (found->is_change &&
        !csrf_allowed(true, x->conn->is_tls, q->sec_fetch_site, q->origin, q->host))
        return exchange_error(t, x, 403, SPAN("This request was made by another site."));
    return found->handle(t, x, &visit);
}

enum conn_after route_handle(struct task *t, struct exchange *x, const struct site *site,
                             const struct visitor *visitor)
{
    return exchange_after(route(t, x, site, visitor));
}
