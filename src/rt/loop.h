/* The loop of one thread: it runs tasks, completions and timers until it is stopped.
 *
 * Everything that hangs on a loop (tasks, watches, timers, connections) belongs to its thread
 * alone; nothing is shared between loops but the helper threads of offload.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "rt/timer.h"

struct io_backend;
struct loop;
struct offload_pool;

/* What stands behind io.h. */
enum loop_io { LOOP_IO_URING, LOOP_IO_EPOLL };

struct loop_options {
    enum loop_io io;
    const struct io_backend *backend; /* NULL: what `io` says; a test may have one of its own */
    unsigned entries;                 /* submission queue size; 0: 512 */
    unsigned recv_buffers;            /* buffers for io_watch_recv(), a power of two; 0: none */
    size_t recv_buffer_bytes;         /* size of each */
    /* NULL: offload() is not used on this loop, and with epoll no io_readv() and io_write(). */
    struct offload_pool *offload;
};

/* Makes a loop; must be called on the thread that will run it. Returns 0 or -errno: -EPERM where
 * io_uring is forbidden, -ENOSYS where the kernel has none, -ENOMEM (RLIMIT_MEMLOCK on old
 * kernels). */
int loop_create(const struct loop_options *options, struct loop **ret_loop);

/* Whether this process can make such a loop and wait on it: 0, or -errno as loop_create(). */
int loop_probe(enum loop_io io);

/* Frees a loop on which no task is left; watches that are still armed end without an event. */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop() has been called. Returns 0 or -errno when waiting itself failed. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Goes on after loop_run() until no task is left. Returns 0 or -errno. */
int loop_run_out(struct loop *loop);

/* CLOCK_MONOTONIC in milliseconds, read once per turn of the loop. */
uint64_t loop_now_ms(const struct loop *loop);

/* Work that is put off so that everything else that is ready goes first. */
struct later {
    struct list link;
    void (*run)(struct later *later);
};

void later_init(struct later *later, void (*run)(struct later *later));

/* Calls later->run() at the end of this turn, or of the next one when it is asked for by a run().
 * Already waiting: nothing changes. */
void loop_later(struct loop *loop, struct later *later);
void later_stop(struct later *later);

/* Changes whenever bytes may have come in from outside: what was found out since it changed last is
 * as new as everything that was asked before. */
uint64_t loop_epoch(const struct loop *loop);

/* To be called after having received something without io.h. */
void loop_new_epoch(struct loop *loop);

/* Gives memory back that only a burst needs: to be called now and then. Returns whether there is
 * none left to give. */
bool loop_rest(struct loop *loop);

struct timer_wheel *loop_timers(struct loop *loop);

/* How many tasks are alive, how many completions came too late. */
unsigned loop_task_count(const struct loop *loop);
uint64_t loop_stale_completions(const struct loop *loop);
