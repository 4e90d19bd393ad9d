/* What is left of the heap after a burst. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/sanitize.h"

enum {
    PIECES = 4096,
    PIECE_BYTES = 1000,
    KEPT = 7, /* by glibc, of this size */
};

static unsigned is_resident(uintptr_t piece)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char resident;

    if (mincore((void *)(piece - piece % page), 1, &resident) < 0) // NOLINT
        return 0;                                                  /* not even mapped any more */
    return resident & 1;
}

/* Pieces from all over a heap that is otherwise free again, given back before the others, so that
 * they are what glibc keeps for the thread. */
static void pieces_that_hold_their_pages(void **state)
{
    enum { APART = PIECES / (KEPT + 1) };
    static char *pieces[PIECES];
    uintptr_t kept[KEPT];
    unsigned resident = 0;

    (void)state;
    if (SANITIZED)
        skip(); /* another malloc() */
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = malloc(PIECE_BYTES);
        assert_non_null(pieces[i]);
        memset(pieces[i], 1, PIECE_BYTES);
    }
    char *last = malloc(PIECE_BYTES); /* so that the heap does not simply become shorter */
    for (unsigned i = 0; i < KEPT; i++) {
        kept[i] = (uintptr_t)pieces[(i + 1) * APART];
        free(pieces[(i + 1) * APART]);
        pieces[(i + 1) * APART] = NULL;
    }
    for (unsigned i = 0; i < PIECES; i++)
        free(pieces[i]);
    heap_rest();
    for (unsigned i = 0; i < KEPT; i++)
        resident += is_resident(kept[i]);
    assert_in_range(resident, 0, KEPT / 2); /* what is kept now may lie beside */
    free(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_that_hold_their_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
