#include "rt/slot.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

static uint32_t id_index(uint64_t id)
{
    return (uint32_t)id;
}

static uint32_t id_generation(uint64_t id)
{
    return (uint32_t)(id >> 32) & ((1u << SLOT_GENERATION_BITS) - 1);
}

void slot_table_init(struct slot_table *table)
{
    *table = (struct slot_table){.first_free = UINT32_MAX};
}

void slot_table_finish(struct slot_table *table)
{
    free(table->slots);
    *table = (struct slot_table){0};
}

static int grow(struct slot_table *table)
{
    uint32_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;

    if (capacity > SLOTS_MAX)
        return -ENOMEM;
    struct slot *slots = realloc(table->slots, capacity * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = table->capacity; i < capacity; i++)
        slots[i] = (struct slot){.generation = 1, .next_free = i + 1};
    slots[capacity - 1].next_free = table->first_free;
    table->first_free = table->capacity;
    table->slots = slots;
    table->capacity = capacity;
    return 0;
}

int slot_acquire(struct slot_table *table, struct completion *target, uint8_t kind,
                 uint64_t *ret_id)
{
    assert(target);
    if (table->first_free == UINT32_MAX) {
        int r = grow(table);
        if (r < 0)
            return r;
    }
    uint32_t index = table->first_free;
    struct slot *slot = &table->slots[index];
    table->first_free = slot->next_free;
    table->used++;
    slot->target = target;
    *ret_id = (uint64_t)kind << 56 | (uint64_t)slot->generation << 32 | index;
    return 0;
}

struct completion *slot_find(struct slot_table *table, uint64_t id)
{
    uint32_t index = id_index(id);

    if (index < table->capacity && table->slots[index].target &&
        table->slots[index].generation == id_generation(id))
        return table->slots[index].target;
    table->stale++;
    return NULL;
}

void slot_release(struct slot_table *table, uint64_t id)
{
    struct slot *slot = &table->slots[id_index(id)];

    assert(slot->target && slot->generation == id_generation(id));
    slot->target = NULL;
    slot->generation = (slot->generation + 1) & ((1u << SLOT_GENERATION_BITS) - 1);
    slot->next_free = table->first_free;
    table->first_free = id_index(id);
    table->used--;
}
