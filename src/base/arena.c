#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { BLOCK_SIZE = 4096 };

struct arena_block {
    alignas(max_align_t) struct arena_block *older;
};

void arena_init(struct arena *a, void *memory, size_t size, size_t heap_max)
{
    *a = (struct arena){.next = memory, .left = size, .heap_left = heap_max};
}

void arena_finish(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *block = a->blocks;
        a->blocks = block->older;
        free(block);
    }
    *a = (struct arena){0};
}

static bool add_block(struct arena *a, size_t size)
{
    size_t wanted = sizeof(struct arena_block) + size;

    if (wanted < BLOCK_SIZE)
        wanted = BLOCK_SIZE;
    if (wanted > a->heap_left)
        return false;
    struct arena_block *block = malloc(wanted);
    if (!block)
        return false;
    block->older = a->blocks;
    a->blocks = block;
    a->heap_left -= wanted;
    a->next = (char *)(block + 1);
    a->left = wanted - sizeof(*block);
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t padding = -(uintptr_t)a->next % alignof(max_align_t);

    if (size > SIZE_MAX / 2)
        return NULL;
    if (padding + size > a->left) {
        if (!add_block(a, size))
            return NULL;
        padding = 0;
    }
    char *memory = a->next + padding;
    a->next += padding + size;
    a->left -= padding + size;
    return memory;
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *copy = arena_alloc(a, s.len + 1);

    if (!copy)
        return (struct span){NULL, 0};
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return span_of(copy, s.len);
}
