/* Memory for one request: allocated piece by piece, released at once.
 *
 * The first block can be memory of the caller (a buffer on a coroutine's stack); further blocks
 * come from the heap. The sum of all blocks is limited, so that no request can take more than its
 * share.
 */
#pragma once

#include <stddef.h>

#include "base/span.h"

struct arena_block;

struct arena {
    char *next;
    size_t left;
    struct arena_block *blocks; /* heap blocks, newest first */
    size_t heap_left;           /* how many bytes may still be taken from the heap */
};

/* An arena that starts with `size` bytes of the caller's and takes at most `heap_max` from the
 * heap. */
void arena_init(struct arena *a, void *memory, size_t size, size_t heap_max);
void arena_finish(struct arena *a);

/* `size` bytes, aligned for any type, not zeroed; NULL when the arena's limit or the heap is used
 * up. */
void *arena_alloc(struct arena *a, size_t size);

/* A copy of `s` with a NUL behind it (not counted in its length); data is NULL on failure. */
struct span arena_copy(struct arena *a, struct span s);
