#include "dav/dead.h"

#include <errno.h>

#include "base/limits.h"
#include "dav/property.h"
#include "dav/xml.h"
#include "http/escape.h"

#define BEGINNING SPAN("1\0")

/* --- reading --- */

static bool take_text(struct span *rest, struct span *ret_text)
{
    size_t len = span_find(*rest, '\0');

    if (len == rest->len)
        return false;
    *ret_text = span_first(*rest, len);
    *rest = span_skip(*rest, len + 1);
    return true;
}

bool dead_next(struct span *rest, struct dead_property *ret_property)
{
    return take_text(rest, &ret_property->ns) && take_text(rest, &ret_property->local) &&
           take_text(rest, &ret_property->lang) && take_text(rest, &ret_property->value);
}

/* Four texts for each, to the very end; the second is a name. No more of them than we write. */
static bool is_ours(struct span rest)
{
    size_t texts = 0;
    struct span text;

    while (rest.len > 0) {
        if (texts == (size_t)4 * LIMIT_DEAD_PROPERTIES || !take_text(&rest, &text) ||
            (texts % 4 == 1 && text.len == 0))
            return false;
        texts++;
    }
    return texts % 4 == 0;
}

struct span dead_begin(struct span attribute)
{
    if (!span_starts_with(attribute, BEGINNING))
        return SPAN("");
    struct span rest = span_skip(attribute, BEGINNING.len);
    return is_ours(rest) ? rest : SPAN("");
}

static bool is_it(const struct dead_property *p, struct span ns, struct span local)
{
    return span_equal(p->local, local) && span_equal(p->ns, ns);
}

bool dead_find(struct span attribute, struct span ns, struct span local,
               struct dead_property *ret_property)
{
    struct span rest = dead_begin(attribute);

    while (dead_next(&rest, ret_property))
        if (is_it(ret_property, ns, local))
            return true;
    return false;
}

/* --- changing --- */

static void put(struct buf *out, const struct dead_property *p)
{
    const struct span texts[] = {p->ns, p->local, p->lang, p->value};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        buf_append(out, texts[i]);
        buf_append_char(out, '\0');
    }
}

void dead_change(struct span attribute, const struct dead_property *change, bool removes,
                 struct buf *out)
{
    struct span rest = dead_begin(attribute);
    size_t start = out->len, kept = 0;
    bool pending = !removes;
    struct dead_property p;

    buf_append(out, BEGINNING);
    while (dead_next(&rest, &p)) {
        bool changes = is_it(&p, change->ns, change->local);
        if (!changes)
            put(out, &p);
        else if (pending)
            put(out, change);
        kept += !changes || pending;
        pending = pending && !changes;
    }
    if (pending && kept == LIMIT_DEAD_PROPERTIES)
        out->failed = true;
    if (pending)
        put(out, change);
    if (out->len == start + BEGINNING.len)
        out->len = start;
}

/* --- showing --- */

int dead_put(struct buf *out, const struct dead_property *property)
{
    static const struct xml_handler ignored = {0};
    size_t start = out->len;

    property_begin(out, property->ns, property->local);
    if (property->lang.len > 0) {
        buf_append(out, SPAN(" xml:lang=\""));
        escape_xml(out, property->lang);
        buf_append_char(out, '"');
    }
    buf_append_char(out, '>');
    buf_append(out, property->value);
    property_end(out, property->ns, property->local);
    if (buf_failed(out))
        return 0;
    int r = xml_read(span_of(out->data + start, out->len - start), &ignored, NULL);
    if (r == 0)
        return 0;
    out->len = start;
    if (r != -EINVAL && r != -E2BIG) /* nobody knows */
        out->failed = true;
    return -EINVAL;
}
