/* Helper threads for what has no asynchronous form or would block the loop: directory reading,
 * opening a file that is not cached, hashing files; and without io_uring reading and writing them.
 */
#pragma once

#include "rt/task.h"

struct offload_pool;
struct offload_port;

enum { OFFLOAD_THREADS = 4 };

/* Starts `threads` helpers, all signals blocked. Returns 0 or -errno. */
int offload_pool_create(unsigned threads, struct offload_pool **ret_pool);

/* Ends the helpers after the work that is queued. */
void offload_pool_destroy(struct offload_pool *pool);

/* Runs fn(arg) on a helper and suspends the task until it has returned; returns what it returned.
 * Work that has begun cannot be cancelled: fn must be bounded. A cancelled task starts nothing. */
int offload(struct task *t, int (*fn)(void *arg), void *arg);

/* Work for which no task waits. Whoever starts it sets the first three members and keeps it until
 * finished() is called, on the loop. */
struct offload_work {
    int (*fn)(void *arg);
    void *arg;
    void (*finished)(struct offload_work *work);
    int result; /* of fn */
    struct list link;
    struct offload_port *port;
};

void offload_start(struct loop *loop, struct offload_work *work);
