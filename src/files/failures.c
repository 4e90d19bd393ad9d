#include "files/failures.h"

#include "base/limits.h"
#include "http/uri.h"

/* Every byte of a path escaped, and the markup around it. */
enum { BYTES_MOST = LIMIT_FAILURES * (3 * LIMIT_PATH_BYTES + 128) + 512 };

void failures_init(struct failures *f, struct span base)
{
    *f = (struct failures){.base = base};
    buf_init_growing(&f->xml, BYTES_MOST);
}

void failures_finish(struct failures *f)
{
    buf_finish(&f->xml);
}

void failures_add(struct failures *f, struct span path, int status)
{
    f->count++;
    if (f->listed == LIMIT_FAILURES || f->base.len + path.len >= LIMIT_PATH_BYTES)
        return;
    f->listed++;
    struct buf *b = &f->xml;
    /* What uri_encode_path() leaves as it is has one character that means something in XML. */
    buf_append(b, SPAN("<D:response><D:href><![CDATA[/"));
    uri_encode_path(b, f->base);
    if (path.len > 0 && f->base.len > 0)
        buf_append_char(b, '/');
    uri_encode_path(b, path);
    buf_append(b, SPAN("]]></D:href><D:status>HTTP/1.1 "));
    buf_append_u64(b, (uint64_t)status);
    buf_append_char(b, ' ');
    buf_append(b, response_reason(status));
    buf_append(b, SPAN("</D:status></D:response>\n"));
}

int failures_respond(struct task *t, struct exchange *x, struct failures *f)
{
    struct buf body;

    buf_init_growing(&body, BYTES_MOST + 512);
    buf_append(&body, SPAN("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                           "<D:multistatus xmlns:D=\"DAV:\">\n"));
    buf_append(&body, buf_span(&f->xml));
    if (f->count > f->listed)
        buf_printf(&body, "<D:responsedescription>And %u more.</D:responsedescription>\n",
                   f->count - f->listed);
    buf_append(&body, SPAN("</D:multistatus>\n"));
    int r =
        buf_failed(&body) || buf_failed(&f->xml)
            ? exchange_error(t, x, 503, SPAN(""))
            : exchange_respond(t, x, 207, SPAN("application/xml; charset=utf-8"), buf_span(&body));
    buf_finish(&body);
    return r;
}
