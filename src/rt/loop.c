#include "rt/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "rt/backend.h"

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int loop_create(const struct loop_options *options, struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->backend = options->backend               ? options->backend
                    : options->io == LOOP_IO_EPOLL ? &io_epoll_backend
                                                   : &io_uring_backend;
    loop->now_ms = clock_ms();
    list_init(&loop->later);
    slot_table_init(&loop->slots);
    timer_wheel_init(&loop->timers, loop->now_ms);
    int r = loop->backend->create(loop, options, &loop->backend_state);
    if (r < 0)
        goto failed;
    if (options->offload) {
        loop->offload = options->offload;
        r = offload_port_create(loop, &loop->offload_port);
        if (r < 0)
            goto failed;
    }
    *ret_loop = loop;
    return 0;
failed:
    loop_destroy(loop);
    return r;
}

int loop_probe(enum loop_io io)
{
    const struct loop_options small = {
        .io = io, .entries = 8, .recv_buffers = 1, .recv_buffer_bytes = 64};
    struct loop *loop;

    int r = loop_create(&small, &loop);
    if (r < 0)
        return r;
    r = loop->backend->wait(loop->backend_state, 0);
    loop_destroy(loop);
    return r;
}

void loop_destroy(struct loop *loop)
{
    assert(loop->task_count == 0);
    if (loop->backend_state)
        loop->backend->destroy(loop->backend_state);
    if (loop->offload_port)
        offload_port_destroy(loop->offload_port);
    task_free_stacks(loop);
    slot_table_finish(&loop->slots);
    free(loop);
}

void later_init(struct later *later, void (*run)(struct later *later))
{
    list_init(&later->link);
    later->run = run;
}

void loop_later(struct loop *loop, struct later *later)
{
    if (list_empty(&later->link))
        list_append(&loop->later, &later->link);
}

void later_stop(struct later *later)
{
    list_remove(&later->link);
}

static void run_later(struct loop *loop)
{
    struct list now, *node;

    /* What is asked for meanwhile waits for the next turn. */
    list_init(&now);
    while ((node = list_pop_first(&loop->later)))
        list_append(&now, node);
    while ((node = list_pop_first(&now))) {
        struct later *later = container_of(node, struct later, link);
        later->run(later);
    }
}

static int turn(struct loop *loop)
{
    uint64_t sleep_ms = timer_wheel_sleep_ms(&loop->timers, loop->now_ms);

    if (!list_empty(&loop->later))
        sleep_ms = 0;

    int r = loop->backend->wait(loop->backend_state, sleep_ms);
    if (r < 0)
        return r;
    loop->epoch++;
    /* Before anything runs: deadlines are set from it, and the sleep may have been long. */
    loop->now_ms = clock_ms();
    loop->backend->reap(loop->backend_state);
    timer_wheel_run(&loop->timers, loop->now_ms);
    run_later(loop);
    return 0;
}

int loop_run(struct loop *loop)
{
    int r = 0;

    while (!loop->stopped && r == 0)
        r = turn(loop);
    return r;
}

int loop_run_out(struct loop *loop)
{
    int r = 0;

    loop->stopped = false;
    while (loop->task_count > 0 && r == 0)
        r = turn(loop);
    return r;
}

bool loop_rest(struct loop *loop)
{
    if (loop->backend->rest)
        loop->backend->rest(loop->backend_state);
    return task_trim_stacks(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

void loop_complete(struct loop *loop, uint64_t id, int result, bool more, struct span data)
{
    struct completion *target = slot_find(&loop->slots, id);

    if (!target)
        return;
    if (!more)
        slot_release(&loop->slots, id);
    target->complete(target, result, more, data);
}

uint64_t loop_epoch(const struct loop *loop)
{
    return loop->epoch;
}

void loop_new_epoch(struct loop *loop)
{
    loop->epoch++;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

struct timer_wheel *loop_timers(struct loop *loop)
{
    return &loop->timers;
}

unsigned loop_task_count(const struct loop *loop)
{
    return loop->task_count;
}

uint64_t loop_stale_completions(const struct loop *loop)
{
    return loop->slots.stale;
}
