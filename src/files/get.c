#include "files/get.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "files/cache.h"
#include "files/etag.h"
#include "files/send.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/multipart.h"
#include "http/range.h"
#include "http/uri.h"

enum {
    /* A small file that changes while it is read is read again this often. */
    CHANGED_TRIES = 3,
    BOUNDARY_RANDOM_BYTES = 16,
    PART_HEAD_BYTES = 512,
};

/* What the fields of the response say of the file. */
struct description {
    struct span type, name;
    struct span etag;
    char etag_bytes[ETAG_BYTES];
    char date_bytes[DATE_HTTP_BYTES];
    struct validators validators;
};

static void describe(const struct file *file, const struct mime_table *mime, struct span name,
                     struct description *d)
{
    const struct timespec *now = &file->before;

    d->type = mime_lookup(mime, name);
    d->name = name;
    d->etag = etag_format(&file->st, now, d->etag_bytes);
    d->validators = (struct validators){
        .exists = true,
        .etag = d->etag,
        .mtime = file->st.st_mtim.tv_sec,
        .now = now->tv_sec,
        .even = file->st.st_mtim.tv_nsec == 0,
    };
}

static void put_validators(struct exchange *x, struct description *d)
{
    exchange_field(x, SPAN("ETag"), d->etag);
    /* Whoever had the date of a state that another can follow within the second would change that
     * one with it, or keep this one for it. So it is never later than Date (RFC 9110 section
     * 8.8.2.1) either. */
    if (conditional_date_is_proof(&d->validators))
        exchange_field(x, SPAN("Last-Modified"),
                       date_format_http(d->validators.mtime, d->date_bytes));
    /* Everybody's own copy, asked for again each time: what has changed is seen at once. */
    exchange_field(x, SPAN("Cache-Control"), SPAN("private, no-cache"));
}

/* What a browser must know so that an uploaded page never runs as one of ours. */
static void put_precautions(struct exchange *x, const struct description *d)
{
    bool active = mime_is_active(d->type);

    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    /* Styles and what is inside the file itself: Firefox and Safari hold an SVG in an <img> to this
     * too. */
    if (active)
        exchange_field(x, SPAN("Content-Security-Policy"),
                       SPAN("sandbox; default-src 'none'; style-src 'unsafe-inline'; "
                            "img-src data:; font-src data:"));
    if (active || uri_query_has(x->request.query, SPAN("download")))
        response_attachment(&x->fields, d->name);
}

static int respond_not_modified(struct task *t, struct exchange *x, struct description *d)
{
    exchange_status(x, 304);
    put_validators(x, d);
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

static int respond_unsatisfiable(struct task *t, struct exchange *x, uint64_t size)
{
    char text[40];
    int length = snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size);

    exchange_status(x, 416);
    exchange_field(x, SPAN("Content-Range"), span_of(text, (size_t)length));
    exchange_field(x, SPAN("Accept-Ranges"), SPAN("bytes"));
    return exchange_error(t, x, 416, SPAN(""));
}

static int send_whole(struct task *t, struct exchange *x, const struct file *file)
{
    uint64_t size = (uint64_t)file->st.st_size;

    int r = exchange_begin(t, x, size);
    if (r == 0)
        r = file_send(t, x, file, 0, size);
    return r < 0 ? r : exchange_end(t, x);
}

static int respond_whole(struct task *t, struct exchange *x, struct file *file,
                         struct description *d)
{
    exchange_status(x, 200);
    size_t begun = x->fields.len;
    exchange_field(x, SPAN("Content-Type"), d->type);
    exchange_field(x, SPAN("Accept-Ranges"), SPAN("bytes"));
    put_validators(x, d);
    put_precautions(x, d);
    if (file->content && !x->request.query.data && conditional_date_is_proof(&d->validators))
        file_cache_keep_fields(file, span_skip(buf_span(&x->fields), begun));
    return send_whole(t, x, file);
}

/* Nothing in the request that the answer would depend on. */
static bool is_simple(const struct request *q)
{
    return !q->query.data && !q->range.data && !q->if_match.data && !q->if_none_match.data &&
           !q->if_modified_since.data && !q->if_unmodified_since.data;
}

/* A file whose bytes and fields are both remembered. */
static int respond_from_memory(struct task *t, struct exchange *x, const struct file *file)
{
    exchange_status(x, 200);
    exchange_fields(x, file_cache_fields(file));
    return send_whole(t, x, file);
}

static int respond_range(struct task *t, struct exchange *x, const struct file *file,
                         struct description *d, struct range range)
{
    char text[80];
    struct buf value;

    buf_init_fixed(&value, text, sizeof(text));
    multipart_content_range(&value, range, (uint64_t)file->st.st_size);
    exchange_status(x, 206);
    exchange_field(x, SPAN("Content-Type"), d->type);
    exchange_field(x, SPAN("Content-Range"), buf_span(&value));
    put_validators(x, d);
    put_precautions(x, d);
    int r = exchange_begin(t, x, range_length(range));
    if (r == 0)
        r = file_send(t, x, file, range.first, range_length(range));
    return r < 0 ? r : exchange_end(t, x);
}

static int send_parts(struct task *t, struct exchange *x, const struct file *file,
                      const struct multipart *m, const struct range *ranges, size_t count)
{
    char memory[PART_HEAD_BYTES];
    struct buf frame;
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        buf_init_fixed(&frame, memory, sizeof(memory));
        multipart_part(&frame, m, ranges[i]);
        r = exchange_write(t, x, buf_span(&frame));
        if (r == 0)
            r = file_send(t, x, file, ranges[i].first, range_length(ranges[i]));
    }
    if (r < 0)
        return r;
    buf_init_fixed(&frame, memory, sizeof(memory));
    multipart_end(&frame, m);
    return exchange_write(t, x, buf_span(&frame));
}

static int respond_ranges(struct task *t, struct exchange *x, const struct file *file,
                          struct description *d, const struct range *ranges, size_t count)
{
    uint8_t random[BOUNDARY_RANDOM_BYTES];
    char boundary[2 * BOUNDARY_RANDOM_BYTES], memory[128];
    struct buf type;

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    for (size_t i = 0; i < sizeof(random); i++) {
        boundary[2 * i] = "0123456789abcdef"[random[i] >> 4];
        boundary[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
    }
    struct multipart m = {.boundary = span_of(boundary, sizeof(boundary)),
                          .type = d->type,
                          .size = (uint64_t)file->st.st_size};
    buf_init_fixed(&type, memory, sizeof(memory));
    multipart_type(&type, &m);
    exchange_status(x, 206);
    exchange_field(x, SPAN("Content-Type"), buf_span(&type));
    put_validators(x, d);
    put_precautions(x, d);
    int r = exchange_begin(t, x, multipart_length(&m, ranges, count));
    if (r == 0)
        r = send_parts(t, x, file, &m, ranges, count);
    return r < 0 ? r : exchange_end(t, x);
}

static int respond(struct task *t, struct exchange *x, const struct mime_table *mime,
                   struct file *file, struct span name)
{
    struct range ranges[LIMIT_RANGES];
    struct description d;
    size_t count = 0;
    int partial = 0;

    if (file->content && file_cache_fields(file).len > 0 && is_simple(&x->request))
        return respond_from_memory(t, x, file);
    describe(file, mime, name, &d);
    int status = conditional_evaluate(&x->request, &d.validators);
    if (status == 304)
        return respond_not_modified(t, x, &d);
    if (status != 0)
        return exchange_error(t, x, status, SPAN("The file is not the one that was asked for."));
    if (x->request.method == METHOD_GET && x->request.range.data &&
        conditional_if_range(&x->request, &d.validators))
        partial = range_parse(x->request.range, (uint64_t)file->st.st_size, ranges, &count);
    if (partial == 416)
        return respond_unsatisfiable(t, x, (uint64_t)file->st.st_size);
    if (partial == 0)
        return respond_whole(t, x, file, &d);
    if (count == 1)
        return respond_range(t, x, file, &d, ranges[0]);
    return respond_ranges(t, x, file, &d, ranges, count);
}

static int refuse_unsettled(struct task *t, struct exchange *x)
{
    exchange_status(x, 503);
    exchange_field(x, SPAN("Retry-After"), SPAN("1"));
    return exchange_error(t, x, 503, SPAN("The file is being changed. Try again in a moment."));
}

int file_get(struct task *t, struct exchange *x, const struct mime_table *mime, struct file *file,
             struct span name)
{
    struct exchange_mark mark = exchange_mark(x);
    struct timespec before;
    struct stat now;

    for (int tries = 1;; tries++) {
        int r = respond(t, x, mime, file, name);
        if ((r < 0 && r != -EIO) || file->content)
            return r;
        clock_gettime(CLOCK_REALTIME_COARSE, &before);
        int error = file_look(t, file, &now);
        if (error < 0)
            return error;
        /* The tag has the ctime in it too. */
        if (r == 0 && file_same(&now, &file->st))
            return 0;
        /* A file that lost its name to a new one has a new ctime and is whole all the same. */
        if (r == 0 && file_same_bytes(&now, &file->st) && now.st_nlink < file->st.st_nlink)
            return 0;
        if (!exchange_rewind(x, mark))
            return -ESTALE;
        /* Nothing has gone out: say it again, about the file as it is now. */
        if (tries == CHANGED_TRIES)
            return refuse_unsettled(t, x);
        file->st = now;
        file->before = before;
    }
}
