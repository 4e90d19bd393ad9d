#include "files/upload_tus.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/credential.h"
#include "base/cleanup.h"
#include "files/upload_http.h"
#include "http/date.h"
#include "http/uri.h"

enum {
    LIMIT_METADATA_BYTES = 8 * 1024, /* Upload-Metadata, as sent */
};

#define TUS_TYPE "application/offset+octet-stream"
#define TUS_RESUMABLE "Tus-Resumable: 1.0.0\r\n"

bool upload_tus_speaks(const struct request *request)
{
    return span_equal(upload_field(request, SPAN("Tus-Resumable")), SPAN("1.0.0"));
}

struct span upload_tus_fields(const struct upload *u)
{
    bool is_tus = u->info.protocol == UPLOAD_TUS || upload_tus_speaks(&u->by.x->request);

    return is_tus ? SPAN(TUS_RESUMABLE) : SPAN("");
}

int upload_tus_refuse_version(struct task *t, struct exchange *x)
{
    exchange_status(x, 412);
    exchange_field(x, SPAN("Tus-Version"), SPAN("1.0.0"));
    exchange_fields(x, SPAN(TUS_RESUMABLE));
    return exchange_error(t, x, 412, SPAN("This is a tus 1.0.0 server: Tus-Resumable is needed."));
}

void upload_tus_options(struct exchange *x)
{
    char memory[64];
    struct buf size;

    exchange_fields(x, SPAN(TUS_RESUMABLE));
    exchange_field(x, SPAN("Tus-Version"), SPAN("1.0.0"));
    exchange_field(x, SPAN("Tus-Extension"),
                   SPAN("creation,creation-with-upload,creation-defer-length,expiration,"
                        "checksum,termination"));
    exchange_field(x, SPAN("Tus-Checksum-Algorithm"), SPAN("sha1,sha256,sha512,md5"));
    buf_init_fixed(&size, memory, sizeof(memory));
    buf_printf(&size, "Tus-Max-Size: %llu\r\n", (unsigned long long)UPLOAD_LENGTH_MAX);
    exchange_fields(x, buf_span(&size));
}

/* --- answers --- */

static int error(struct task *t, struct upload *u, int status, struct span detail)
{
    struct exchange *x = u->by.x;

    upload_leave(t, u);
    exchange_status(x, status);
    exchange_fields(x, SPAN(TUS_RESUMABLE));
    return exchange_error(t, x, status, detail);
}

static int refuse(struct task *t, struct upload *u, int r)
{
    if (r == -EOVERFLOW)
        return error(t, u, 413, SPAN("This is more than Upload-Length."));
    return upload_refuse(t, u, r, SPAN(TUS_RESUMABLE));
}

static void append_state(struct buf *out, const struct upload *u)
{
    char date[DATE_HTTP_BYTES];

    buf_append(out, SPAN(TUS_RESUMABLE "Upload-Offset: "));
    buf_append_u64(out, u->offset);
    buf_append(out, SPAN("\r\n"));
    if (u->is_done)
        return;
    buf_append(out, SPAN("Upload-Expires: "));
    buf_append(out, date_format_http(u->expires_s, date));
    buf_append(out, SPAN("\r\n"));
}

/* An answer without a body, whose further fields are in `fields`. */
static int respond(struct task *t, struct upload *u, int status, struct buf *fields)
{
    struct exchange *x = u->by.x;

    append_state(fields, u);
    bool failed = buf_failed(fields);
    u->untold = failed && u->untold;
    upload_leave(t, u);
    exchange_status(x, status);
    exchange_fields(x, buf_span(fields));
    buf_finish(fields);
    int r = failed ? -ENOBUFS : exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

/* --- where it goes to --- */

/* The value of `key` in Upload-Metadata: "key base64,key base64". Returns its length, -ENOENT, or
 * -EINVAL. */
static int get_metadata(struct span metadata, struct span key, char *out, size_t size)
{
    while (metadata.len > 0) {
        struct span value = span_trim(span_split(&metadata, ','));
        struct span name = span_split(&value, ' ');
        if (!span_equal(name, key))
            continue;
        int len = base64_decode(span_trim(value), out, size);
        return len < 0 ? -EINVAL : len;
    }
    return -ENOENT;
}

/* A path that was not in a URL is looked at by the same code as one that was. */
static int check_path(struct span folder, struct span name, char path[LIMIT_PATH_BYTES],
                      struct span *ret_path)
{
    struct buf raw;
    bool is_folder;

    /* What it can become, every byte escaped. */
    buf_init_growing(&raw, 3 * (folder.len + name.len) + 2);
    buf_append_char(&raw, '/');
    uri_encode_path(&raw, folder);
    buf_append_char(&raw, '/');
    uri_encode_path(&raw, name);
    int r = buf_failed(&raw) ? -503 : uri_decode_path(buf_span(&raw), path, ret_path, &is_folder);
    buf_finish(&raw);
    if (r < 0)
        return -r;
    if (is_folder || ret_path->len == 0)
        return 400;
    return root_path_reserved(*ret_path) ? 404 : 0;
}

/* Returns 0, or a status. `path` is for the result. */
static int find_path(struct span metadata, struct span folder, char path[LIMIT_PATH_BYTES],
                     struct span *ret_path)
{
    _cleanup_free_ char *name = malloc(LIMIT_PATH_BYTES);

    if (!name)
        return 503;
    int len = get_metadata(metadata, SPAN("path"), name, LIMIT_PATH_BYTES);
    if (len == -ENOENT) {
        len = get_metadata(metadata, SPAN("filename"), name, LIMIT_PATH_BYTES);
        if (len > 0 && memchr(name, '/', (size_t)len))
            return 400;
    }
    return len > 0 ? check_path(folder, span_of(name, (size_t)len), path, ret_path) : 400;
}

/* --- the body --- */

/* Before an offset is told: the whole length says that the file is there. */
static int settle(struct task *t, struct upload *u)
{
    bool is_all = u->info.has_length && u->offset == u->info.length;

    return is_all && !u->is_done ? upload_complete(t, u) : upload_sync(t, u);
}

/* Of a POST or PATCH; `fields` go into the answer. */
static int take_body(struct task *t, struct upload *u, int status, struct buf *fields)
{
    int r = u->by.x->request.has_body ? upload_append(t, u) : 0;

    if (r == 0)
        r = settle(t, u);
    if (r == 0)
        return respond(t, u, status, fields);
    buf_finish(fields);
    bool mismatch = r == -EILSEQ && u->checksums.count > 0;
    return mismatch ? error(t, u, 460, SPAN("")) : refuse(t, u, r);
}

/* Whether the body can be taken: 0 or a status. */
static int check_body(struct upload *u)
{
    const struct request *q = &u->by.x->request;

    if (q->has_body && !upload_has_type(q, SPAN(TUS_TYPE)))
        return 415;
    if (u->info.has_length && !q->chunked &&
        (u->offset > u->info.length || q->content_length > u->info.length - u->offset))
        return 413;
    /* The checksum is of the content of this request alone. */
    u->verified_only = true;
    int r = checksums_init_tus(&u->checksums, upload_field(q, SPAN("Upload-Checksum")));
    return r == -ENOMEM ? 503 : r < 0 ? 400 : 0;
}

/* Upload-Length, or Upload-Defer-Length: returns 0 or a status. */
static int get_length(const struct request *q, bool *ret_has_length, uint64_t *ret_length)
{
    struct span length = upload_field(q, SPAN("Upload-Length"));
    struct span defer = upload_field(q, SPAN("Upload-Defer-Length"));

    if (defer.data && (length.data || !span_equal(defer, SPAN("1"))))
        return 400;
    *ret_has_length = length.data;
    if (!length.data)
        return 0;
    if (span_to_u64(length, ret_length) < 0)
        return 400;
    return *ret_length > UPLOAD_LENGTH_MAX ? 413 : 0;
}

/* --- POST --- */

static int create(struct task *t, struct upload *u, struct span folder, char *path)
{
    const struct request *q = &u->by.x->request;
    struct upload_info info = {.protocol = UPLOAD_TUS};
    struct buf fields;

    u->info.protocol = UPLOAD_TUS;
    info.metadata = upload_field(q, SPAN("Upload-Metadata"));
    if (info.metadata.len > LIMIT_METADATA_BYTES)
        return error(t, u, 413, SPAN("Upload-Metadata is too long."));
    int r = get_length(q, &info.has_length, &info.length);
    if (r == 0 && !info.has_length && !upload_field(q, SPAN("Upload-Defer-Length")).data)
        r = 400;
    if (r != 0)
        return error(t, u, r, SPAN("Upload-Length or \"Upload-Defer-Length: 1\" is needed."));
    r = find_path(info.metadata, folder, path, &info.path);
    if (r != 0)
        return error(t, u, r, SPAN("Upload-Metadata needs a path or filename."));
    r = upload_take_fields(q, &info);
    u->info = info;
    if (r == 0)
        r = check_body(u);
    if (r != 0)
        return error(t, u, r, SPAN(""));
    r = upload_create(t, u, &info);
    if (r != 0)
        return refuse(t, u, r);
    buf_init_growing(&fields, EXCHANGE_LOCATION_BYTES);
    buf_append(&fields, SPAN("Location: "));
    upload_location(u, &fields);
    buf_append(&fields, SPAN("\r\n"));
    return take_body(t, u, 201, &fields);
}

int upload_tus_create(struct task *t, const struct upload_request *by, struct span folder)
{
    _cleanup_free_ char *path = malloc(LIMIT_PATH_BYTES);
    struct upload *u = path ? upload_alloc(by) : NULL;

    if (!u)
        return exchange_error(t, by->x, 503, SPAN(""));
    int r = upload_tus_speaks(&by->x->request) ? create(t, u, folder, path)
                                               : upload_tus_refuse_version(t, by->x);
    upload_destroy(t, u);
    return r;
}

/* --- the upload --- */

int upload_tus_head(struct task *t, struct upload *u)
{
    struct buf fields;

    /* Whoever received the end may have ended before he had completed it. */
    int r = settle(t, u);
    if (r != 0)
        return refuse(t, u, r);
    buf_init_growing(&fields, EXCHANGE_HEAD_BYTES);
    buf_append(&fields, SPAN("Cache-Control: no-store\r\n"));
    if (u->info.has_length)
        buf_printf(&fields, "Upload-Length: %llu\r\n", (unsigned long long)u->info.length);
    else
        buf_append(&fields, SPAN("Upload-Defer-Length: 1\r\n"));
    if (u->info.metadata.data) {
        buf_append(&fields, SPAN("Upload-Metadata: "));
        buf_append(&fields, u->info.metadata);
        buf_append(&fields, SPAN("\r\n"));
    }
    return respond(t, u, 200, &fields);
}

int upload_tus_patch(struct task *t, struct upload *u)
{
    const struct request *q = &u->by.x->request;
    struct buf fields;
    uint64_t offset, length;
    bool has_length;

    if (!upload_has_type(q, SPAN(TUS_TYPE)))
        return error(t, u, 415, SPAN("The type is " TUS_TYPE "."));
    if (span_to_u64(upload_field(q, SPAN("Upload-Offset")), &offset) < 0)
        return error(t, u, 400, SPAN("Upload-Offset is needed."));
    if (offset != u->offset)
        return error(t, u, 409, SPAN("Upload-Offset is not that of this upload."));
    int r = get_length(q, &has_length, &length);
    if (r == 0 && has_length && (u->info.has_length ? length != u->info.length : length < offset))
        r = 400;
    if (r != 0)
        return error(t, u, r, SPAN("Upload-Length is not that of this upload."));
    if (has_length && !u->info.has_length)
        r = upload_set_length(t, u, length);
    if (r < 0)
        return refuse(t, u, r);
    r = check_body(u);
    if (r != 0)
        return error(t, u, r, SPAN(""));
    buf_init_growing(&fields, EXCHANGE_HEAD_BYTES);
    if (u->is_done)
        return respond(t, u, 204, &fields);
    return take_body(t, u, 204, &fields);
}
