#include "dav/lock_request.h"

#include <errno.h>

#include "base/arena.h"
#include "base/buf.h"
#include "dav/xml_copy.h"

enum {
    /* Declarations inside <owner>, whose text is shorter than that. */
    ARENA_BYTES = 4 * LIMIT_XML_BYTES,
};

enum section { SECTION_OTHER, SECTION_SCOPE, SECTION_TYPE, SECTION_OWNER };

struct parser {
    struct lock_request *request;
    enum section section; /* in which child of <lockinfo> */
    unsigned scopes, types, owners;
    struct buf owner;
    struct arena arena;
    struct xml_copy copy;
};

static int enter_section(struct parser *p, const struct xml_name *name)
{
    p->section = SECTION_OTHER;
    if (xml_name_is(name, XML_DAV, SPAN("lockscope")))
        p->section = SECTION_SCOPE;
    else if (xml_name_is(name, XML_DAV, SPAN("locktype")))
        p->section = SECTION_TYPE;
    else if (xml_name_is(name, XML_DAV, SPAN("owner")))
        p->section = SECTION_OWNER;
    p->owners += p->section == SECTION_OWNER;
    return p->owners > 1 ? -EINVAL : 0;
}

/* In <lockscope> or <locktype>. */
static void take_choice(struct parser *p, const struct xml_name *name)
{
    bool shared = xml_name_is(name, XML_DAV, SPAN("shared"));

    if (p->section == SECTION_TYPE) {
        p->types += xml_name_is(name, XML_DAV, SPAN("write"));
    } else if (shared || xml_name_is(name, XML_DAV, SPAN("exclusive"))) {
        p->scopes++;
        p->request->is_shared = shared;
    }
}

static int on_begin(void *context, struct xml_reader *r, const struct xml_name *name,
                    const struct xml_attribute *attributes, size_t attribute_count)
{
    struct parser *p = context;
    unsigned depth = xml_depth(r);

    if (depth == 1)
        return xml_name_is(name, XML_DAV, SPAN("lockinfo")) ? 0 : -EINVAL;
    if (depth == 2)
        return enter_section(p, name);
    if (p->section == SECTION_OWNER)
        return xml_copy_begin(&p->copy, name, attributes, attribute_count);
    if (depth == 3 && p->section != SECTION_OTHER)
        take_choice(p, name);
    return 0;
}

static int on_end(void *context, struct xml_reader *r, const struct xml_name *name)
{
    struct parser *p = context;

    if (xml_depth(r) == 2)
        p->section = SECTION_OTHER;
    return p->section == SECTION_OWNER ? xml_copy_end(&p->copy, name) : 0;
}

static int on_text(void *context, struct xml_reader *r, struct span text)
{
    struct parser *p = context;

    (void)r;
    return p->section == SECTION_OWNER ? xml_copy_text(&p->copy, text) : 0;
}

int lock_request_parse(struct span body, struct lock_request *ret_request)
{
    static const struct xml_handler handler = {on_begin, on_end, on_text};
    struct parser p = {.request = ret_request};

    ret_request->is_refresh = body.len == 0;
    ret_request->is_shared = false;
    ret_request->owner = SPAN("");
    if (body.len == 0)
        return 0;
    buf_init_fixed(&p.owner, ret_request->owner_bytes, sizeof(ret_request->owner_bytes));
    arena_init(&p.arena, NULL, 0, ARENA_BYTES);
    xml_copy_init(&p.copy, &p.owner, &p.arena);
    int r = xml_read(body, &handler, &p);
    arena_finish(&p.arena);
    if (r == 0 && (p.scopes != 1 || p.types != 1))
        r = -EINVAL;
    if (r == 0)
        ret_request->owner = buf_span(&p.owner);
    return r;
}
