/* What lies behind io.h: the operations a backend must know, and how it reports their end.
 * For src/rt only, and for tests that bring a backend of their own (io_sim.h). */
#pragma once

#include "base/list.h"
#include "rt/io.h"
#include "rt/slot.h"

enum io_kind {
    IO_RECV = 1,
    IO_SEND,
    IO_READV,
    IO_WRITE,
    IO_POLL,
    IO_POLL_MULTI,
    IO_ACCEPT_MULTI,
    IO_RECV_LENT, /* into a buffer of the backend */
    IO_CANCEL,
};

/* The flag of an IO_RECV that waits for the socket's low-water mark whatever is there. */
enum { IO_LOW_WATER = 1 };

struct io_request {
    enum io_kind kind;
    enum offload_lane lane; /* of the helpers, for IO_READV and IO_WRITE */
    int fd;
    const void *data; /* bytes, or struct iovec[] */
    size_t len;       /* bytes, or entries */
    uint64_t offset;
    int flags; /* MSG_MORE, IO_LOW_WATER, or the events of a poll */
};

struct io_backend {
    /* Makes the backend's state for this loop. */
    int (*create)(struct loop *loop, const struct loop_options *options, void **ret_state);
    void (*destroy)(void *state);
    /* Starts an operation under an id. What the kernel refuses completes with an error; -errno says
     * that there will be no completion, for want of memory. */
    int (*start)(void *state, uint64_t id, const struct io_request *request);
    /* Makes the operation complete, with -ECANCELED if it has not come to an end of its own. */
    void (*cancel)(void *state, uint64_t id);
    /* Closes a descriptor on which no operation is in flight. */
    void (*close)(void *state, int fd);
    /* Waits at most timeout_ms (UINT64_MAX: forever) for a completion. Returns 0 or -errno. */
    int (*wait)(void *state, uint64_t timeout_ms);
    /* Reports all that are there through loop_complete(); nothing else does, so that nobody is
     * called back from within start() or cancel(). */
    void (*reap)(void *state);
    /* Gives memory back that nothing is in. NULL: there is none. */
    void (*rest)(void *state);
    /* What is short may go into a socket without start(); a test that decides about each send says
     * no. */
    bool sends_at_once;
};

extern const struct io_backend io_uring_backend;
extern const struct io_backend io_epoll_backend;

struct loop {
    const struct io_backend *backend;
    void *backend_state;
    struct slot_table slots;
    struct timer_wheel timers;
    struct list later; /* struct later */
    uint64_t now_ms;
    uint64_t epoch; /* loop_epoch(); a new one each turn */
    bool stopped;

    void *stack_pointer; /* of the loop itself, while a task runs */
    struct task *running;
    void *free_stacks; /* linked through their task headers */
    unsigned free_stack_count;
    unsigned free_stack_least; /* since the last trim: so many were not needed */
    unsigned task_count;
    void *sanitizer_fiber; /* of the loop's own stack */
    const void *sanitizer_stack;
    size_t sanitizer_stack_bytes;

    struct offload_pool *offload;
    struct offload_port *offload_port;
};

struct task {
    void *stack_pointer;
    struct loop *loop;
    task_fn *fn;
    void *arg;
    int cancelled;
    bool ended;
    struct list operations; /* struct io_op in flight */
    struct timer deadline;
    struct timer sleep;
    bool sleeping;
    struct task *next_free;
    void *sanitizer_fiber;
    void *sanitizer_fake_stack;
};

/* Delivers a completion to whom it belongs; drops it when the id is stale. `more`: the operation
 * goes on. */
void loop_complete(struct loop *loop, uint64_t id, int result, bool more, struct span data);

/* task.c: the pool's memory is given back, all of it, or what has not been needed since the last
 * call. Returns whether only TASK_STACKS_RESTING are left. */
void task_free_stacks(struct loop *loop);
bool task_trim_stacks(struct loop *loop);

/* offload.c: the loop's end of the helper threads. */
int offload_port_create(struct loop *loop, struct offload_port **ret_port);
void offload_port_destroy(struct offload_port *port);

/* For a pool without threads: does the first work that waits in a lane on this thread, and returns
 * whether there was any; whether any waits. */
bool offload_run_one(struct offload_pool *pool, enum offload_lane lane);
bool offload_is_waiting(struct offload_pool *pool, enum offload_lane lane);
