/* All I/O of the program, narrow on purpose: behind it stands io_uring, or epoll.
 *
 * Calls that take a task suspend it until the operation is complete, and return what the system
 * call would return, or -errno. On a cancelled task they return the reason of the cancellation
 * without starting anything. A cancelled operation that had succeeded all the same returns its
 * success; the next call then returns the reason.
 *
 * Sockets are left in blocking mode: the backend waits for readiness by itself. A descriptor that
 * was given to one of these calls is closed by io_close().
 */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include "base/span.h"
#include "rt/loop.h"
#include "rt/offload.h"
#include "rt/task.h"

/* --- calls that suspend --- */

/* recv(2): at least one byte, 0 at the end of the stream. */
ssize_t io_recv(struct task *t, int fd, void *data, size_t len);

/* The same for a TCP socket that has been told how much is worth waking up for (SO_RCVLOWAT, Linux
 * 4.18): waits for so much, or for the end of the stream. May return less all the same. */
ssize_t io_recv_low_water(struct task *t, int fd, void *data, size_t len);

/* send(2) with MSG_NOSIGNAL: may send less than asked. `flags` are MSG_MORE or 0. What is short and
 * has room in the socket goes there without suspending the task. */
ssize_t io_send(struct task *t, int fd, const void *data, size_t len, int flags);

/* Sends everything. Returns 0 or -errno. */
int io_send_all(struct task *t, int fd, const void *data, size_t len, int flags);

/* preadv(2); waits for the disk off the loop. `lane`: whose helpers do that where there is no
 * io_uring. */
ssize_t io_readv(struct task *t, enum offload_lane lane, int fd, const struct iovec *iov,
                 unsigned count, uint64_t offset);

/* pwrite(2), or write(2) at the end of an O_APPEND file. */
ssize_t io_write(struct task *t, int fd, const void *data, size_t len, uint64_t offset);

/* Waits until one of `events` (POLLIN, POLLOUT) is there; returns the events. */
int io_poll(struct task *t, int fd, short events);

/* Lets `duration_ms` pass, or less where somebody calls io_wake(); 0 lets everything else that is
 * ready run first. Returns 0 or the reason. */
int io_sleep(struct task *t, uint64_t duration_ms);

/* From the loop, never from a task: lets the io_sleep() of a task end now, if it is in one. */
void io_wake(struct task *t);

/* close(2) for descriptors that were used here, when no operation on them is in flight: epoll goes
 * on watching what another process has a copy of. */
void io_close(struct loop *loop, int fd);

/* --- one operation beside others: start it, do something else, await it --- */

/* A completion's destination: the first member of whatever waits for one. */
struct completion {
    void (*complete)(struct completion *c, int result, bool more, struct span data);
};

struct io_op {
    struct completion completion;
    uint64_t id;
    struct task *task;
    struct list link; /* the task's operations in flight */
    int result;
    bool done;
};

/* Starts a read; `iov` and the memory behind it stay untouched until io_await(). */
void io_readv_start(struct task *t, struct io_op *op, enum offload_lane lane, int fd,
                    const struct iovec *iov, unsigned count, uint64_t offset);

/* Starts a pwrite(2); the same. It may write less than asked. `lane` as for io_readv(). */
void io_write_start(struct task *t, struct io_op *op, enum offload_lane lane, int fd,
                    const void *data, size_t len, uint64_t offset);

/* Waits for a started operation and returns its result. Every started operation is awaited. */
int io_await(struct task *t, struct io_op *op);

/* Whether that says that the operation was broken off before it did anything: -ECANCELED, or
 * -EINTR, which is also what the kernel says of a read or write that it cancels while it waits. On
 * a task that is not cancelled the operation can be started again; all calls above that suspend do
 * that with -EINTR. */
bool io_was_interrupted(int result);

/* --- watches: operations that belong to no task --- */

struct io_watch {
    struct completion completion;
    struct loop *loop;
    uint64_t id; /* 0: not armed */
    /* Called on the loop for each event. `result` is ≥ 0 or -errno; `data` holds received bytes,
     * valid during the call. When io_watch_armed() is false in it, the watch has ended: start it
     * again or free it. */
    void (*event)(struct io_watch *w, int result, struct span data);
};

static inline bool io_watch_armed(const struct io_watch *w)
{
    return w->id != 0;
}

/* Each connection accepted on `fd` is an event with the new descriptor (CLOEXEC) as its result. */
int io_watch_accept(struct loop *loop, struct io_watch *w, int fd);

/* One event: the next bytes of a socket, in a buffer that the loop lends for the time of the call;
 * so an idle connection holds no memory. -ENOBUFS: all are lent, the bytes still wait in the
 * socket. */
int io_watch_recv(struct loop *loop, struct io_watch *w, int fd);

/* An event each time that `fd` becomes readable. */
int io_watch_readable(struct loop *loop, struct io_watch *w, int fd);

/* Asks the watch to end; its last event is -ECANCELED (or what came just before it). */
void io_watch_cancel(struct io_watch *w);
