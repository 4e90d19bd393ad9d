/* The epoll backend, for machines and containers in which io_uring is forbidden.
 *
 * A descriptor is registered once, edge-triggered, and stays registered: what the last call on it
 * said about readiness is remembered, so a request on an idle connection costs epoll_wait, recv and
 * send, and no epoll_ctl. The price is that a descriptor must not be closed behind the backend's
 * back (io_close()): the kernel forgets a registration only with the last copy of the open file,
 * which may be in another process.
 *
 * No call blocks, whatever mode the descriptor is in. Files, which epoll does not know, are read
 * and written by the helper threads.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/backend.h"
#include "rt/offload.h"

/* A poll is passed on as it is. */
_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLRDHUP == POLLRDHUP, "same bits");

enum {
    /* Taken from the kernel in one turn; the rest comes in the next. */
    EVENTS_PER_TURN = 256,
    /* Connections accepted before others have their turn. */
    ACCEPTS_PER_TURN = 64,
    OPERATIONS_PER_BLOCK = 256,
    FIRST_DESCRIPTORS = 64,
    BYTES_AT_ONCE = 1 << 30,
};

enum operation_state {
    OPERATION_FREE,
    OPERATION_WAITING, /* in its descriptor's list */
    OPERATION_READY,   /* in the queue, to be tried */
    OPERATION_DONE,    /* in the queue, to be reported */
    OPERATION_HELPED,  /* a helper thread has it */
};

/* One operation in flight. Its place is its id's slot, so finding it takes no search. */
struct operation {
    struct operation *next; /* in the list or the queue */
    uint64_t id;
    struct io_request request;
    int result;
    enum operation_state state;
};

/* What is known of a descriptor. */
struct descriptor {
    struct operation *waiting; /* in the order of their start */
    uint32_t registered;       /* events asked for; 0: epoll does not know it */
    uint32_t ready;            /* of those, the ones that no call has found missing since */
};

struct poller {
    struct loop *loop;
    int epoll_fd;
    struct operation **blocks;
    unsigned block_count;
    struct descriptor *descriptors; /* by number */
    unsigned descriptor_count;
    struct operation *queue_first, *queue_last;
    unsigned queue_length;
    char *lent; /* what IO_RECV_LENT receives into, one at a time */
    size_t lent_bytes;
    int event_count;
    struct epoll_event events[EVENTS_PER_TURN];
};

/* --- set-up --- */

static void poller_destroy(void *state)
{
    struct poller *p = state;

    if (p->epoll_fd >= 0)
        close(p->epoll_fd);
    for (unsigned i = 0; i < p->block_count; i++)
        free(p->blocks[i]);
    free(p->blocks);
    free(p->descriptors);
    free(p->lent);
    free(p);
}

static int poller_create(struct loop *loop, const struct loop_options *options, void **ret_state)
{
    struct poller *p = calloc(1, sizeof(*p));

    if (!p)
        return -ENOMEM;
    p->loop = loop;
    p->lent_bytes = options->recv_buffer_bytes;
    p->lent = p->lent_bytes > 0 ? malloc(p->lent_bytes) : NULL;
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int r = p->epoll_fd < 0 ? -errno : 0;
    if (r == 0 && p->lent_bytes > 0 && !p->lent)
        r = -ENOMEM;
    if (r < 0) {
        poller_destroy(p);
        return r;
    }
    *ret_state = p;
    return 0;
}

/* --- operations by id, descriptors by number: tables that grow --- */

static struct operation *operation_at(struct poller *p, uint64_t id)
{
    uint32_t index = (uint32_t)id;

    if (index / OPERATIONS_PER_BLOCK >= p->block_count)
        return NULL;
    return &p->blocks[index / OPERATIONS_PER_BLOCK][index % OPERATIONS_PER_BLOCK];
}

/* Operations stay where they are: lists and helpers point to them. */
static int reserve_operation(struct poller *p, uint64_t id)
{
    while (!operation_at(p, id)) {
        struct operation **blocks = realloc(p->blocks, (p->block_count + 1) * sizeof(*blocks));
        if (!blocks)
            return -ENOMEM;
        p->blocks = blocks;
        p->blocks[p->block_count] = calloc(OPERATIONS_PER_BLOCK, sizeof(struct operation));
        if (!p->blocks[p->block_count])
            return -ENOMEM;
        p->block_count++;
    }
    return 0;
}

static int reserve_descriptor(struct poller *p, int fd)
{
    unsigned count = p->descriptor_count ? p->descriptor_count : FIRST_DESCRIPTORS;

    if ((unsigned)fd < p->descriptor_count)
        return 0;
    while (count <= (unsigned)fd)
        count *= 2;
    struct descriptor *descriptors = realloc(p->descriptors, count * sizeof(*descriptors));
    if (!descriptors)
        return -ENOMEM;
    memset(descriptors + p->descriptor_count, 0,
           (count - p->descriptor_count) * sizeof(*descriptors));
    p->descriptors = descriptors;
    p->descriptor_count = count;
    return 0;
}

/* --- the queue: what reap() has to do --- */

static void enqueue(struct poller *p, struct operation *op, enum operation_state state)
{
    op->state = state;
    op->next = NULL;
    if (p->queue_last)
        p->queue_last->next = op;
    else
        p->queue_first = op;
    p->queue_last = op;
    p->queue_length++;
}

static struct operation *dequeue(struct poller *p)
{
    struct operation *op = p->queue_first;

    p->queue_first = op->next;
    if (!p->queue_first)
        p->queue_last = NULL;
    p->queue_length--;
    return op;
}

static void finish(struct poller *p, struct operation *op, int result)
{
    op->result = result;
    enqueue(p, op, OPERATION_DONE);
}

/* --- waiting for a descriptor --- */

static uint32_t wanted_events(const struct operation *op)
{
    switch (op->request.kind) {
    case IO_SEND:
    case IO_WRITE:
        return EPOLLOUT;
    case IO_POLL:
        return (uint32_t)op->request.flags;
    default:
        return EPOLLIN;
    }
}

/* Asks for more events than so far. What is there already is reported once more. */
static int watch_events(struct poller *p, int fd, uint32_t events)
{
    struct descriptor *d = &p->descriptors[fd];
    struct epoll_event event = {.data.fd = fd};

    if ((d->registered & events) == events)
        return 0;
    /* The peer's end is told apart, because a short read does not say that it was seen. */
    event.events = d->registered | events | EPOLLRDHUP | EPOLLET;
    if (epoll_ctl(p->epoll_fd, d->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    d->registered = event.events;
    d->ready &= ~events;
    return 0;
}

/* Returns -errno when the descriptor cannot be waited for: -EPERM for files. */
static int wait_for_descriptor(struct poller *p, struct operation *op)
{
    int r = watch_events(p, op->request.fd, wanted_events(op));

    if (r < 0)
        return r;
    struct operation **end = &p->descriptors[op->request.fd].waiting;
    while (*end)
        end = &(*end)->next;
    *end = op;
    op->next = NULL;
    op->state = OPERATION_WAITING;
    return 0;
}

static void stop_waiting(struct poller *p, struct operation *op)
{
    struct operation **at = &p->descriptors[op->request.fd].waiting;

    assert(op->state == OPERATION_WAITING);
    while (*at != op)
        at = &(*at)->next;
    *at = op->next;
}

/* Whether a call has a chance: epoll was not asked yet, or has said so. */
static bool may_be_ready(const struct poller *p, const struct operation *op)
{
    const struct descriptor *d = &p->descriptors[op->request.fd];
    uint32_t events = wanted_events(op);

    return (d->registered & events) != events || (d->ready & events);
}

/* A call on the descriptor has returned `result`. Less than was asked for means that there is no
 * more (true of streams; whoever sends urgent data, which also ends a read early, waits until more
 * comes), except when the peer has ended and that is still to be read. */
static void note_result(struct poller *p, const struct operation *op, ssize_t result, size_t asked)
{
    struct descriptor *d = &p->descriptors[op->request.fd];
    uint32_t events = wanted_events(op);

    if (result == -EAGAIN ||
        (result > 0 && (size_t)result < asked && !(d->ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))))
        d->ready &= ~events;
}

/* An event that nobody waits for is remembered. */
static void take_event(struct poller *p, const struct epoll_event *event)
{
    struct descriptor *d = &p->descriptors[event->data.fd];
    struct operation **at = &d->waiting;

    d->ready |= event->events;
    if (event->events & (EPOLLHUP | EPOLLERR)) /* whatever is tried next returns at once */
        d->ready |= d->registered;
    while (*at) {
        struct operation *op = *at;
        if (event->events & (wanted_events(op) | EPOLLHUP | EPOLLERR)) {
            *at = op->next;
            enqueue(p, op, OPERATION_READY);
        } else {
            at = &op->next;
        }
    }
}

/* --- files, and streams of which epoll says little: the helper threads --- */

struct help {
    struct offload_work work;
    struct poller *poller;
    struct operation *operation;
    bool is_stream;
};

static int read_or_write(void *arg)
{
    const struct help *help = arg;
    const struct io_request *q = &help->operation->request;
    size_t len = q->len;
    ssize_t r;

    if (q->kind == IO_READV)
        r = preadv2(q->fd, q->data, (int)len, (off_t)q->offset, 0);
    else {
        /* A pipe that is ready has room for so much; with more a blocking one would block. */
        if (help->is_stream && len > PIPE_BUF)
            len = PIPE_BUF;
        r = q->offset == (uint64_t)-1 ? write(q->fd, q->data, len)
                                      : pwrite(q->fd, q->data, len, (off_t)q->offset);
    }
    return r < 0 ? -errno : (int)r;
}

static bool advance(struct poller *p, struct operation *op);

static void helped(struct offload_work *work)
{
    struct help *help = container_of(work, struct help, work);
    struct poller *p = help->poller;
    struct operation *op = help->operation;
    int result = work->result;

    free(help);
    if (result != -EAGAIN)
        finish(p, op, result);
    else if (op->result == -ECANCELED)
        finish(p, op, -ECANCELED);
    else if (advance(p, op)) /* in non-blocking mode, and somebody else was faster: once more */
        enqueue(p, op, OPERATION_DONE);
}

static int give_to_helper(struct poller *p, struct operation *op, bool is_stream)
{
    struct help *help;

    if (!p->loop->offload)
        return -EOPNOTSUPP;
    help = malloc(sizeof(*help));
    if (!help)
        return -ENOMEM;
    *help = (struct help){
        .work = {op->request.lane, .fn = read_or_write, .arg = help, .finished = helped},
        .poller = p,
        .operation = op,
        .is_stream = is_stream};
    op->state = OPERATION_HELPED;
    offload_start(p->loop, &help->work);
    return 0;
}

/* --- operations --- */

static int poll_now(int fd, int events)
{
    struct pollfd one = {.fd = fd, .events = (short)events};
    int r = poll(&one, 1, 0);

    return r < 0 ? -errno : r == 0 ? -EAGAIN : one.revents & POLLNVAL ? -EBADF : one.revents;
}

/* The system call of an operation that ends with it: its result, or -EAGAIN. */
static int attempt(struct poller *p, const struct operation *op)
{
    const struct io_request *q = &op->request;
    size_t len = q->len < BYTES_AT_ONCE ? q->len : BYTES_AT_ONCE;
    ssize_t r;

    switch (q->kind) {
    case IO_RECV:
        loop_new_epoch(p->loop);
        r = recv(q->fd, (void *)(uintptr_t)q->data, len, MSG_DONTWAIT);
        break;
    case IO_RECV_LENT:
        len = p->lent_bytes;
        loop_new_epoch(p->loop);
        r = recv(q->fd, p->lent, len, MSG_DONTWAIT);
        break;
    case IO_SEND:
        r = send(q->fd, q->data, len, q->flags | MSG_DONTWAIT);
        break;
    default:
        return poll_now(q->fd, (int)wanted_events(op));
    }
    if (r < 0)
        r = -errno;
    note_result(p, op, r, len);
    return (int)r;
}

/* Goes on with an operation as far as it gets. Returns true when it is over and op->result known;
 * else its descriptor or a helper will bring it back. */
static bool advance(struct poller *p, struct operation *op)
{
    bool is_transfer = op->request.kind == IO_READV || op->request.kind == IO_WRITE;
    int r = may_be_ready(p, op) || is_transfer ? attempt(p, op) : -EAGAIN;

    if (is_transfer && r >= 0)
        r = give_to_helper(p, op, true);
    else if (r == -EAGAIN)
        r = wait_for_descriptor(p, op);
    else {
        op->result = r;
        return true;
    }
    op->result = r;
    return r < 0;
}

/* Returns true when it is over already. */
static bool start_transfer(struct poller *p, struct operation *op)
{
    int r = watch_events(p, op->request.fd, wanted_events(op));

    if (r == 0)
        return advance(p, op);
    op->result = r == -EPERM ? give_to_helper(p, op, false) : r; /* EPERM: a file */
    return op->result < 0;
}

/* What looks at its descriptor first when it is reaped: several results, or the lent buffer. */
static bool start_later(struct poller *p, struct operation *op)
{
    const struct descriptor *d = &p->descriptors[op->request.fd];

    if (d->registered & d->ready & EPOLLIN) {
        enqueue(p, op, OPERATION_READY);
        return false;
    }
    op->result = wait_for_descriptor(p, op);
    return op->result < 0;
}

/* Between readiness and accept() a connection may disappear, or be another process's, which has the
 * same socket; io_uring does not mind the mode. */
static void make_non_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK))
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int poller_start(void *state, uint64_t id, const struct io_request *q)
{
    struct poller *p = state;
    bool is_over;

    if (q->fd < 0)
        return -EBADF;
    int r = reserve_operation(p, id);
    if (r == 0)
        r = reserve_descriptor(p, q->fd);
    if (r < 0)
        return r;
    struct operation *op = operation_at(p, id);
    assert(op->state == OPERATION_FREE);
    *op = (struct operation){.id = id, .request = *q};
    switch (q->kind) {
    case IO_ACCEPT_MULTI:
        make_non_blocking(q->fd);
        is_over = start_later(p, op);
        break;
    case IO_POLL_MULTI:
    case IO_RECV_LENT:
        is_over = start_later(p, op);
        break;
    case IO_READV:
    case IO_WRITE:
        is_over = start_transfer(p, op);
        break;
    default:
        is_over = advance(p, op);
    }
    if (is_over)
        enqueue(p, op, OPERATION_DONE);
    return 0;
}

static void poller_cancel(void *state, uint64_t id)
{
    struct poller *p = state;
    struct operation *op = operation_at(p, id);

    if (!op || op->id != id)
        return;
    if (op->state == OPERATION_WAITING) {
        stop_waiting(p, op);
        finish(p, op, -ECANCELED);
    } else if (op->state == OPERATION_READY) { /* in the queue already */
        op->result = -ECANCELED;
        op->state = OPERATION_DONE;
    } else if (op->state == OPERATION_HELPED) { /* comes to an end, but waits no more */
        op->result = -ECANCELED;
    }
}

static void poller_close(void *state, int fd)
{
    struct poller *p = state;

    if ((unsigned)fd < p->descriptor_count) {
        struct descriptor *d = &p->descriptors[fd];
        assert(!d->waiting);
        if (d->registered)
            (void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        *d = (struct descriptor){0};
    }
    close(fd);
}

/* --- completions --- */

static void report_end(struct poller *p, struct operation *op, int result, struct span data)
{
    uint64_t id = op->id;

    op->state = OPERATION_FREE; /* whoever hears of it may start the next one in its place */
    loop_complete(p->loop, id, result, false, data);
}

/* Whether the operation is still there and waits, after its owner was called. */
static bool still_waits(const struct operation *op, uint64_t id)
{
    return op->id == id && op->state == OPERATION_WAITING;
}

static void accept_some(struct poller *p, struct operation *op)
{
    uint64_t id = op->id;
    unsigned left = ACCEPTS_PER_TURN;

    while (left > 0 && !p->loop->stopped) {
        int fd = accept4(op->request.fd, NULL, NULL, SOCK_CLOEXEC);
        int error = fd < 0 ? -errno : 0;
        if (error == -ECONNABORTED || error == -EINTR)
            continue;
        if (error < 0) {
            note_result(p, op, error, 0);
            if (error == -EAGAIN)
                return;
            stop_waiting(p, op);
            report_end(p, op, error, (struct span){0});
            return;
        }
        loop_complete(p->loop, id, fd, true, (struct span){0});
        if (!still_waits(op, id))
            return;
        left--;
    }
    stop_waiting(p, op);
    enqueue(p, op, OPERATION_READY);
}

/* An operation of several results waits while it reports: it may be cancelled meanwhile. */
static void report_again(struct poller *p, struct operation *op)
{
    int r = wait_for_descriptor(p, op);

    if (r < 0)
        report_end(p, op, r, (struct span){0});
    else if (op->request.kind == IO_ACCEPT_MULTI)
        accept_some(p, op);
    else
        loop_complete(p->loop, op->id, POLLIN, true, (struct span){0});
}

static void run(struct poller *p, struct operation *op)
{
    struct span data = {NULL, 0};

    if (op->state == OPERATION_DONE) {
        report_end(p, op, op->result, data);
        return;
    }
    assert(op->state == OPERATION_READY);
    if (op->request.kind == IO_POLL_MULTI || op->request.kind == IO_ACCEPT_MULTI) {
        report_again(p, op);
    } else if (advance(p, op)) {
        if (op->request.kind == IO_RECV_LENT && op->result > 0)
            data = span_of(p->lent, (size_t)op->result);
        report_end(p, op, op->result, data);
    }
}

static int poller_wait(void *state, uint64_t timeout_ms)
{
    struct poller *p = state;
    int timeout = timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;

    if (p->queue_length > 0)
        timeout = 0;
    else if (timeout_ms == UINT64_MAX)
        timeout = -1;
    p->event_count = epoll_wait(p->epoll_fd, p->events, EVENTS_PER_TURN, timeout);
    if (p->event_count >= 0)
        return 0;
    p->event_count = 0;
    return errno == EINTR ? 0 : -errno;
}

static void poller_reap(void *state)
{
    struct poller *p = state;

    for (int i = 0; i < p->event_count; i++)
        take_event(p, &p->events[i]);
    p->event_count = 0;
    /* Only those that are there now: sends that succeed at once are queued again and again. */
    for (unsigned left = p->queue_length; left > 0 && !p->loop->stopped; left--)
        run(p, dequeue(p));
}

const struct io_backend io_epoll_backend = {
    .create = poller_create,
    .destroy = poller_destroy,
    .start = poller_start,
    .cancel = poller_cancel,
    .close = poller_close,
    .wait = poller_wait,
    .reap = poller_reap,
    .sends_at_once = true,
};
