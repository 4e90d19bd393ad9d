#include "dav/propfind_request.h"

#include <errno.h>

#include "dav/xml.h"

struct parser {
    struct propfind_request *request;
    bool has_kind;
    bool in_names; /* of <prop> or <include>: each element is a property */
    bool includes; /* of <include> */
};

/* Many names have few namespaces, which may be long. */
static struct span keep_namespace(struct propfind_request *q, struct span ns)
{
    for (size_t i = 0; i < q->name_count; i++)
        if (span_equal(q->names[i].ns, ns))
            return q->names[i].ns;
    return arena_copy(&q->arena, ns);
}

static bool has_name(const struct propfind_request *q, const struct xml_name *name)
{
    for (size_t i = 0; i < q->name_count; i++)
        if (span_equal(q->names[i].ns, name->ns) && span_equal(q->names[i].local, name->local))
            return true;
    return false;
}

static int take_name(struct parser *p, const struct xml_name *name)
{
    struct propfind_request *q = p->request;
    int known = property_find(name->ns, name->local);

    if (known >= 0)
        q->live |= PROPERTY_BIT(known);
    /* <allprop> has all the others anyway. */
    if (known >= 0 || p->includes || has_name(q, name))
        return 0;
    /* An answer has each with its namespace, escaped. */
    if (q->name_count == LIMIT_PROPFIND_NAMES ||
        name->ns.len + name->local.len > LIMIT_DEAD_NAME_BYTES)
        return -E2BIG;
    struct propfind_name copy = {keep_namespace(q, name->ns), arena_copy(&q->arena, name->local)};
    if (!copy.ns.data || !copy.local.data)
        return -ENOMEM;
    q->names[q->name_count++] = copy;
    q->wants_dead |= property_may_be_dead(name->ns);
    return 0;
}

/* In <propfind>. */
static int take_kind(struct parser *p, const struct xml_name *name)
{
    static const struct {
        struct span name;
        enum propfind_kind kind;
        uint32_t live;
    } kinds[] = {
        {SPAN("prop"), PROPFIND_PROP, 0},
        {SPAN("allprop"), PROPFIND_ALLPROP, PROPERTIES_ALLPROP},
        {SPAN("propname"), PROPFIND_PROPNAME, PROPERTIES_ALL},
    };

    p->includes = xml_name_is(name, XML_DAV, SPAN("include"));
    p->in_names = p->includes || xml_name_is(name, XML_DAV, SPAN("prop"));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!xml_name_is(name, XML_DAV, kinds[i].name))
            continue;
        if (p->has_kind)
            return -EINVAL;
        p->has_kind = true;
        p->request->kind = kinds[i].kind;
        p->request->live |= kinds[i].live;
        p->request->wants_dead = kinds[i].kind != PROPFIND_PROP;
    }
    return 0;
}

static int on_begin(void *context, struct xml_reader *r, const struct xml_name *name,
                    const struct xml_attribute *attributes, size_t attribute_count)
{
    struct parser *p = context;

    (void)attributes;
    (void)attribute_count;
    switch (xml_depth(r)) {
    case 1:
        return xml_name_is(name, XML_DAV, SPAN("propfind")) ? 0 : -EINVAL;
    case 2:
        return take_kind(p, name);
    case 3:
        return p->in_names ? take_name(p, name) : 0;
    default:
        return 0;
    }
}

static int parse(struct span body, struct propfind_request *q)
{
    static const struct xml_handler handler = {.begin = on_begin};
    struct parser p = {.request = q};

    int r = xml_read(body, &handler, &p);
    return r == 0 && !p.has_kind ? -EINVAL : r;
}

int propfind_parse(struct span body, struct propfind_request *ret_request)
{
    struct propfind_request *q = ret_request;

    q->kind = PROPFIND_ALLPROP;
    q->live = 0;
    q->name_count = 0;
    q->wants_dead = false;
    /* All names together are shorter than the document; half of each block may stay empty. */
    arena_init(&q->arena, q->memory, sizeof(q->memory), 3 * LIMIT_XML_BYTES);
    if (body.len == 0) {
        q->live = PROPERTIES_ALLPROP;
        q->wants_dead = true;
        return 0;
    }
    int r = parse(body, q);
    if (r < 0)
        propfind_finish(q);
    return r;
}

void propfind_finish(struct propfind_request *request)
{
    arena_finish(&request->arena);
}
