#include "files/upload_http.h"

#include <errno.h>

#include "files/store_answer.h"
#include "files/upload_ietf.h"
#include "files/upload_tus.h"

struct span upload_field(const struct request *request, struct span name)
{
    struct span value = {0};

    for (size_t i = 0; i < request->field_count; i++) {
        if (!span_equal_nocase(request->fields[i].name, name))
            continue;
        if (value.data)
            return (struct span){0};
        value = request->fields[i].value;
    }
    return value;
}

bool upload_has_type(const struct request *request, struct span type)
{
    struct span rest = request->content_type;

    return span_equal_nocase(span_trim(span_split(&rest, ';')), type);
}

/* A list in several lines is one list, and only one line is kept: more are refused. Returns 0 or
 * 400.
 */
static int take_once(const struct request *request, struct span name, struct span *ret_value)
{
    *ret_value = upload_field(request, name);
    return ret_value->data || !request_field(request, name).data ? 0 : 400;
}

int upload_take_fields(const struct request *request, struct upload_info *info)
{
    struct store store = {0};

    int r = store_check_fields(request);
    if (r == 0 && store_take_mtime(&store, request_field(request, SPAN("X-OC-Mtime"))) < 0)
        r = 400;
    info->has_mtime = store.has_mtime;
    info->mtime = store.mtime;
    info->if_match = request->if_match;
    info->if_none_match = request->if_none_match;
    info->if_unmodified_since = request->if_unmodified_since;
    info->dav_if = request->dav_if;
    if (r == 0)
        r = take_once(request, SPAN("Repr-Digest"), &info->repr_digest);
    if (r == 0)
        r = take_once(request, SPAN("OC-Checksum"), &info->oc_checksum);
    return r;
}

/* What store_refuse() has no words for. */
static struct span detail_of(int status)
{
    switch (status) {
    case 400:
        return SPAN("The content is not what its digest says.");
    case 404:
        return SPAN("There is no such upload.");
    case 410:
        return SPAN("This upload has expired.");
    case 423:
        return SPAN("Another request works on this upload.");
    case 429:
        return SPAN("There are too many unfinished uploads.");
    default:
        return SPAN("");
    }
}

int upload_refuse(struct task *t, struct upload *u, int result, struct span fields)
{
    struct exchange *x = u->by.x;
    int status = result == -EILSEQ ? 400 : result;

    if (receive_is_broken(result) && result != -ETIMEDOUT)
        return result;
    upload_leave(t, u);
    bool is_locked = status == 423 && guard_is_blocked(&u->guard);
    struct span detail = is_locked ? SPAN("") : detail_of(status);
    if (detail.len == 0 || (status == 400 && result != -EILSEQ))
        return store_refuse(t, x, &u->guard, result, fields);
    exchange_status(x, status);
    exchange_fields(x, fields);
    return exchange_error(t, x, status, detail);
}

/* --- the URL of an upload --- */

#define UPLOAD_METHODS "HEAD, PATCH, DELETE, OPTIONS"

int upload_serve_options(struct task *t, struct exchange *x, struct span allowed)
{
    exchange_status(x, 204);
    exchange_field(x, SPAN("Allow"), allowed);
    upload_ietf_options(x);
    upload_tus_options(x);
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

static enum http_method method_of(const struct request *q)
{
    struct span override = upload_field(q, SPAN("X-HTTP-Method-Override"));

    if (q->method != METHOD_POST || !override.data)
        return q->method;
    if (span_equal(override, SPAN("PATCH")))
        return METHOD_PATCH;
    return span_equal(override, SPAN("DELETE")) ? METHOD_DELETE : METHOD_POST;
}

static int cancel(struct task *t, struct upload *u)
{
    struct exchange *x = u->by.x;

    int r = upload_cancel(t, u);
    if (r < 0)
        return upload_refuse(t, u, r, upload_tus_fields(u));
    upload_leave(t, u);
    exchange_status(x, 204);
    exchange_fields(x, upload_tus_fields(u));
    r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

static int serve(struct task *t, struct upload *u, struct span where, enum http_method method)
{
    int r = upload_open(t, u, where);

    if (r == -ENOTDIR)
        r = 404;
    if (r != 0)
        return upload_refuse(t, u, r == -ENOENT ? 404 : r, upload_tus_fields(u));
    bool is_tus = u->info.protocol == UPLOAD_TUS;
    if (is_tus && !upload_tus_speaks(&u->by.x->request))
        return upload_tus_refuse_version(t, u->by.x);
    if (method == METHOD_DELETE)
        return cancel(t, u);
    if (method == METHOD_HEAD)
        return is_tus ? upload_tus_head(t, u) : upload_ietf_head(t, u);
    return is_tus ? upload_tus_patch(t, u) : upload_ietf_patch(t, u);
}

int upload_serve(struct task *t, const struct upload_request *by, struct span where)
{
    struct exchange *x = by->x;
    enum http_method method = method_of(&x->request);

    if (method != METHOD_HEAD && method != METHOD_PATCH && method != METHOD_DELETE) {
        exchange_status(x, 405);
        exchange_field(x, SPAN("Allow"), SPAN(UPLOAD_METHODS));
        return exchange_error(t, x, 405, SPAN(""));
    }
    struct upload *u = upload_alloc(by);
    if (!u)
        return exchange_error(t, x, 503, SPAN(""));
    int r = serve(t, u, where, method);
    upload_destroy(t, u);
    return r;
}
