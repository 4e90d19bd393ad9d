/* Helper threads for what has no asynchronous form or would block the loop: directory reading,
 * opening a file that is not cached, hashing files; and without io_uring reading and writing them.
 *
 * There are lanes with threads of their own, so that a disk that has gone to sleep, or another
 * machine that does not answer, makes nobody wait but those who want something from it; and so that
 * readers do not wait until what others have written is on the disk.
 */
#pragma once

#include "rt/task.h"

struct offload_pool;
struct offload_port;

enum offload_lane {
    OFFLOAD_FAST, /* file systems that wait for a local disk at most */
    OFFLOAD_SYNC, /* the same, for changes, which wait for it much longer: fsync(2) */
    OFFLOAD_SLOW, /* all others */
    OFFLOAD_LANES,
};

/* Starts so many helpers for each lane (one without any must not be used), all signals blocked.
 * Returns 0 or -errno. */
int offload_pool_create(const unsigned helpers[OFFLOAD_LANES], struct offload_pool **ret_pool);

/* Ends the helpers after the work that is queued. */
void offload_pool_destroy(struct offload_pool *pool);

/* Runs fn(arg) on a helper and suspends the task until it has returned; returns what it returned.
 * Work that has begun cannot be cancelled: fn must be bounded. A cancelled task starts nothing. */
int offload(struct task *t, enum offload_lane lane, int (*fn)(void *arg), void *arg);

/* The same for what has to be done in the end, also when the task is cancelled. */
int offload_always(struct task *t, enum offload_lane lane, int (*fn)(void *arg), void *arg);

/* Work for which no task waits. Whoever starts it sets the first four members and keeps it until
 * finished() is called, on the loop. Without finished() the helper tells nobody: the loop may end
 * before, and `fn` frees what there is to free. */
struct offload_work {
    enum offload_lane lane;
    int (*fn)(void *arg);
    void *arg;
    void (*finished)(struct offload_work *work);
    int result; /* of fn */
    struct list link;
    struct offload_port *port;
};

void offload_start(struct loop *loop, struct offload_work *work);

/* Work beside which a task goes on. It runs in the end, also when the task is cancelled, and is
 * always awaited. */
struct offload_aside {
    struct offload_work work;
    struct task *waiting; /* NULL: it does something else */
    bool done;
};

void offload_begin(struct task *t, struct offload_aside *aside, enum offload_lane lane,
                   int (*fn)(void *arg), void *arg);

/* Returns what fn(arg) returned. */
int offload_await(struct task *t, struct offload_aside *aside);
