#include "http/dav_if.h"

#include <errno.h>

#include "base/limits.h"
#include "http/chars.h"

static void skip_blanks(struct dav_if *at)
{
    while (at->rest.len > 0 && (at->rest.data[0] == ' ' || at->rest.data[0] == '\t'))
        at->rest = span_skip(at->rest, 1);
}

static bool take(struct dav_if *at, char c)
{
    if (at->rest.len == 0 || at->rest.data[0] != c)
        return false;
    at->rest = span_skip(at->rest, 1);
    return true;
}

static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_scheme_char(char c)
{
    return is_alpha(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* scheme ":" and something (RFC 3986 sections 3.1 and 4.3). */
static bool is_absolute_uri(struct span s)
{
    size_t colon = span_find(s, ':');

    if (colon == 0 || colon + 1 >= s.len || !is_alpha(s.data[0]))
        return false;
    for (size_t i = 1; i < colon; i++)
        if (!is_scheme_char(s.data[i]))
            return false;
    return true;
}

/* "//host/path" is a URI without its scheme (RFC 3986 section 4.2). */
static bool is_absolute_path(struct span s)
{
    return span_starts_with(s, SPAN("/")) && !span_starts_with(s, SPAN("//"));
}

static bool is_uri_char(char c)
{
    return http_is(c, CHAR_TARGET) && c != '<' && c != '>' && c != '"';
}

/* "<" URI ">", which has no blank, quote, "#" or "<" in it. */
static int take_uri(struct dav_if *at, struct span *ret_uri)
{
    size_t end = 0;

    if (!take(at, '<'))
        return -EINVAL;
    while (end < at->rest.len && is_uri_char(at->rest.data[end]))
        end++;
    *ret_uri = span_first(at->rest, end);
    at->rest = span_skip(at->rest, end);
    return take(at, '>') ? 0 : -EINVAL;
}

/* "[" entity-tag "]". RFC 4918 takes it from RFC 2616, where a tag may have blanks in it. */
static int take_etag(struct dav_if *at, struct span *ret_etag)
{
    if (!take(at, '['))
        return -EINVAL;
    skip_blanks(at);
    struct span etag = at->rest;
    if (span_starts_with(etag, SPAN("W/")))
        at->rest = span_skip(at->rest, 2);
    if (!take(at, '"'))
        return -EINVAL;
    while (at->rest.len > 0 && at->rest.data[0] != '"' && http_is(at->rest.data[0], CHAR_VALUE))
        at->rest = span_skip(at->rest, 1);
    if (!take(at, '"'))
        return -EINVAL;
    *ret_etag = span_first(etag, etag.len - at->rest.len);
    skip_blanks(at);
    return take(at, ']') ? 0 : -EINVAL;
}

static int next_condition(struct dav_if *at, struct dav_if_item *item)
{
    if (at->rest.len >= 3 && span_equal_nocase(span_first(at->rest, 3), SPAN("Not"))) {
        item->negated = true;
        at->rest = span_skip(at->rest, 3);
        skip_blanks(at);
    }
    at->is_empty = false;
    if (span_starts_with(at->rest, SPAN("["))) {
        item->kind = DAV_IF_ETAG;
        return take_etag(at, &item->value);
    }
    item->kind = DAV_IF_TOKEN;
    int r = take_uri(at, &item->value);
    return r == 0 && !is_absolute_uri(item->value) ? -EINVAL : r;
}

/* What stands outside of lists. */
static int next_part(struct dav_if *at, struct dav_if_item *item)
{
    if (at->rest.len == 0) {
        item->kind = DAV_IF_END;
        return at->has_list && !at->is_empty ? 0 : -EINVAL;
    }
    if (take(at, '(')) {
        at->in_list = at->has_list = at->is_empty = true;
        item->kind = DAV_IF_LIST;
        return 0;
    }
    /* Lists with and without a resource do not mix, and none is without a list. */
    if (at->has_resource ? at->is_empty : at->has_list)
        return -EINVAL;
    at->has_resource = at->is_empty = true;
    item->kind = DAV_IF_RESOURCE;
    int r = take_uri(at, &item->value);
    if (r == 0 && !is_absolute_path(item->value) && !is_absolute_uri(item->value))
        r = -EINVAL;
    return r;
}

void dav_if_init(struct dav_if *at, struct span field)
{
    *at = (struct dav_if){.rest = field};
}

int dav_if_next(struct dav_if *at, struct dav_if_item *ret_item)
{
    struct dav_if_item item = {.kind = DAV_IF_END};

    skip_blanks(at);
    if (at->in_list && !at->is_empty && take(at, ')')) {
        at->in_list = false;
        skip_blanks(at);
    }
    int r = at->in_list ? next_condition(at, &item) : next_part(at, &item);
    if (r == 0)
        *ret_item = item;
    return r;
}

int dav_if_check(struct span field)
{
    struct dav_if_item item = {.kind = DAV_IF_LIST};
    struct dav_if at;
    unsigned resources = 0;

    if (!field.data)
        return 0;
    dav_if_init(&at, field);
    while (item.kind != DAV_IF_END) {
        if (dav_if_next(&at, &item) < 0)
            return -EINVAL;
        resources += item.kind == DAV_IF_RESOURCE;
        if (resources > LIMIT_IF_RESOURCES)
            return -EINVAL;
    }
    return 0;
}

struct evaluation {
    const struct dav_if_state *state;
    struct span resource; /* data == NULL: the request's */
    bool looked;          /* at it */
};

static int condition_holds(struct evaluation *e, const struct dav_if_item *item)
{
    const struct dav_if_state *s = e->state;

    if (!e->looked) {
        int r = s->look(s->context, e->resource);
        if (r < 0)
            return r;
        e->looked = true;
    }
    bool has = item->kind == DAV_IF_TOKEN ? s->has_token(s->context, item->value)
                                          : s->has_etag(s->context, item->value);
    return has != item->negated;
}

int dav_if_evaluate(struct span field, const struct dav_if_state *state)
{
    struct evaluation e = {.state = state};
    struct dav_if_item item;
    struct dav_if at;
    bool in_list = false, holds = false; /* what there has been of the list */

    if (!field.data)
        return 1;
    if (dav_if_check(field) < 0)
        return -EINVAL;
    for (dav_if_init(&at, field); dav_if_next(&at, &item) == 0;) {
        bool is_condition = item.kind == DAV_IF_TOKEN || item.kind == DAV_IF_ETAG;
        if (is_condition && holds) {
            int r = condition_holds(&e, &item);
            if (r < 0)
                return r;
            holds = r > 0;
        }
        if (is_condition)
            continue;
        if ((in_list && holds) || item.kind == DAV_IF_END)
            return in_list && holds;
        in_list = holds = item.kind == DAV_IF_LIST;
        if (item.kind == DAV_IF_RESOURCE) {
            e.resource = item.value;
            e.looked = false;
        }
    }
    return -EINVAL;
}
