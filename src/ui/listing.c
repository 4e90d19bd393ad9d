#include "ui/listing.h"

#include <errno.h>

#include "base/cleanup.h"
#include "files/leftovers.h"
#include "files/upload_sweep.h"
#include "http/uri.h"
#include "ui/listing_html.h"
#include "ui/listing_json.h"
#include "ui/page.h"

enum {
    /* What is written at once. */
    PIECE_BYTES = 12 * 1024,
    /* The head of a page with the longest path there can be, each byte of it escaped. */
    PIECE_MAX = 512 * 1024,
};

/* One answer while it is made. */
struct listing {
    struct exchange *x;
    const struct folder *folder;
    struct buf out;
    struct listing_page page;
};

static void listing_finish(struct listing *l)
{
    folder_free(l->folder);
    buf_finish(&l->out);
}

static bool query_is(const struct exchange *x, struct span name, struct span value)
{
    char memory[16];
    struct span given;

    return uri_query_get(x->request.query, name, memory, sizeof(memory), &given) &&
           span_equal(given, value);
}

static bool wants_json(const struct exchange *x)
{
    if (query_is(x, SPAN("format"), SPAN("json")))
        return true;
    return response_form(&x->request) == BODY_JSON && !query_is(x, SPAN("format"), SPAN("html"));
}

/* Whether a browser opens the folder, as a page of its own, and leaves the form to us. */
static bool wants_file_manager(const struct exchange *x)
{
    return span_equal(x->request.sec_fetch_dest, SPAN("document")) &&
           response_form(&x->request) == BODY_HTML &&
           !uri_query_has(x->request.query, SPAN("format"));
}

static void read_query(struct listing *l)
{
    static const enum folder_sort sorts[] = {FOLDER_BY_NAME, FOLDER_BY_SIZE, FOLDER_BY_TIME};

    for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++)
        if (query_is(l->x, SPAN("sort"), listing_sort_name(sorts[i])))
            l->page.sort = sorts[i];
    l->page.descending = query_is(l->x, SPAN("order"), SPAN("desc"));
    l->page.plain = query_is(l->x, SPAN("format"), SPAN("html"));
}

/* Writes what has been formatted, in pieces, so that other connections get their turns. */
static int write_pieces(struct task *t, struct listing *l)
{
    struct span rest = buf_span(&l->out);

    if (buf_failed(&l->out))
        return -ENOMEM;
    while (rest.len > 0) {
        struct span piece = span_first(rest, rest.len < PIECE_BYTES ? rest.len : PIECE_BYTES);
        int r = exchange_write(t, l->x, piece);
        if (r < 0)
            return r;
        rest = span_skip(rest, piece.len);
    }
    l->out.len = 0;
    return 0;
}

static int write_entries(struct task *t, struct listing *l, bool json)
{
    int r = 0;

    for (size_t i = 0; i < l->folder->count && r == 0; i++) {
        const struct folder_entry *entry = folder_at(l->folder, i);
        if (json)
            listing_json_entry(&l->out, entry, i == 0, &l->folder->before);
        else
            listing_html_row(&l->out, &l->page, entry);
        if (l->out.len >= PIECE_BYTES || buf_failed(&l->out))
            r = write_pieces(t, l);
    }
    return r;
}

static int write_listing(struct task *t, struct listing *l, bool json)
{
    if (json)
        listing_json_begin(&l->out, l->page.path);
    else
        listing_html_begin(&l->out, &l->page);
    int r = write_entries(t, l, json);
    if (r < 0)
        return r;
    if (json)
        listing_json_end(&l->out, l->page.options->writable);
    else
        listing_html_end(&l->out, &l->page);
    return write_pieces(t, l);
}

static void json_fields(struct exchange *x)
{
    exchange_field(x, SPAN("Content-Type"), SPAN("application/json"));
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    exchange_field(x, SPAN("Vary"), SPAN("Accept, Cookie, Authorization"));
}

static int respond_unreadable(struct task *t, struct exchange *x, int error)
{
    if (error == -EFBIG)
        return exchange_error(t, x, 507, SPAN("There is too much in this folder to list it."));
    return exchange_error(t, x, status_from_errno(error), SPAN("This folder cannot be read."));
}

/* What is in the folder and nobody wants any more. The answer does not wait for it. */
static int sweep(struct task *t, struct listing *l, const struct file *folder)
{
    enum offload_lane lane = folder->lane == OFFLOAD_SLOW ? OFFLOAD_SLOW : OFFLOAD_SYNC;
    bool leftovers = leftovers_are_due(l->folder->leftover_s);
    bool uploads = l->folder->has_own && upload_sweep_is_due(&folder->st);

    int r = leftovers || uploads ? exchange_flush(t, l->x) : 0;
    if (leftovers)
        leftovers_sweep(t, lane, folder->fd);
    if (uploads)
        upload_sweep_below(t, lane, folder->fd);
    return r;
}

static int respond_shell(struct task *t, struct listing *l)
{
    listing_html_shell(&l->out, &l->page);
    if (buf_failed(&l->out))
        return -ENOMEM;
    exchange_status(l->x, 200);
    page_fields(l->x);
    int r = exchange_begin(t, l->x, l->out.len);
    if (r == 0)
        r = exchange_write(t, l->x, buf_span(&l->out));
    return r < 0 ? r : exchange_end(t, l->x);
}

int listing_respond(struct task *t, struct exchange *x, struct folder_cache *cache,
                    const struct file *folder, struct span path, const struct listing_options *o)
{
    _cleanup_(listing_finish) struct listing l = {.x = x, .page = {.path = path, .options = o}};
    bool json = wants_json(x), head_only = x->request.method == METHOD_HEAD;

    buf_init_growing(&l.out, PIECE_MAX);
    read_query(&l);
    if (wants_file_manager(x))
        return respond_shell(t, &l);
    struct folder_options order = {
        .path = path, .sort = l.page.sort, .descending = l.page.descending};
    /* What HEAD is told does not depend on what is in the folder. */
    int r = head_only ? 0 : folder_cache_read(t, cache, folder, &order, &l.folder);
    if (r < 0)
        return task_cancelled(t) ? r : respond_unreadable(t, x, r);
    l.page.folder = l.folder;
    exchange_status(x, 200);
    if (json)
        json_fields(x);
    else
        page_fields(x);
    r = exchange_begin(t, x, EXCHANGE_CHUNKED);
    if (r == 0 && !head_only)
        r = write_listing(t, &l, json);
    if (r == 0)
        r = exchange_end(t, x);
    return r == 0 && l.folder && o->writable ? sweep(t, &l, folder) : r;
}
