/* The io_uring backend. Linux 5.19 (lent receive buffers) is the floor; 6.1 brings DEFER_TASKRUN.
 *
 * The ring starts disabled, is restricted to I/O on descriptors that are already open, and is then
 * enabled for good: whoever takes the process over cannot use it to open, connect or execute.
 */
#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rt/backend.h"

enum {
    ENTRIES_DEFAULT = 512,
    /* Completions may outnumber submissions: each listener and idle connection has one to come. */
    CQ_ENTRIES_FACTOR = 8,
    LENT_GROUP = 0,
    WORKERS_MAX = 64,
    /* In a long batch of completions, what was prepared is submitted after this long, so that the
     * first ones' answers do not wait for the last one's handshake. */
    SUBMIT_AFTER_NS = 1000 * 1000,
};

struct ring {
    struct io_uring ring;
    struct loop *loop;
    struct io_uring_buf_ring *lent;
    char *lent_memory;
    unsigned lent_count;
    size_t lent_bytes;
    uint64_t submitted_ns;
};

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- set-up --- */

static const uint8_t allowed_operations[] = {
    IORING_OP_NOP,  IORING_OP_READV, IORING_OP_READ,         IORING_OP_WRITE,  IORING_OP_POLL_ADD,
    IORING_OP_SEND, IORING_OP_RECV,  IORING_OP_ASYNC_CANCEL, IORING_OP_ACCEPT,
};

static int restrict_and_enable(struct io_uring *ring)
{
    struct io_uring_restriction rules[sizeof(allowed_operations) + 1] = {0};
    unsigned count = 0;

    for (; count < sizeof(allowed_operations); count++) {
        rules[count].opcode = IORING_RESTRICTION_SQE_OP;
        rules[count].sqe_op = allowed_operations[count];
    }
    rules[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    rules[count].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS;
    count++;
    int r = io_uring_register_restrictions(ring, rules, count);
    return r < 0 ? r : io_uring_enable_rings(ring);
}

static int set_up(struct io_uring *ring, unsigned entries)
{
    /* From the newest kernel's best to the oldest's plain: 6.1, 6.0 (and COOP_TASKRUN 5.19). */
    static const unsigned flag_sets[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_COOP_TASKRUN,
        0,
    };
    int r = -EINVAL;

    for (size_t i = 0; i < sizeof(flag_sets) / sizeof(flag_sets[0]) && r == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = flag_sets[i] | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED |
                     IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
            .cq_entries = entries * CQ_ENTRIES_FACTOR,
        };
        r = io_uring_queue_init_params(entries, ring, &params);
    }
    return r;
}

static void lend_again(struct ring *u, unsigned buffer)
{
    io_uring_buf_ring_add(u->lent, u->lent_memory + buffer * u->lent_bytes, (unsigned)u->lent_bytes,
                          (unsigned short)buffer, io_uring_buf_ring_mask(u->lent_count), 0);
    io_uring_buf_ring_advance(u->lent, 1);
}

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (bytes + page - 1) / page * page;
}

static void *allocate_pages(size_t bytes)
{
    void *memory;

    return posix_memalign(&memory, (size_t)sysconf(_SC_PAGESIZE), whole_pages(bytes)) ? NULL
                                                                                      : memory;
}

static int register_lent_buffers(struct ring *u, const struct loop_options *options)
{
    u->lent = allocate_pages(options->recv_buffers * sizeof(struct io_uring_buf));
    if (!u->lent)
        return -ENOMEM;
    io_uring_buf_ring_init(u->lent);
    u->lent_count = options->recv_buffers;
    u->lent_bytes = options->recv_buffer_bytes;
    u->lent_memory = allocate_pages(u->lent_count * u->lent_bytes);
    if (!u->lent_memory)
        return -ENOMEM;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)u->lent,
        .ring_entries = u->lent_count,
        .bgid = LENT_GROUP,
    };
    int r = io_uring_register_buf_ring(&u->ring, &registration, 0);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < u->lent_count; i++)
        lend_again(u, i);
    return 0;
}

static void ring_destroy(void *state)
{
    struct ring *u = state;

    if (u->ring.ring_fd >= 0)
        io_uring_queue_exit(&u->ring);
    free(u->lent);
    free(u->lent_memory);
    free(u);
}

static int ring_create(struct loop *loop, const struct loop_options *options, void **ret_state)
{
    struct ring *u = calloc(1, sizeof(*u));

    if (!u)
        return -ENOMEM;
    u->loop = loop;
    u->ring.ring_fd = -1;
    int r = set_up(&u->ring, options->entries ? options->entries : ENTRIES_DEFAULT);
    if (r < 0) {
        u->ring.ring_fd = -1;
        goto failed;
    }
    if (options->recv_buffers > 0 && (r = register_lent_buffers(u, options)) < 0)
        goto failed;
    /* Who waits for a file system that does not answer; usually it is four for each
     * processor. 5.15, and no harm without. */
    unsigned workers[] = {WORKERS_MAX, 0};
    io_uring_register_iowq_max_workers(&u->ring, workers);
    /* A descriptor that the kernel need not look up at each call; 5.18, and no harm without. */
    io_uring_register_ring_fd(&u->ring);
    r = restrict_and_enable(&u->ring);
    if (r < 0)
        goto failed;
    *ret_state = u;
    return 0;
failed:
    ring_destroy(u);
    return r;
}

/* --- operations --- */

static struct io_uring_sqe *next_sqe(struct ring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

    /* A full queue is emptied by the system call; that it stays full would be a bug. */
    for (unsigned tries = 0; !sqe && tries < 1000; tries++) {
        io_uring_submit(&u->ring);
        sqe = io_uring_get_sqe(&u->ring);
    }
    assert(sqe);
    return sqe;
}

static int ring_start(void *state, uint64_t id, const struct io_request *q)
{
    struct ring *u = state;
    struct io_uring_sqe *sqe = next_sqe(u);
    unsigned len = q->len > 1u << 30 ? 1u << 30 : (unsigned)q->len;

    switch (q->kind) {
    case IO_RECV:
        io_uring_prep_recv(sqe, q->fd, (void *)(uintptr_t)q->data, len, 0);
        if (q->flags & IO_LOW_WATER) /* trying first takes what is there, however little */
            sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
        break;
    case IO_RECV_LENT:
        io_uring_prep_recv(sqe, q->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = LENT_GROUP;
        /* Called when the connection goes idle: trying first would fail nearly always. */
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
        break;
    case IO_SEND:
        io_uring_prep_send(sqe, q->fd, q->data, len, q->flags);
        break;
    case IO_READV:
        io_uring_prep_readv(sqe, q->fd, q->data, len, q->offset);
        break;
    case IO_WRITE:
        io_uring_prep_write(sqe, q->fd, q->data, len, q->offset);
        break;
    case IO_POLL:
        io_uring_prep_poll_add(sqe, q->fd, (unsigned)q->flags);
        break;
    case IO_POLL_MULTI:
        io_uring_prep_poll_multishot(sqe, q->fd, POLLIN);
        break;
    case IO_ACCEPT_MULTI:
        io_uring_prep_multishot_accept(sqe, q->fd, NULL, NULL, SOCK_CLOEXEC);
        break;
    case IO_CANCEL:
        break;
    }
    io_uring_sqe_set_data64(sqe, id);
    return 0;
}

static void ring_cancel(void *state, uint64_t id)
{
    struct ring *u = state;
    struct io_uring_sqe *sqe = next_sqe(u);

    io_uring_prep_cancel64(sqe, id, 0);
    /* Whether it came in time is told by the operation itself. */
    io_uring_sqe_set_data64(sqe, (uint64_t)IO_CANCEL << 56);
}

static void ring_close(void *state, int fd)
{
    (void)state;
    close(fd);
}

/* --- completions --- */

static void dispatch(struct ring *u, const struct io_uring_cqe *cqe)
{
    uint64_t id = cqe->user_data;
    int result = cqe->res;
    uint32_t flags = cqe->flags;
    struct span data = {NULL, 0};

    /* The entry is free for the kernel from here on: what follows may submit and reap. */
    io_uring_cq_advance(&u->ring, 1);
    if (slot_kind(id) == IO_CANCEL)
        return;
    if (flags & IORING_CQE_F_BUFFER) {
        unsigned buffer = flags >> IORING_CQE_BUFFER_SHIFT;
        if (result > 0)
            data = span_of(u->lent_memory + buffer * u->lent_bytes, (size_t)result);
        loop_complete(u->loop, id, result, flags & IORING_CQE_F_MORE, data);
        lend_again(u, buffer);
        return;
    }
    loop_complete(u->loop, id, result, flags & IORING_CQE_F_MORE, data);
}

static int ring_wait(void *state, uint64_t timeout_ms)
{
    struct ring *u = state;
    struct io_uring_cqe *cqe;
    struct __kernel_timespec timeout = {
        .tv_sec = (long long)(timeout_ms / 1000),
        .tv_nsec = (long long)(timeout_ms % 1000) * 1000000,
    };
    int r;

    /* With completions left over from the last turn the wait would return without asking the kernel
     * for those that it defers (DEFER_TASKRUN), and whoever they belong to would starve. With
     * nothing to wait for it would still set a timer and give the processor away. */
    if (timeout_ms == 0 || io_uring_cq_ready(&u->ring) > 0)
        r = io_uring_submit_and_get_events(&u->ring);
    else
        r = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1,
                                             timeout_ms == UINT64_MAX ? NULL : &timeout, NULL);
    if (r < 0 && r != -ETIME && r != -EINTR && r != -EAGAIN && r != -EBUSY)
        return r;
    return 0;
}

static void ring_reap(void *state)
{
    struct ring *u = state;
    struct io_uring_cqe *cqe;
    /* Only those that are there now: sends that succeed at once complete while they are submitted,
     * so the queue of a busy ring never runs dry. */
    unsigned left = io_uring_cq_ready(&u->ring);

    u->submitted_ns = clock_ns();
    while (left-- > 0 && !u->loop->stopped && io_uring_peek_cqe(&u->ring, &cqe) == 0) {
        dispatch(u, cqe);
        if (io_uring_sq_ready(&u->ring) > 0 && clock_ns() - u->submitted_ns > SUBMIT_AFTER_NS) {
            io_uring_submit(&u->ring);
            u->submitted_ns = clock_ns();
        }
    }
}

/* The kernel takes one lent buffer after the other, so all have been used once a few hundred
 * receives are over. With DEFER_TASKRUN it writes into one only while it is asked for completions;
 * so when none has been left over, nothing is in any of them. */
static void ring_rest(void *state)
{
    struct ring *u = state;

    if (u->lent_memory && u->ring.flags & IORING_SETUP_DEFER_TASKRUN &&
        io_uring_cq_ready(&u->ring) == 0 && !io_uring_cq_has_overflow(&u->ring))
        (void)madvise(u->lent_memory, whole_pages(u->lent_count * u->lent_bytes), MADV_DONTNEED);
}

const struct io_backend io_uring_backend = {
    .create = ring_create,
    .destroy = ring_destroy,
    .start = ring_start,
    .cancel = ring_cancel,
    .close = ring_close,
    .wait = ring_wait,
    .reap = ring_reap,
    .rest = ring_rest,
    .sends_at_once = true,
};
