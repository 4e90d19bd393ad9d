#include "base/heap.h"

#include <malloc.h>
#include <stdlib.h>

enum {
    /* What glibc keeps for a thread: requests of 24, 40, ... 1,032 bytes, 7 of each, later versions
     * perhaps more. Another number costs time, or memory, and breaks nothing. */
    KEPT_LEAST_BYTES = 24,
    KEPT_MOST_BYTES = 1032,
    KEPT_STEP_BYTES = 16,
    KEPT_MOST = 16,
};

/* Volatile, or the compiler sees that nothing comes of it. */
static void take(void *volatile pieces[KEPT_MOST], size_t bytes)
{
    for (unsigned i = 0; i < KEPT_MOST; i++)
        pieces[i] = malloc(bytes);
}

static void give_back(void *volatile pieces[KEPT_MOST])
{
    for (unsigned i = 0; i < KEPT_MOST; i++)
        free(pieces[i]);
}

/* There is no call for it, and whatever is freed goes to what is kept until that is full. So it is
 * filled with others: malloc() takes those from the smallest holes where they fit, between pieces
 * that are in use, and what was kept becomes whole again with what is free around it. */
static void exchange_kept(size_t bytes)
{
    void *volatile kept[KEPT_MOST];
    void *volatile others[KEPT_MOST];

    take(kept, bytes);
    take(others, bytes);
    give_back(others);
    give_back(kept);
}

void heap_rest(void)
{
    for (size_t bytes = KEPT_LEAST_BYTES; bytes <= KEPT_MOST_BYTES; bytes += KEPT_STEP_BYTES)
        exchange_kept(bytes);
    malloc_trim(0);
}
