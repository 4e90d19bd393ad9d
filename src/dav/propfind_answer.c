#include "dav/propfind_answer.h"

#include <errno.h>

#include "dav/dead.h"
#include "dav/lock_answer.h"
#include "files/etag.h"
#include "http/escape.h"
#include "http/uri.h"

/* All names that can be asked for, each with its namespace, escaped, and the markup. */
enum { UNKNOWN_BYTES = LIMIT_PROPFIND_NAMES * (8 * LIMIT_DEAD_NAME_BYTES + 64) };

static void put_unknown(struct buf *out, const struct propfind_name *name)
{
    property_begin(out, name->ns, name->local);
    buf_append(out, SPAN("/>"));
}

int propfind_format_init(struct propfind_format *f)
{
    const struct propfind_request *q = f->request;

    f->date_s = INT64_MIN;
    buf_init_growing(&f->path, LIMIT_PATH_BYTES);
    buf_init_growing(&f->unknown, UNKNOWN_BYTES);
    for (size_t i = 0; i < q->name_count && !f->is_brief; i++)
        put_unknown(&f->unknown, &q->names[i]);
    if (!buf_failed(&f->unknown))
        return 0;
    buf_finish(&f->unknown);
    return -ENOMEM;
}

void propfind_format_finish(struct propfind_format *f)
{
    buf_finish(&f->unknown);
    buf_finish(&f->path);
}

/* --- values --- */

/* No fractions: not every client understands these. */
static void put_creationdate(struct buf *out, const struct folder_entry *e)
{
    char date[DATE_ISO_BYTES];

    date_format_iso(e->btime_s, 0, date);
    buf_append(out, span_of(date, sizeof("1994-11-06T08:49:37") - 1));
    buf_append_char(out, 'Z');
}

/* As GET's Last-Modified, never in the future. Neighbours often have the same time. */
static void put_lastmodified(struct buf *out, struct propfind_format *f,
                             const struct folder_entry *e)
{
    int64_t seconds = e->mtime_s < f->before.tv_sec ? e->mtime_s : f->before.tv_sec;

    if (seconds != f->date_s) {
        date_format_http(seconds, f->date);
        f->date_s = seconds;
    }
    buf_append(out, span_of(f->date, DATE_HTTP_BYTES));
}

static void put_etag(struct buf *out, const struct propfind_format *f, const struct folder_entry *e)
{
    char tag[ETAG_BYTES];
    struct stat st;

    folder_entry_stat(e, &st);
    buf_append(out, etag_format(&st, &f->before, tag));
}

static void append_segment(struct buf *path, struct span segment)
{
    if (path->len > 0 && segment.len > 0)
        buf_append_char(path, '/');
    buf_append(path, segment);
}

/* Of a member that is a link only those of the link's own path: where it leads to is looked up when
 * it is asked for itself. */
static void put_locks(struct buf *out, struct propfind_format *f, const struct propfind_resource *r)
{
    if (!f->locks)
        return;
    f->path.len = 0;
    append_segment(&f->path, f->locked);
    if (r->is_member) {
        append_segment(&f->path, r->below);
        append_segment(&f->path, r->name);
    }
    if (!buf_failed(&f->path)) /* else it is too long for a lock */
        lock_answer_append_all(out, f->locks, buf_span(&f->path), f->now_ms, f->hides_lock_root);
    f->path.failed = false;
}

static void put_value(struct buf *out, struct propfind_format *f, enum dav_property p,
                      const struct propfind_resource *r)
{
    const struct folder_entry *e = r->entry;

    switch (p) {
    case PROP_CREATIONDATE:
        put_creationdate(out, e);
        break;
    case PROP_DISPLAYNAME:
        escape_xml(out, r->title);
        break;
    case PROP_GETCONTENTLENGTH:
        buf_append_u64(out, e->size);
        break;
    case PROP_GETCONTENTTYPE:
        escape_xml(out, mime_lookup(f->mime, r->title));
        break;
    case PROP_GETETAG:
        put_etag(out, f, e);
        break;
    case PROP_GETLASTMODIFIED:
        put_lastmodified(out, f, e);
        break;
    case PROP_RESOURCETYPE:
        buf_append(out, SPAN("<D:collection/>"));
        break;
    case PROP_QUOTA_AVAILABLE:
        buf_append_u64(out, f->available_bytes);
        break;
    case PROP_QUOTA_USED:
        buf_append_u64(out, f->used_bytes);
        break;
    case PROP_EXECUTABLE:
        buf_append_char(out, e->mode & S_IXUSR ? 'T' : 'F');
        break;
    case PROP_LOCKDISCOVERY:
        put_locks(out, f, r);
        break;
    case PROP_SUPPORTEDLOCK:
        buf_append(out, SPAN(LOCK_ANSWER_SUPPORTED));
        break;
    case DAV_PROPERTIES:
        break;
    }
}

/* --- which are there --- */

static uint32_t present(const struct propfind_format *f, const struct propfind_resource *r)
{
    const struct folder_entry *e = r->entry;
    bool is_file = e->type == FOLDER_ENTRY_FILE;
    uint32_t properties = f->request->live;

    properties &= ~(uint32_t)(is_file ? PROPERTIES_OF_FOLDERS : PROPERTIES_OF_FILES);
    if (r->title.len == 0)
        properties &= ~PROPERTY_BIT(PROP_DISPLAYNAME);
    if (e->btime_s == ENTRY_NO_BTIME)
        properties &= ~PROPERTY_BIT(PROP_CREATIONDATE);
    if (!f->has_quota || (e->flags & ENTRY_ELSEWHERE))
        properties &= ~(uint32_t)PROPERTIES_QUOTA;
    return properties;
}

/* Which have nothing inside. */
static uint32_t empty(const struct propfind_format *f, const struct propfind_resource *r)
{
    uint32_t properties = 0;

    if (f->request->kind == PROPFIND_PROPNAME)
        return PROPERTIES_ALL;
    if (!f->locks)
        properties |= PROPERTY_BIT(PROP_LOCKDISCOVERY);
    if (!f->can_lock)
        properties |= PROPERTY_BIT(PROP_SUPPORTEDLOCK);
    if (r->entry->type == FOLDER_ENTRY_FILE)
        properties |= PROPERTY_BIT(PROP_RESOURCETYPE);
    return properties;
}

static void put_empty(struct buf *out, enum dav_property p)
{
    buf_append_char(out, '<');
    buf_append(out, property_tag(p));
    buf_append(out, SPAN("/>"));
}

static void put_full(struct buf *out, struct propfind_format *f, enum dav_property p,
                     const struct propfind_resource *r)
{
    size_t start = out->len;

    buf_append_char(out, '<');
    buf_append(out, property_tag(p));
    buf_append_char(out, '>');
    size_t inside = out->len;
    put_value(out, f, p, r);
    if (out->len == inside) { /* no locks of this one, it turned out */
        out->len = start;
        put_empty(out, p);
        return;
    }
    buf_append(out, SPAN("</"));
    buf_append(out, property_tag(p));
    buf_append_char(out, '>');
}

static void put_missing(struct buf *out, const struct propfind_format *f, uint32_t missing,
                        struct span unknown)
{
    if (f->is_brief || f->request->kind != PROPFIND_PROP || (missing == 0 && unknown.len == 0))
        return;
    buf_append(out, SPAN("<D:propstat><D:prop>"));
    for (unsigned p = 0; p < DAV_PROPERTIES; p++)
        if (missing & PROPERTY_BIT(p))
            put_empty(out, p);
    buf_append(out, unknown);
    buf_append(out, SPAN("</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>"));
}

/* --- what clients keep --- */

/* All of them, or their names. */
static void put_all_dead(struct buf *out, const struct propfind_format *f, struct span dead)
{
    struct span rest = dead_begin(dead);
    struct dead_property p;

    while (dead_next(&rest, &p)) {
        if (f->request->kind == PROPFIND_PROPNAME)
            p.lang = p.value = SPAN("");
        dead_put(out, &p);
    }
}

/* Those that are asked for; the others go to `missing`. */
static void put_named_dead(struct buf *out, const struct propfind_format *f, struct span dead,
                           struct buf *missing)
{
    const struct propfind_request *q = f->request;
    struct dead_property p;

    for (size_t i = 0; i < q->name_count; i++) {
        const struct propfind_name *name = &q->names[i];
        if ((!dead_find(dead, name->ns, name->local, &p) || dead_put(out, &p) < 0) && !f->is_brief)
            put_unknown(missing, name);
    }
}

/* Returns what is missing. */
static struct span put_dead(struct buf *out, const struct propfind_format *f, struct span dead,
                            struct buf *missing)
{
    if (dead.len == 0)
        return buf_span(&f->unknown);
    if (f->request->kind == PROPFIND_PROP)
        put_named_dead(out, f, dead, missing);
    else
        put_all_dead(out, f, dead);
    if (buf_failed(missing))
        out->failed = true;
    return buf_span(missing);
}

/* --- */

void propfind_answer_begin(struct buf *out)
{
    buf_append(out, SPAN("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                         "<D:multistatus " PROPERTY_NAMESPACES ">\n"));
}

void propfind_answer_one(struct buf *out, struct propfind_format *f,
                         const struct propfind_resource *r)
{
    uint32_t there = present(f, r), without_value = empty(f, r);
    struct buf missing;

    buf_init_growing(&missing, UNKNOWN_BYTES);
    /* What is left of a path when it is encoded means nothing in XML. */
    buf_append(out, SPAN("<D:response><D:href>"));
    buf_append(out, r->folder);
    uri_encode_path(out, r->name);
    if (r->name.len > 0 && r->entry->type == FOLDER_ENTRY_FOLDER)
        buf_append_char(out, '/');
    /* It comes first, also without anything in it: some clients look no further. */
    buf_append(out, SPAN("</D:href><D:propstat><D:prop>"));
    for (unsigned p = 0; p < DAV_PROPERTIES; p++) {
        if (there & without_value & PROPERTY_BIT(p))
            put_empty(out, p);
        else if (there & PROPERTY_BIT(p))
            put_full(out, f, p, r);
    }
    struct span unknown = put_dead(out, f, r->dead, &missing);
    buf_append(out, SPAN("</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"));
    put_missing(out, f, f->request->live & ~there, unknown);
    buf_append(out, SPAN("</D:response>\n"));
    buf_finish(&missing);
}

void propfind_answer_end(struct buf *out)
{
    buf_append(out, SPAN("</D:multistatus>\n"));
}
