#include "files/archive_names.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "files/archive_entry.h"
#include "files/root.h"
#include "http/uri.h"

enum {
    FIRST_NAMES = 16,
    /* Decoded names are no longer than they came; and what the arena adds to each. */
    MEMORY_BYTES = 2 * LIMIT_ARCHIVE_BODY_BYTES,
};

void archive_names_init(struct archive_names *n)
{
    *n = (struct archive_names){0};
    arena_init(&n->bytes, NULL, 0, MEMORY_BYTES);
}

void archive_names_finish(struct archive_names *n)
{
    arena_finish(&n->bytes);
    free(n->list);
}

/* As uri_decode_path() has it for a segment. Returns 0 or a status. */
static int check_name(struct span name)
{
    if (name.len == 0 || span_find(name, '/') < name.len || span_equal(name, SPAN(".")) ||
        span_equal(name, SPAN("..")))
        return 400;
    return root_path_reserved(name) ? 404 : 0;
}

static int add_name(struct archive_names *n, struct span name)
{
    if (n->count == LIMIT_ARCHIVE_NAMES)
        return 413;
    if (n->count == n->capacity) {
        size_t capacity = n->capacity > 0 ? 2 * n->capacity : FIRST_NAMES;
        struct span *list = reallocarray(n->list, capacity, sizeof(*list));
        if (!list)
            return -ENOMEM;
        n->list = list;
        n->capacity = capacity;
    }
    name = arena_copy(&n->bytes, name);
    if (!name.data)
        return -ENOMEM;
    n->list[n->count++] = name;
    return 0;
}

int archive_names_read(struct archive_names *n, struct span given)
{
    char memory[ARCHIVE_NAME_BYTES];
    struct span name;
    int found;

    while ((found = uri_query_next(&given, SPAN("name"), memory, sizeof(memory), &name)) > 0) {
        int r = check_name(name);
        if (r == 0)
            r = add_name(n, name);
        if (r != 0)
            return r;
    }
    return found < 0 ? 400 : 0;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct span *)left)->data, ((const struct span *)right)->data);
}

void archive_names_settle(struct archive_names *n)
{
    size_t kept = 0;

    if (n->count == 0)
        return;
    qsort(n->list, n->count, sizeof(*n->list), compare);
    for (size_t i = 1; i < n->count; i++)
        if (!span_equal(n->list[i], n->list[kept]))
            n->list[++kept] = n->list[i];
    n->count = kept + 1;
}
