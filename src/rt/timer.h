/* Deadlines: many, usually moved before they are reached.
 *
 * A hashed wheel with lazy moves: setting a later deadline only stores it, and the entry is put
 * right when its old place in the wheel comes up. A keep-alive connection that moves its deadline
 * with every request pays one store for it. Deadlines are met up to TIMER_TICK_MS late, never
 * early.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum { TIMER_TICK_MS = 16, TIMER_WHEEL_SLOTS = 512 };

#define TIMER_NEVER UINT64_MAX

struct timer {
    struct list link;
    uint64_t deadline_ms;
    uint64_t tick; /* the wheel's tick that the entry waits for; meaningful while `queued` */
    bool queued;
    void (*expired)(struct timer *timer);
};

struct timer_wheel {
    struct list slots[TIMER_WHEEL_SLOTS];
    uint64_t tick;     /* every tick up to here has been handled */
    uint64_t earliest; /* no entry waits for a tick before this one */
    unsigned queued;
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

void timer_init(struct timer *timer, void (*expired)(struct timer *timer));

/* Moves the deadline; TIMER_NEVER disarms (lazily: the entry may stay in the wheel for a while). */
void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t deadline_ms);

/* Takes the timer out for good: its memory may be reused afterwards. */
void timer_stop(struct timer_wheel *wheel, struct timer *timer);

/* Calls expired() of every timer whose deadline is at or before now_ms. */
void timer_wheel_run(struct timer_wheel *wheel, uint64_t now_ms);

/* How many milliseconds the loop may sleep; UINT64_MAX with nothing queued. */
uint64_t timer_wheel_sleep_ms(const struct timer_wheel *wheel, uint64_t now_ms);
