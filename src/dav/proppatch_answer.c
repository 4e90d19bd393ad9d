#include "dav/proppatch_answer.h"

#include "dav/property.h"
#include "dav/xml.h"
#include "http/response.h"
#include "http/uri.h"

/* Every name as long as it may be, all of it escaped; and every byte of a path. */
enum { BODY_BYTES = 8 * LIMIT_PROPPATCH_PROPERTIES * LIMIT_DEAD_NAME_BYTES + 4 * LIMIT_PATH_BYTES };

static bool is_same(const struct proppatch_step *a, const struct proppatch_step *b)
{
    return a->status == b->status && span_equal(a->property.local, b->property.local) &&
           span_equal(a->property.ns, b->property.ns);
}

/* One that is changed twice is there once. */
static bool is_first(const struct proppatch_request *q, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (is_same(&q->steps[j], &q->steps[i]))
            return false;
    return true;
}

static void put_name(struct buf *out, const struct dead_property *p)
{
    if (span_equal(p->ns, XML_DAV)) {
        buf_append(out, SPAN("<D:"));
        buf_append(out, p->local);
    } else {
        property_begin(out, p->ns, p->local);
    }
    buf_append(out, SPAN("/>"));
}

/* And not because of somebody's rights. */
static bool is_protected(const struct proppatch_request *q)
{
    for (size_t i = 0; i < q->count; i++) {
        const struct proppatch_step *step = &q->steps[i];
        if (step->status == 403 &&
            (step->kind == PROPPATCH_PROTECTED || step->kind == PROPPATCH_FOREIGN || step->removes))
            return true;
    }
    return false;
}

static void put_reason(struct buf *out, const struct proppatch_answer *a, int status)
{
    if (status == 403 && is_protected(a->request))
        buf_append(out, SPAN("<D:error><D:cannot-modify-protected-property/></D:error>"));
    else if (status == 507 && a->keeps_nothing)
        buf_append(out, SPAN("<D:responsedescription>This file system keeps no properties."
                             "</D:responsedescription>"));
}

static void put_all_of(struct buf *out, const struct proppatch_answer *a, int status)
{
    const struct proppatch_request *q = a->request;
    bool begun = false;

    for (size_t i = 0; i < q->count; i++) {
        if (q->steps[i].status != status || !is_first(q, i))
            continue;
        if (!begun)
            buf_append(out, SPAN("<D:propstat><D:prop>"));
        begun = true;
        put_name(out, &q->steps[i].property);
    }
    if (!begun)
        return;
    buf_append(out, SPAN("</D:prop><D:status>HTTP/1.1 "));
    buf_append_u64(out, (uint64_t)status);
    buf_append_char(out, ' ');
    buf_append(out, response_reason(status));
    buf_append(out, SPAN("</D:status>"));
    put_reason(out, a, status);
    buf_append(out, SPAN("</D:propstat>"));
}

void proppatch_answer_make(const struct proppatch_answer *answer, struct buf *ret_body)
{
    static const int statuses[] = {200, 403, 409, 424, 507};
    struct buf *b = ret_body;

    buf_init_growing(b, BODY_BYTES);
    buf_append(b, SPAN("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                       "<D:multistatus xmlns:D=\"DAV:\">\n<D:response><D:href>/"));
    uri_encode_path(b, answer->path);
    if (answer->is_folder && answer->path.len > 0)
        buf_append_char(b, '/');
    buf_append(b, SPAN("</D:href>"));
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        put_all_of(b, answer, statuses[i]);
    buf_append(b, SPAN("</D:response>\n</D:multistatus>\n"));
}
