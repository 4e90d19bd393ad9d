/* Which object a completion belongs to: the kernel is given an id, never a pointer.
 *
 * An id is slot number + generation + kind. The generation moves on when a slot is released, so a
 * completion that comes late finds its id stale, is counted and dropped, and can never touch an
 * object that took over the slot.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct completion;

struct slot {
    struct completion *target; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct slot_table {
    struct slot *slots;
    uint32_t capacity;
    uint32_t used;
    uint32_t first_free;
    uint64_t stale; /* completions dropped */
};

enum {
    SLOTS_MAX = 1 << 24,
    SLOT_GENERATION_BITS = 24,
};

void slot_table_init(struct slot_table *table);
void slot_table_finish(struct slot_table *table);

/* Takes a slot for `target`. `kind` (of operation) is only carried along. Returns 0 or -ENOMEM. */
int slot_acquire(struct slot_table *table, struct completion *target, uint8_t kind,
                 uint64_t *ret_id);

void slot_release(struct slot_table *table, uint64_t id);

/* The object, or NULL when the id is stale. */
struct completion *slot_find(struct slot_table *table, uint64_t id);

static inline uint8_t slot_kind(uint64_t id)
{
    return (uint8_t)(id >> 56);
}
