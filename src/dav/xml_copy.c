#include "dav/xml_copy.h"

#include <errno.h>

#include "http/escape.h"

/* A declaration, as far as its element reaches. */
struct xml_scope {
    struct xml_scope *next;
    unsigned depth;
    struct span prefix, ns;
};

/* It has its prefix everywhere, and no other one may have that. */
#define XML_OWN SPAN("http://www.w3.org/XML/1998/namespace")

void xml_copy_init(struct xml_copy *c, struct buf *out, struct arena *arena)
{
    *c = (struct xml_copy){.out = out, .arena = arena};
}

static struct span find_namespace(const struct xml_copy *c, struct span prefix)
{
    for (const struct xml_scope *s = c->scopes; s; s = s->next)
        if (span_equal(s->prefix, prefix))
            return s->ns;
    return SPAN("");
}

static void put_name(struct buf *out, const struct xml_name *name)
{
    buf_append(out, name->prefix);
    if (name->prefix.len > 0)
        buf_append_char(out, ':');
    buf_append(out, name->local);
}

static int declare(struct xml_copy *c, const struct xml_name *name)
{
    if (span_equal(name->ns, XML_OWN) || span_equal(find_namespace(c, name->prefix), name->ns))
        return 0;
    struct xml_scope *scope = arena_alloc(c->arena, sizeof(*scope));
    if (!scope)
        return -ENOMEM;
    *scope = (struct xml_scope){c->scopes, c->depth, arena_copy(c->arena, name->prefix),
                                arena_copy(c->arena, name->ns)};
    if (!scope->prefix.data || !scope->ns.data)
        return -ENOMEM;
    c->scopes = scope;
    buf_append(c->out, name->prefix.len > 0 ? SPAN(" xmlns:") : SPAN(" xmlns"));
    buf_append(c->out, name->prefix);
    buf_append(c->out, SPAN("=\""));
    escape_xml(c->out, name->ns);
    buf_append_char(c->out, '"');
    return 0;
}

static int result(const struct xml_copy *c)
{
    return buf_failed(c->out) ? -E2BIG : 0;
}

int xml_copy_begin(struct xml_copy *c, const struct xml_name *name,
                   const struct xml_attribute *attributes, size_t attribute_count)
{
    c->depth++;
    buf_append_char(c->out, '<');
    put_name(c->out, name);
    int r = declare(c, name);
    for (size_t i = 0; r == 0 && i < attribute_count; i++) {
        const struct xml_attribute *a = &attributes[i];
        /* Without a prefix they are in no namespace, whatever the default is. */
        r = a->name.prefix.len > 0 ? declare(c, &a->name) : 0;
        buf_append_char(c->out, ' ');
        put_name(c->out, &a->name);
        buf_append(c->out, SPAN("=\""));
        escape_xml(c->out, a->value);
        buf_append_char(c->out, '"');
    }
    buf_append_char(c->out, '>');
    return r < 0 ? r : result(c);
}

int xml_copy_end(struct xml_copy *c, const struct xml_name *name)
{
    while (c->scopes && c->scopes->depth == c->depth)
        c->scopes = c->scopes->next;
    c->depth--;
    buf_append(c->out, SPAN("</"));
    put_name(c->out, name);
    buf_append_char(c->out, '>');
    return result(c);
}

int xml_copy_text(struct xml_copy *c, struct span text)
{
    escape_xml(c->out, text);
    return result(c);
}
