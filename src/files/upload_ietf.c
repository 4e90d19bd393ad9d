#include "files/upload_ietf.h"

#include <errno.h>
#include <time.h>

#include "files/store_answer.h"
#include "files/upload_http.h"

enum { INTEROP_VERSION = 8 };

#define PROBLEM_TYPE "https://iana.org/assignments/http-problem-types#"

/* --- fields (RFC 9651): what is malformed is not there --- */

/* The value of an item, without its parameters. */
static struct span item(const struct request *q, struct span name)
{
    struct span value = upload_field(q, name);

    return span_trim(span_split(&value, ';'));
}

static bool get_boolean(const struct request *q, struct span name, bool *ret_value)
{
    struct span value = item(q, name);

    *ret_value = span_equal(value, SPAN("?1"));
    return *ret_value || span_equal(value, SPAN("?0"));
}

static bool get_integer(const struct request *q, struct span name, uint64_t *ret_value)
{
    return span_to_u64(item(q, name), ret_value) == 0 && *ret_value <= UPLOAD_LENGTH_MAX;
}

static bool speaks_our_version(const struct request *q)
{
    uint64_t version;

    return get_integer(q, SPAN("Upload-Draft-Interop-Version"), &version) &&
           version == INTEROP_VERSION;
}

/* What a request says about the upload. */
struct said {
    bool completes;
    bool has_length;
    uint64_t length;
};

/* `offset` is where its content begins. False: it contradicts itself. */
static bool read_length(const struct request *q, uint64_t offset, struct said *s)
{
    uint64_t end = offset + q->content_length;
    bool counted = !q->chunked;

    s->has_length = get_integer(q, SPAN("Upload-Length"), &s->length);
    if (counted && end > UPLOAD_LENGTH_MAX)
        return false;
    if (s->has_length)
        return !counted || (s->completes ? end == s->length : end <= s->length);
    s->has_length = s->completes && counted;
    s->length = end;
    return true;
}

/* --- answers --- */

static void append_limit(struct buf *out, const struct upload *u)
{
    int64_t left_s = u ? u->expires_s - time(NULL) : UPLOAD_KEEP_S;

    buf_printf(out, "Upload-Limit: max-age=%lld\r\n", (long long)(left_s > 0 ? left_s : 0));
}

enum { STATE_BYTES = 128 };

/* The fields of an answer that does not complete the upload. An offset that is told is a promise:
 * `synced` says that it can be kept. */
static struct span state_fields(const struct upload *u, bool synced, char memory[STATE_BYTES])
{
    struct buf b;

    buf_init_fixed(&b, memory, STATE_BYTES);
    buf_printf(&b, "Upload-Complete: ?%d\r\n", u->is_done);
    if (synced)
        buf_printf(&b, "Upload-Offset: %llu\r\n", (unsigned long long)u->offset);
    return buf_span(&b);
}

/* RFC 9457. `members`, which tell the offset, begin with a comma. */
static int problem(struct task *t, struct upload *u, int status, struct span type,
                   struct span title, struct span members)
{
    bool synced = members.len > 0;
    char memory[STATE_BYTES], json[512];
    struct exchange *x = u->by.x;
    struct buf body;

    buf_init_fixed(&body, json, sizeof(json));
    buf_printf(&body, "{\"type\":\"" PROBLEM_TYPE "%.*s\",\"title\":\"%.*s\",\"status\":%d%.*s}\n",
               SPAN_ARG(type), SPAN_ARG(title), status, SPAN_ARG(members));
    upload_leave(t, u);
    exchange_status(x, status);
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    exchange_fields(x, state_fields(u, synced, memory));
    return exchange_respond(t, x, status, SPAN("application/problem+json"), buf_span(&body));
}

static int contradicts(struct task *t, struct upload *u)
{
    return problem(t, u, 400, SPAN("inconsistent-upload-length"),
                   SPAN("inconsistent length values for upload"), SPAN(""));
}

static int refuse(struct task *t, struct upload *u, int r)
{
    char memory[STATE_BYTES];

    if (r == -EOVERFLOW) {
        /* What came fits and is right, but what the client thinks is not: the draft wants that
         * nothing more is done with it. */
        upload_cancel(t, u);
        return contradicts(t, u);
    }
    return upload_refuse(t, u, r, state_fields(u, false, memory));
}

static int wrong_offset(struct task *t, struct upload *u, uint64_t offset)
{
    char memory[96];
    struct buf members;

    int r = upload_sync(t, u);
    if (r < 0)
        return refuse(t, u, r);
    buf_init_fixed(&members, memory, sizeof(memory));
    buf_printf(&members, ",\"expected-offset\":%llu,\"provided-offset\":%llu",
               (unsigned long long)u->offset, (unsigned long long)offset);
    return problem(t, u, 409, SPAN("mismatching-upload-offset"),
                   SPAN("offset from request does not match offset of resource"),
                   buf_span(&members));
}

static int accepted(struct task *t, struct upload *u, int status)
{
    char memory[STATE_BYTES];
    struct exchange *x = u->by.x;
    struct buf more;

    buf_init_growing(&more, EXCHANGE_LOCATION_BYTES);
    append_limit(&more, u);
    if (status == 201) {
        u->untold = false;
        buf_append(&more, SPAN("Location: "));
        upload_location(u, &more);
        buf_append(&more, SPAN("\r\n"));
    }
    upload_leave(t, u);
    exchange_status(x, status);
    exchange_fields(x, state_fields(u, true, memory));
    exchange_fields(x, buf_span(&more));
    bool failed = buf_failed(&more);
    buf_finish(&more);
    int r = failed ? -ENOMEM : exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

/* --- the work --- */

static int finish(struct task *t, struct upload *u)
{
    if (u->info.has_length && u->offset != u->info.length)
        return contradicts(t, u);
    int r = upload_complete(t, u);
    if (r == 0) {
        upload_leave(t, u);
        return store_respond(t, u->by.x, &u->store, SPAN("Upload-Complete: ?1\r\n"));
    }
    /* Where trying again makes no sense, this says that the fault is not the transfer's. */
    u->is_done = upload_is_final(r);
    return refuse(t, u, r);
}

/* The body of a PUT or PATCH, and its answer. */
static int take_body(struct task *t, struct upload *u, bool completes, int status)
{
    int r = checksums_init_content(&u->checksums, &u->by.x->request);

    if (r == -EINVAL)
        r = 400;
    if (r == 0 && u->by.x->request.has_body)
        r = upload_append(t, u);
    if (r == 0 && completes)
        return finish(t, u);
    if (r == 0)
        r = upload_sync(t, u);
    return r == 0 ? accepted(t, u, status) : refuse(t, u, r);
}

/* --- PUT --- */

bool upload_ietf_is_meant(const struct request *request)
{
    bool completes;

    return get_boolean(request, SPAN("Upload-Complete"), &completes) &&
           (!completes || speaks_our_version(request));
}

static int announce(struct task *t, struct upload *u)
{
    struct buf fields;

    buf_init_growing(&fields, EXCHANGE_LOCATION_BYTES);
    buf_append(&fields, SPAN("Location: "));
    upload_location(u, &fields);
    buf_append(&fields, SPAN("\r\n"));
    append_limit(&fields, u);
    buf_printf(&fields, "Upload-Draft-Interop-Version: %d\r\n", INTEROP_VERSION);
    int r = buf_failed(&fields) ? -ENOMEM : exchange_interim(t, u->by.x, 104, buf_span(&fields));
    buf_finish(&fields);
    u->untold = r < 0;
    return r;
}

static int create(struct task *t, struct upload *u, struct span path)
{
    struct exchange *x = u->by.x;
    const struct request *q = &x->request;
    struct upload_info info = {.protocol = UPLOAD_IETF, .path = path};
    struct said said;

    get_boolean(q, SPAN("Upload-Complete"), &said.completes);
    if (!read_length(q, 0, &said))
        return contradicts(t, u);
    info.has_length = said.has_length;
    info.length = said.length;
    int r = upload_take_fields(q, &info);
    if (r == 0)
        r = upload_create(t, u, &info);
    if (r != 0)
        return refuse(t, u, r);
    if (q->minor_version > 0 && speaks_our_version(q))
        r = announce(t, u);
    return r < 0 ? r : take_body(t, u, said.completes, 201);
}

int upload_ietf_create(struct task *t, const struct upload_request *by, struct span path)
{
    struct upload *u = upload_alloc(by);

    if (!u)
        return exchange_error(t, by->x, 503, SPAN(""));
    int r = create(t, u, path);
    upload_destroy(t, u);
    return r;
}

/* --- the upload --- */

void upload_ietf_options(struct exchange *x)
{
    char memory[64];
    struct buf limit;

    buf_init_fixed(&limit, memory, sizeof(memory));
    append_limit(&limit, NULL);
    exchange_field(x, SPAN("Accept-Patch"), SPAN(UPLOAD_IETF_TYPE));
    exchange_fields(x, buf_span(&limit));
}

int upload_ietf_head(struct task *t, struct upload *u)
{
    char memory[STATE_BYTES], more[STATE_BYTES];
    struct exchange *x = u->by.x;
    struct buf fields;

    int r = upload_sync(t, u);
    if (r < 0)
        return refuse(t, u, r);
    buf_init_fixed(&fields, more, sizeof(more));
    if (u->info.has_length)
        buf_printf(&fields, "Upload-Length: %llu\r\n", (unsigned long long)u->info.length);
    append_limit(&fields, u);
    upload_leave(t, u);
    exchange_status(x, 204);
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    exchange_fields(x, state_fields(u, true, memory));
    exchange_fields(x, buf_span(&fields));
    r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

static int append_done(struct task *t, struct upload *u)
{
    if (u->by.x->request.has_body)
        return contradicts(t, u);
    return problem(t, u, 400, SPAN("completed-upload"), SPAN("upload is already completed"),
                   SPAN(""));
}

int upload_ietf_patch(struct task *t, struct upload *u)
{
    struct exchange *x = u->by.x;
    const struct request *q = &x->request;
    struct said said;
    uint64_t offset;

    if (!upload_has_type(q, SPAN(UPLOAD_IETF_TYPE))) {
        exchange_status(x, 415);
        exchange_field(x, SPAN("Accept-Patch"), SPAN(UPLOAD_IETF_TYPE));
        return exchange_error(t, x, 415, SPAN(""));
    }
    if (!get_boolean(q, SPAN("Upload-Complete"), &said.completes) ||
        !get_integer(q, SPAN("Upload-Offset"), &offset))
        return exchange_error(t, x, 400, SPAN("Upload-Offset and Upload-Complete are needed."));
    if (u->is_done)
        return append_done(t, u);
    if (offset != u->offset)
        return wrong_offset(t, u, offset);
    if (!read_length(q, offset, &said) ||
        (said.has_length && u->info.has_length && said.length != u->info.length) ||
        (u->info.has_length && !q->chunked && offset + q->content_length > u->info.length))
        return contradicts(t, u);
    if (said.has_length && said.length < offset)
        return contradicts(t, u);
    int r = said.has_length && !u->info.has_length ? upload_set_length(t, u, said.length) : 0;
    return r < 0 ? refuse(t, u, r) : take_body(t, u, said.completes, 204);
}
