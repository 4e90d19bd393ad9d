/* The names of a selection that is wanted as an archive: "name=a.txt&name=b.txt", as a query or a
 * body has them. Each is one segment of a path, none of the server's own. */
#pragma once

#include "base/arena.h"

struct archive_names {
    struct span *list; /* each followed by a NUL */
    size_t count;
    size_t capacity;
    struct arena bytes;
};

void archive_names_init(struct archive_names *n);
void archive_names_finish(struct archive_names *n);

/* Adds the names in `given`; other parameters are passed over. Returns 0; 400: one is no name; 404:
 * one is reserved; 413: more than LIMIT_ARCHIVE_NAMES; or -ENOMEM. */
int archive_names_read(struct archive_names *n, struct span given);

/* Puts them into the order of their bytes, each of them once. */
void archive_names_settle(struct archive_names *n);
