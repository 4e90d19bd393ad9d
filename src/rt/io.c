#include "rt/io.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "rt/backend.h"

/* Of what is sent at once, as far as the socket has room. */
enum { AT_ONCE_MOST = 4096 };

void io_close(struct loop *loop, int fd)
{
    loop->backend->close(loop->backend_state, fd);
}

/* --- operations of a task --- */

static void op_complete(struct completion *c, int result, bool more, struct span data)
{
    struct io_op *op = container_of(c, struct io_op, completion);

    (void)data;
    assert(!more);
    op->result = result;
    op->done = true;
    list_remove(&op->link);
    task_resume(op->task);
}

static int start(struct loop *loop, uint64_t id, const struct io_request *request)
{
    int r = loop->backend->start(loop->backend_state, id, request);

    if (r < 0)
        slot_release(&loop->slots, id);
    return r;
}

/* Not inlined: gcc 14 would see a local variable go into the task's list, and not that io_await()
 * returns only when it has left it. */
__attribute__((noinline)) static void op_start(struct task *t, struct io_op *op,
                                               const struct io_request *request)
{
    struct loop *loop = t->loop;

    *op = (struct io_op){.completion.complete = op_complete, .task = t};
    list_init(&op->link);
    op->result = t->cancelled;
    if (op->result == 0)
        op->result = slot_acquire(&loop->slots, &op->completion, (uint8_t)request->kind, &op->id);
    if (op->result == 0)
        op->result = start(loop, op->id, request);
    op->done = op->result < 0;
    if (!op->done)
        list_append(&t->operations, &op->link);
}

bool io_was_interrupted(int result)
{
    return result == -ECANCELED || result == -EINTR;
}

int io_await(struct task *t, struct io_op *op)
{
    while (!op->done)
        task_suspend(t);
    if (t->cancelled && io_was_interrupted(op->result))
        return t->cancelled;
    return op->result;
}

static int run(struct task *t, const struct io_request *request)
{
    struct io_op op;
    int r;

    do {
        op_start(t, &op, request);
        r = io_await(t, &op);
    } while (r == -EINTR);
    return r;
}

ssize_t io_recv(struct task *t, int fd, void *data, size_t len)
{
    return run(t, &(struct io_request){.kind = IO_RECV, .fd = fd, .data = data, .len = len});
}

ssize_t io_recv_low_water(struct task *t, int fd, void *data, size_t len)
{
    return run(t, &(struct io_request){
                      .kind = IO_RECV, .fd = fd, .data = data, .len = len, .flags = IO_LOW_WATER});
}

/* A short answer nearly always fits into its socket. By the ring the task would have to wait for
 * another turn of the loop to be told so. Returns what was sent, or 0: the backend has to wait. */
static ssize_t send_at_once(struct task *t, int fd, const void *data, size_t len, int flags)
{
    if (len > AT_ONCE_MOST || t->cancelled || !t->loop->backend->sends_at_once)
        return 0;
    ssize_t sent = send(fd, data, len, flags | MSG_DONTWAIT);
    return sent > 0 ? sent : 0;
}

ssize_t io_send(struct task *t, int fd, const void *data, size_t len, int flags)
{
    flags |= MSG_NOSIGNAL;
    ssize_t sent = send_at_once(t, fd, data, len, flags);

    return sent > 0
               ? sent
               : run(t, &(struct io_request){
                            .kind = IO_SEND, .fd = fd, .data = data, .len = len, .flags = flags});
}

int io_send_all(struct task *t, int fd, const void *data, size_t len, int flags)
{
    const char *at = data;

    while (len > 0) {
        ssize_t sent = io_send(t, fd, at, len, flags);
        if (sent < 0)
            return (int)sent;
        at += sent;
        len -= (size_t)sent;
    }
    return 0;
}

ssize_t io_readv(struct task *t, enum offload_lane lane, int fd, const struct iovec *iov,
                 unsigned count, uint64_t offset)
{
    struct io_op op;
    int r;

    do {
        io_readv_start(t, &op, lane, fd, iov, count, offset);
        r = io_await(t, &op);
    } while (r == -EINTR);
    return r;
}

void io_readv_start(struct task *t, struct io_op *op, enum offload_lane lane, int fd,
                    const struct iovec *iov, unsigned count, uint64_t offset)
{
    op_start(
        t, op,
        &(struct io_request){
            .kind = IO_READV, .lane = lane, .fd = fd, .data = iov, .len = count, .offset = offset});
}

ssize_t io_write(struct task *t, int fd, const void *data, size_t len, uint64_t offset)
{
    return run(t, &(struct io_request){
                      .kind = IO_WRITE, .fd = fd, .data = data, .len = len, .offset = offset});
}

void io_write_start(struct task *t, struct io_op *op, enum offload_lane lane, int fd,
                    const void *data, size_t len, uint64_t offset)
{
    op_start(
        t, op,
        &(struct io_request){
            .kind = IO_WRITE, .lane = lane, .fd = fd, .data = data, .len = len, .offset = offset});
}

int io_poll(struct task *t, int fd, short events)
{
    return run(t, &(struct io_request){.kind = IO_POLL, .fd = fd, .flags = events});
}

int io_sleep(struct task *t, uint64_t duration_ms)
{
    if (t->cancelled)
        return t->cancelled;
    t->sleeping = true;
    timer_set(&t->loop->timers, &t->sleep, t->loop->now_ms + duration_ms);
    while (t->sleeping)
        task_suspend(t);
    return t->cancelled;
}

void io_wake(struct task *t)
{
    struct loop *loop = t->loop;

    /* By the wheel, as for a cancelled one (task_cancel()). */
    if (t->sleeping)
        timer_set(&loop->timers, &t->sleep, loop->now_ms);
}

/* --- watches --- */

static void watch_complete(struct completion *c, int result, bool more, struct span data)
{
    struct io_watch *w = container_of(c, struct io_watch, completion);

    if (!more)
        w->id = 0;
    w->event(w, result, data);
}

static int watch_start(struct loop *loop, struct io_watch *w, const struct io_request *request)
{
    assert(w->event && w->id == 0);
    w->completion.complete = watch_complete;
    w->loop = loop;
    int r = slot_acquire(&loop->slots, &w->completion, (uint8_t)request->kind, &w->id);
    if (r == 0)
        r = start(loop, w->id, request);
    if (r < 0)
        w->id = 0;
    return r;
}

int io_watch_accept(struct loop *loop, struct io_watch *w, int fd)
{
    return watch_start(loop, w, &(struct io_request){.kind = IO_ACCEPT_MULTI, .fd = fd});
}

int io_watch_recv(struct loop *loop, struct io_watch *w, int fd)
{
    return watch_start(loop, w, &(struct io_request){.kind = IO_RECV_LENT, .fd = fd});
}

int io_watch_readable(struct loop *loop, struct io_watch *w, int fd)
{
    return watch_start(loop, w, &(struct io_request){.kind = IO_POLL_MULTI, .fd = fd});
}

void io_watch_cancel(struct io_watch *w)
{
    if (w->id != 0)
        w->loop->backend->cancel(w->loop->backend_state, w->id);
}
