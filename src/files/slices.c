#include "files/slices.h"

#include <time.h>

struct slice {
    int (*step)(void *arg);
    void *arg;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int run_slice(void *arg)
{
    const struct slice *s = arg;
    int64_t end = now_ms() + SLICE_MS;
    int r;

    do
        r = s->step(s->arg);
    while (r == SLICE_MORE && now_ms() < end);
    return r;
}

typedef int offload_fn(struct task *t, enum offload_lane lane, int (*fn)(void *arg), void *arg);

static int run(struct task *t, offload_fn *on_helper, enum offload_lane *lane, struct slice *s)
{
    int r;

    do {
        r = on_helper(t, *lane, run_slice, s);
        if (r == SLICE_SLOWER)
            *lane = OFFLOAD_SLOW;
    } while (r > 0);
    return r;
}

int slices_run(struct task *t, enum offload_lane *lane, int (*step)(void *arg), void *arg)
{
    return run(t, offload, lane, &(struct slice){step, arg});
}

int slices_run_always(struct task *t, enum offload_lane *lane, int (*step)(void *arg), void *arg)
{
    return run(t, offload_always, lane, &(struct slice){step, arg});
}
