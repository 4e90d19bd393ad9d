#include "dav/proppatch_request.h"

#include <errno.h>
#include <string.h>

#include "dav/property.h"
#include "dav/xml.h"
#include "dav/xml_copy.h"
#include "http/date.h"

enum {
    /* Of all values together, twice what can be kept: one may be set again. */
    VALUES_BYTES = 2 * LIMIT_DEAD_BYTES,
    ARENA_BYTES = 4 * LIMIT_XML_BYTES,
};

/* --- parsing --- */

struct parser {
    struct proppatch_request *request;
    bool removes;                            /* in <remove> */
    bool in_change, in_prop;                 /* in <set> or <remove>, and in its <prop> */
    bool copies;                             /* the value that is being read */
    size_t value_at;                         /* of that, in `values` */
    size_t ends[LIMIT_PROPPATCH_PROPERTIES]; /* of each value; the buffer may still move */
    struct xml_copy copy;
    struct span languages[LIMIT_XML_DEPTH + 1]; /* xml:lang of each element that is open */
};

static const struct {
    struct span ns, local; /* "" for any of this namespace */
    enum proppatch_kind kind;
} kinds[] = {
    {SPAN("DAV:"), SPAN("getlastmodified"), PROPPATCH_MODIFIED},
    {SPAN("DAV:"), SPAN("lastmodified"), PROPPATCH_MTIME},
    {SPAN("DAV:"), SPAN(""), PROPPATCH_PROTECTED},
    {PROPERTY_APACHE, SPAN("executable"), PROPPATCH_EXECUTABLE},
    {PROPERTY_WIN32, SPAN("Win32LastModifiedTime"), PROPPATCH_WIN32_MTIME},
    {PROPERTY_WIN32, SPAN("Win32LastAccessTime"), PROPPATCH_WIN32_ATIME},
    {PROPERTY_WIN32, SPAN(""), PROPPATCH_WIN32},
};

static enum proppatch_kind kind_of(const struct xml_name *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (span_equal(kinds[i].ns, name->ns) &&
            (kinds[i].local.len == 0 || span_equal(kinds[i].local, name->local)))
            return kinds[i].kind;
    return property_may_be_dead(name->ns) ? PROPPATCH_DEAD : PROPPATCH_FOREIGN;
}

static int begin_step(struct parser *p, const struct xml_name *name, struct span language)
{
    struct proppatch_request *q = p->request;
    struct proppatch_step *step = &q->steps[q->count];

    if (q->count == LIMIT_PROPPATCH_PROPERTIES ||
        name->ns.len + name->local.len > LIMIT_DEAD_NAME_BYTES)
        return -E2BIG;
    *step = (struct proppatch_step){
        .removes = p->removes,
        .kind = kind_of(name),
        .property = {arena_copy(&q->arena, name->ns), arena_copy(&q->arena, name->local), language,
                     SPAN("")},
    };
    if (!step->property.ns.data || !step->property.local.data)
        return -ENOMEM;
    p->copies = !p->removes;
    p->value_at = q->values.len;
    xml_copy_init(&p->copy, &q->values, &q->arena);
    q->count++;
    return 0;
}

/* A value that there is no room for is none. */
static int check_copy(struct parser *p, int result)
{
    struct proppatch_request *q = p->request;

    if (result != -E2BIG)
        return result;
    p->copies = false;
    q->values.failed = false;
    q->values.len = p->value_at;
    q->steps[q->count - 1].status = 507;
    return 0;
}

/* xml:lang of the nearest element around it that has one (RFC 4918 section 4.3). */
static int find_language(struct parser *p, unsigned depth, const struct xml_attribute *attributes,
                         size_t attribute_count)
{
    struct span *language = &p->languages[depth];

    *language = depth > 1 ? p->languages[depth - 1] : SPAN("");
    for (size_t i = 0; i < attribute_count; i++)
        if (xml_name_is(&attributes[i].name, SPAN("http://www.w3.org/XML/1998/namespace"),
                        SPAN("lang")))
            *language = arena_copy(&p->request->arena, attributes[i].value);
    return language->data ? 0 : -ENOMEM;
}

static int on_begin(void *context, struct xml_reader *r, const struct xml_name *name,
                    const struct xml_attribute *attributes, size_t attribute_count)
{
    struct parser *p = context;
    unsigned depth = xml_depth(r);

    if (depth > 4)
        return p->copies
                   ? check_copy(p, xml_copy_begin(&p->copy, name, attributes, attribute_count))
                   : 0;
    int result = find_language(p, depth, attributes, attribute_count);
    if (result < 0)
        return result;
    switch (depth) {
    case 1:
        return xml_name_is(name, XML_DAV, SPAN("propertyupdate")) ? 0 : -EINVAL;
    case 2:
        p->removes = xml_name_is(name, XML_DAV, SPAN("remove"));
        p->in_change = p->removes || xml_name_is(name, XML_DAV, SPAN("set"));
        return 0;
    case 3:
        p->in_prop = p->in_change && xml_name_is(name, XML_DAV, SPAN("prop"));
        return 0;
    default:
        return p->in_prop ? begin_step(p, name, p->languages[depth]) : 0;
    }
}

static int on_end(void *context, struct xml_reader *r, const struct xml_name *name)
{
    struct parser *p = context;
    const struct proppatch_request *q = p->request;

    if (xml_depth(r) > 4)
        return p->copies ? check_copy(p, xml_copy_end(&p->copy, name)) : 0;
    if (xml_depth(r) == 4 && p->in_prop) {
        p->copies = false;
        p->ends[q->count - 1] = q->values.len;
    }
    return 0;
}

static int on_text(void *context, struct xml_reader *r, struct span text)
{
    struct parser *p = context;

    (void)r;
    if (!p->copies)
        return 0;
    struct proppatch_request *q = p->request;
    if (q->steps[q->count - 1].kind == PROPPATCH_DEAD)
        return check_copy(p, xml_copy_text(&p->copy, text));
    buf_append(&q->values, text); /* to be read, not to be shown */
    return check_copy(p, buf_failed(&q->values) ? -E2BIG : 0);
}

static int parse(struct span body, struct parser *p)
{
    static const struct xml_handler handler = {on_begin, on_end, on_text};
    struct proppatch_request *q = p->request;
    size_t at = 0;

    int r = xml_read(body, &handler, p);
    if (r < 0)
        return r;
    for (size_t i = 0; i < q->count; at = p->ends[i++])
        if (p->ends[i] > at)
            q->steps[i].property.value = span_of(q->values.data + at, p->ends[i] - at);
    return q->count > 0 ? 0 : -EINVAL;
}

int proppatch_parse(struct span body, struct proppatch_request *ret_request)
{
    struct proppatch_request *q = ret_request;
    struct parser p = {.request = q};

    q->count = 0;
    arena_init(&q->arena, NULL, 0, ARENA_BYTES);
    buf_init_growing(&q->values, VALUES_BYTES);
    int r = parse(body, &p);
    if (r < 0)
        proppatch_finish(q);
    return r;
}

void proppatch_finish(struct proppatch_request *request)
{
    arena_finish(&request->arena);
    buf_finish(&request->values);
}

/* --- meaning --- */

bool proppatch_is_win32(const struct proppatch_request *request)
{
    for (size_t i = 0; i < request->count; i++)
        if (!span_equal(request->steps[i].property.ns, PROPERTY_WIN32))
            return false;
    return true;
}

/* Without the blanks of XML around it. */
static struct span trim(struct span text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.data[0]))
        text = span_skip(text, 1);
    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    return text;
}

/* As fields have it, as XML has it, or as the seconds since 1970 (rclone). */
static bool read_time(const struct proppatch_step *step, int64_t now, int64_t *ret_seconds)
{
    struct span text = trim(step->property.value);
    uint64_t seconds;

    if (date_parse_http(text, now, ret_seconds) == 0 || date_parse_iso(text, ret_seconds) == 0)
        return true;
    if (span_to_u64(span_first(text, span_find(text, '.')), &seconds) < 0 ||
        seconds > INT64_MAX / 1000)
        return false;
    *ret_seconds = (int64_t)seconds;
    return true;
}

static int find_time(struct proppatch_step *step, int64_t now, int64_t *ret_seconds,
                     struct proppatch_step **ret_by)
{
    if (!read_time(step, now, ret_seconds))
        return 409;
    *ret_by = step;
    return 0;
}

static int find_executable(struct proppatch_step *step, bool is_folder,
                           struct proppatch_effect *effect)
{
    struct span text = trim(step->property.value);

    if (is_folder || step->removes)
        return 403;
    if (!span_equal(text, SPAN("T")) && !span_equal(text, SPAN("F")))
        return 409;
    effect->executable = text.data[0] == 'T';
    effect->executable_by = step;
    return 0;
}

static int find_one(struct proppatch_step *step, bool is_folder, int64_t now,
                    struct proppatch_effect *e)
{
    switch (step->kind) {
    case PROPPATCH_DEAD:
        e->has_dead = true;
        return 0;
    case PROPPATCH_PROTECTED:
        return 403;
    case PROPPATCH_FOREIGN: /* it is not there */
        return step->removes ? 0 : 403;
    case PROPPATCH_MODIFIED:
        return step->removes ? 403 : find_time(step, now, &e->mtime_s, &e->mtime_by);
    case PROPPATCH_MTIME:
        return step->removes ? 0 : find_time(step, now, &e->mtime_s, &e->mtime_by);
    case PROPPATCH_EXECUTABLE:
        return find_executable(step, is_folder, e);
    case PROPPATCH_WIN32_MTIME:
        if (!step->removes)
            find_time(step, now, &e->mtime_s, &e->mtime_by);
        return 0;
    case PROPPATCH_WIN32_ATIME:
        if (!step->removes)
            find_time(step, now, &e->atime_s, &e->atime_by);
        return 0;
    case PROPPATCH_WIN32:
        break;
    }
    return 0;
}

void proppatch_find_effect(struct proppatch_request *request, bool is_folder, int64_t now,
                           struct proppatch_effect *ret_effect)
{
    *ret_effect = (struct proppatch_effect){0};
    for (size_t i = 0; i < request->count; i++) {
        struct proppatch_step *step = &request->steps[i];
        if (step->status == 0)
            step->status = find_one(step, is_folder, now, ret_effect);
    }
}

bool proppatch_has_failed(const struct proppatch_request *request)
{
    for (size_t i = 0; i < request->count; i++)
        if (request->steps[i].status >= 400)
            return true;
    return false;
}

void proppatch_decide(struct proppatch_request *request)
{
    int status = proppatch_has_failed(request) ? 424 : 200;

    for (size_t i = 0; i < request->count; i++)
        if (request->steps[i].status == 0)
            request->steps[i].status = status;
}
