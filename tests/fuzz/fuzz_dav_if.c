/* The field If, behind a byte that says which conditions are true: it is well-formed if and only if
 * it can be read to its end; written anew from what was read it says the same; and a simple
 * evaluation, which asks for everything, has the same result. */
#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "base/limits.h"
#include "http/dav_if.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct asked {
    uint8_t seed;
    struct span field, resource;
    unsigned looks;
};

static bool is_inside(struct span s, struct span field)
{
    return s.data >= field.data && s.data + s.len <= field.data + field.len;
}

static bool is_true(const struct asked *a, struct span what)
{
    unsigned hash = a->seed;

    for (size_t i = 0; i < a->resource.len; i++)
        hash = hash * 31 + (unsigned char)a->resource.data[i];
    for (size_t i = 0; i < what.len; i++)
        hash = hash * 31 + (unsigned char)what.data[i];
    return hash % 3 != 0;
}

static int look(void *context, struct span resource)
{
    struct asked *a = context;

    assert(!resource.data || is_inside(resource, a->field));
    a->resource = resource;
    a->looks++;
    return 0;
}

static bool has(void *context, struct span what)
{
    struct asked *a = context;

    assert(a->looks > 0 && is_inside(what, a->field));
    return is_true(a, what);
}

static int evaluate_all(struct span field, uint8_t seed)
{
    struct asked a = {.seed = seed, .field = field};
    struct dav_if_item item;
    struct dav_if at;
    bool any = false, list = false;

    for (dav_if_init(&at, field); dav_if_next(&at, &item) == 0;) {
        if (item.kind == DAV_IF_TOKEN || item.kind == DAV_IF_ETAG) {
            list = list && is_true(&a, item.value) != item.negated;
            continue;
        }
        any = any || list;
        list = item.kind == DAV_IF_LIST;
        if (item.kind == DAV_IF_RESOURCE)
            a.resource = item.value;
        if (item.kind == DAV_IF_END)
            return any;
    }
    return -EINVAL;
}

static void append_item(struct buf *out, const struct dav_if_item *item, bool in_list)
{
    if (in_list && item->kind != DAV_IF_TOKEN && item->kind != DAV_IF_ETAG)
        buf_append_char(out, ')');
    if (item->negated)
        buf_append(out, SPAN("Not"));
    if (item->kind == DAV_IF_LIST) {
        buf_append_char(out, '(');
    } else if (item->kind == DAV_IF_ETAG) {
        buf_append_char(out, '[');
        buf_append(out, item->value);
        buf_append_char(out, ']');
    } else if (item->kind != DAV_IF_END) {
        buf_append_char(out, '<');
        buf_append(out, item->value);
        buf_append_char(out, '>');
    }
}

/* Returns whether it can be read to its end, and writes it to `out`. */
static bool rewrite(struct span field, struct buf *out)
{
    struct dav_if_item item;
    struct dav_if at;
    bool in_list = false;
    unsigned resources = 0;

    dav_if_init(&at, field);
    do {
        if (dav_if_next(&at, &item) < 0)
            return false;
        append_item(out, &item, in_list);
        in_list = item.kind != DAV_IF_RESOURCE;
        resources += item.kind == DAV_IF_RESOURCE;
    } while (item.kind != DAV_IF_END);
    return resources <= LIMIT_IF_RESOURCES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf again, more;

    if (size == 0)
        return 0;
    struct span field = span_skip(span_of(data, size), 1);
    struct asked a = {.seed = data[0], .field = field};
    const struct dav_if_state state = {&a, look, has, has};
    buf_init_growing(&again, size + 1);
    buf_init_growing(&more, size + 1);

    bool good = rewrite(field, &again);
    assert(dav_if_check(field) == (good ? 0 : -EINVAL));
    int r = dav_if_evaluate(field, &state);
    assert(r == (good ? evaluate_all(field, data[0]) : -EINVAL));
    if (good) {
        assert(!buf_failed(&again) && rewrite(buf_span(&again), &more));
        assert(span_equal(buf_span(&again), buf_span(&more)));
        assert(evaluate_all(buf_span(&again), data[0]) == r);
    } else {
        assert(a.looks == 0);
    }
    buf_finish(&again);
    buf_finish(&more);
    return 0;
}
