#include "dav/error.h"

#include "base/limits.h"
#include "http/uri.h"

/* Every byte of a path escaped, and the markup around all of it. */
enum { BYTES_MOST = LIMIT_FAILURES * (3 * LIMIT_PATH_BYTES + 32) + 512 };

static void put_hrefs(struct buf *out, struct span paths)
{
    while (paths.len > 0) {
        struct span path = span_split(&paths, '\0');
        buf_append(out, SPAN("<D:href>/"));
        uri_encode_path(out, path);
        buf_append(out, SPAN("</D:href>"));
    }
}

int dav_error_at(struct task *t, struct exchange *x, int status, struct span condition,
                 struct span paths)
{
    struct buf body;

    buf_init_growing(&body, BYTES_MOST);
    buf_append(&body, SPAN("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                           "<D:error xmlns:D=\"DAV:\"><D:"));
    buf_append(&body, condition);
    buf_append_char(&body, '>');
    put_hrefs(&body, paths);
    buf_append(&body, SPAN("</D:"));
    buf_append(&body, condition);
    buf_append(&body, SPAN("></D:error>\n"));
    int r = buf_failed(&body)
                ? exchange_error(t, x, status, SPAN(""))
                : exchange_respond(t, x, status, SPAN("application/xml; charset=utf-8"),
                                   buf_span(&body));
    buf_finish(&body);
    return r;
}

int dav_error(struct task *t, struct exchange *x, int status, struct span condition)
{
    char memory[256];
    struct buf body;

    buf_init_fixed(&body, memory, sizeof(memory));
    buf_append(&body, SPAN("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                           "<D:error xmlns:D=\"DAV:\"><D:"));
    buf_append(&body, condition);
    buf_append(&body, SPAN("/></D:error>\n"));
    return exchange_respond(t, x, status, SPAN("application/xml; charset=utf-8"), buf_span(&body));
}
