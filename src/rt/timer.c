#include "rt/timer.h"

static uint64_t tick_of(uint64_t deadline_ms)
{
    return deadline_ms / TIMER_TICK_MS + 1;
}

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
    for (unsigned i = 0; i < TIMER_WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    wheel->tick = now_ms / TIMER_TICK_MS;
    wheel->earliest = UINT64_MAX;
    wheel->queued = 0;
}

void timer_init(struct timer *timer, void (*expired)(struct timer *timer))
{
    *timer = (struct timer){.deadline_ms = TIMER_NEVER, .expired = expired};
    list_init(&timer->link);
}

static void enqueue(struct timer_wheel *wheel, struct timer *timer)
{
    timer->tick = tick_of(timer->deadline_ms);
    if (timer->tick <= wheel->tick)
        timer->tick = wheel->tick + 1;
    /* What lies beyond the wheel's horizon is looked at once a turn. */
    if (timer->tick > wheel->tick + TIMER_WHEEL_SLOTS)
        timer->tick = wheel->tick + TIMER_WHEEL_SLOTS;
    list_append(&wheel->slots[timer->tick % TIMER_WHEEL_SLOTS], &timer->link);
    timer->queued = true;
    wheel->queued++;
    if (timer->tick < wheel->earliest)
        wheel->earliest = timer->tick;
}

static void dequeue(struct timer_wheel *wheel, struct timer *timer)
{
    list_remove(&timer->link);
    timer->queued = false;
    wheel->queued--;
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ms)
{
    timer->deadline_ms = deadline_ms;
    if (deadline_ms == TIMER_NEVER || (timer->queued && timer->tick <= tick_of(deadline_ms)))
        return;
    if (timer->queued)
        dequeue(wheel, timer);
    enqueue(wheel, timer);
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
    if (timer->queued)
        dequeue(wheel, timer);
    timer->deadline_ms = TIMER_NEVER;
}

static void run_slot(struct timer_wheel *wheel, struct list *slot, uint64_t now_ms)
{
    struct list due;

    /* The slot is emptied first: a timer that is set again may land in the same slot. */
    list_init(&due);
    for (struct list *node; (node = list_pop_first(slot));)
        list_append(&due, node);
    for (struct list *node; (node = list_pop_first(&due));) {
        struct timer *timer = container_of(node, struct timer, link);
        timer->queued = false;
        wheel->queued--;
        if (timer->deadline_ms == TIMER_NEVER)
            continue;
        if (timer->deadline_ms > now_ms) {
            enqueue(wheel, timer);
            continue;
        }
        timer->deadline_ms = TIMER_NEVER;
        timer->expired(timer);
    }
}

static uint64_t find_earliest(const struct timer_wheel *wheel)
{
    if (wheel->queued > 0)
        for (uint64_t tick = wheel->tick + 1; tick <= wheel->tick + TIMER_WHEEL_SLOTS; tick++)
            if (!list_empty(&wheel->slots[tick % TIMER_WHEEL_SLOTS]))
                return tick;
    return UINT64_MAX;
}

void timer_wheel_run(struct timer_wheel *wheel, uint64_t now_ms)
{
    uint64_t now_tick = now_ms / TIMER_TICK_MS;

    if (now_tick < wheel->earliest) {
        /* Nothing waits for the ticks in between. */
        if (now_tick > wheel->tick)
            wheel->tick = now_tick;
        return;
    }
    /* After a long sleep every slot needs to be looked at only once. */
    if (now_tick > wheel->tick + TIMER_WHEEL_SLOTS)
        wheel->tick = now_tick - TIMER_WHEEL_SLOTS;
    while (wheel->tick < now_tick) {
        wheel->tick++;
        run_slot(wheel, &wheel->slots[wheel->tick % TIMER_WHEEL_SLOTS], now_ms);
    }
    wheel->earliest = find_earliest(wheel);
}

uint64_t timer_wheel_sleep_ms(const struct timer_wheel *wheel, uint64_t now_ms)
{
    if (wheel->earliest == UINT64_MAX)
        return UINT64_MAX;
    uint64_t at_ms = wheel->earliest * TIMER_TICK_MS;
    return at_ms > now_ms ? at_ms - now_ms : 0;
}
