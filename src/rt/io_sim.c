#include "rt/io_sim.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OPERATIONS_MAX = 512, /* in flight at once */
    HOLD_TURNS = 4,       /* for what was put off so that something else comes first */
    DELAY_TURNS = 4,      /* most that a shuffled operation waits, before and after it is tried */
    SHORT_ONE_IN = 3,     /* so many transfers are shortened */
    INTERRUPTED_ONE_IN = 2,
    RACE_ONE_IN = 4, /* so many cancellations come when the operation has just succeeded */
    IOVECS_MAX = 64,
    FIRST_MS = 1000 * 1000, /* no deadline lies before the beginning of time */
};

enum stage { STAGE_FREE, STAGE_PENDING, STAGE_DONE };

struct operation {
    uint64_t id;
    struct io_request request;
    enum stage stage;
    unsigned delay; /* turns until it is tried, or reported */
    bool decided;   /* the test has been asked about it */
    bool cancelled;
    int result;
    char *lent; /* received bytes of IO_RECV_LENT */
};

/* One simulated kernel, for one loop at a time. */
static struct sim {
    struct io_sim_options o;
    struct loop *loop;
    uint64_t random;
    uint64_t now_ms;
    size_t lent_bytes;
    bool minds_low_water;
    unsigned help_delay;
    bool help_decided;
    uint32_t used; /* operations[] from here on are free */
    struct operation operations[OPERATIONS_MAX];
} sim;

uint64_t io_sim_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    return (unsigned)(io_sim_random(&sim.random) % n);
}

void io_sim_configure(const struct io_sim_options *options)
{
    assert(!sim.loop);
    sim = (struct sim){.o = *options, .random = options->seed, .now_ms = FIRST_MS};
}

uint64_t io_sim_now_ms(void)
{
    return sim.now_ms;
}

void io_sim_pass(uint64_t duration_ms)
{
    sim.now_ms += duration_ms;
}

void io_sim_mind_low_water(void)
{
    sim.minds_low_water = true;
}

unsigned io_sim_in_flight(int fd)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < sim.used; i++)
        count += sim.operations[i].stage != STAGE_FREE && sim.operations[i].request.fd == fd;
    return count;
}

/* --- set-up --- */

static int sim_create(struct loop *loop, const struct loop_options *options, void **ret_state)
{
    assert(!sim.loop);
    sim.loop = loop;
    sim.lent_bytes = options->recv_buffer_bytes;
    *ret_state = &sim;
    return 0;
}

static void sim_destroy(void *state)
{
    (void)state;
    for (uint32_t i = 0; i < sim.used; i++)
        free(sim.operations[i].lent);
    memset(sim.operations, 0, sim.used * sizeof(sim.operations[0]));
    sim.used = 0;
    sim.loop = NULL;
}

/* --- doing it --- */

static size_t shortened(size_t len)
{
    if (!sim.o.shuffle || len < 2 || below(SHORT_ONE_IN) != 0)
        return len;
    return 1 + io_sim_random(&sim.random) % (len - 1);
}

static ssize_t receive_lent(struct operation *op)
{
    free(op->lent);
    /* Memory of its own for each, so that whoever keeps it is found out. */
    op->lent = malloc(sim.lent_bytes);
    if (!op->lent)
        return -ENOBUFS;
    ssize_t r =
        recvfrom(op->request.fd, op->lent, shortened(sim.lent_bytes), MSG_DONTWAIT, NULL, NULL);
    return r < 0 ? -errno : r;
}

static ssize_t read_some(const struct io_request *q)
{
    struct iovec iov[IOVECS_MAX];
    size_t total = 0;
    int count = 0;

    assert(q->len <= IOVECS_MAX);
    memcpy(iov, q->data, q->len * sizeof(iov[0]));
    for (size_t i = 0; i < q->len; i++)
        total += iov[i].iov_len;
    for (size_t left = shortened(total); left > 0; count++) {
        if (iov[count].iov_len > left)
            iov[count].iov_len = left;
        left -= iov[count].iov_len;
    }
    ssize_t r = preadv(q->fd, iov, count, (off_t)q->offset);
    return r < 0 ? -errno : r;
}

static ssize_t poll_now(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int r = poll(&p, 1, 0);

    return r < 0 ? -errno : r == 0 ? -EAGAIN : p.revents & POLLNVAL ? -EBADF : p.revents;
}

/* What the kernel does for TCP alone. */
static bool reaches_low_water(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    int low, there;
    socklen_t size = sizeof(low);

    if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, &size) < 0 || ioctl(fd, FIONREAD, &there) < 0)
        return true;
    return there >= low || poll(&end, 1, 0) != 0;
}

/* The system call: its result, or -EAGAIN where the operation has to wait. */
static ssize_t perform(struct operation *op)
{
    const struct io_request *q = &op->request;
    ssize_t r = 0;

    switch (q->kind) {
    case IO_RECV:
        if (sim.minds_low_water && q->flags & IO_LOW_WATER && !reaches_low_water(q->fd))
            return -EAGAIN;
        loop_new_epoch(sim.loop);
        r = recvfrom(q->fd, (void *)(uintptr_t)q->data, shortened(q->len), MSG_DONTWAIT, NULL,
                     NULL);
        break;
    case IO_RECV_LENT:
        loop_new_epoch(sim.loop);
        return receive_lent(op);
    case IO_SEND:
        r = sendto(q->fd, q->data, shortened(q->len), q->flags | MSG_DONTWAIT, NULL, 0);
        break;
    case IO_READV:
        return read_some(q);
    case IO_WRITE:
        r = q->offset == (uint64_t)-1 ? write(q->fd, q->data, shortened(q->len))
                                      : pwrite(q->fd, q->data, shortened(q->len), (off_t)q->offset);
        break;
    case IO_POLL:
        return poll_now(q->fd, (short)q->flags);
    case IO_POLL_MULTI:
        return poll_now(q->fd, POLLIN);
    case IO_ACCEPT_MULTI:
        r = poll_now(q->fd, POLLIN);
        if (r < 0)
            return r;
        r = accept4(q->fd, NULL, NULL, SOCK_CLOEXEC);
        break;
    case IO_CANCEL:
        break;
    }
    return r < 0 ? -errno : r;
}

/* --- the turns of an operation --- */

static unsigned some_delay(void)
{
    return sim.o.shuffle ? below(DELAY_TURNS + 1) : 0;
}

/* What is said of an operation that had to wait and is cancelled: where the kernel's workers wait
 * for a file, that they were interrupted. */
static int cancelled_result(const struct operation *op)
{
    bool is_file = op->request.kind == IO_READV || op->request.kind == IO_WRITE;

    return sim.o.shuffle && is_file && below(INTERRUPTED_ONE_IN) == 0 ? -EINTR : -ECANCELED;
}

static void finish(struct operation *op, ssize_t result)
{
    op->result = (int)result;
    op->stage = STAGE_DONE;
    op->delay = some_delay();
}

/* The first time, the test is asked. Returns false where that is the end of it for this turn. */
static bool ask(struct operation *op)
{
    int result = 0;

    op->decided = true;
    switch (sim.o.decide(sim.o.context, IO_SIM_PERFORM, op->request.kind, &result)) {
    case IO_SIM_FAIL:
        finish(op, result);
        return false;
    case IO_SIM_HOLD:
        op->delay = HOLD_TURNS;
        return false;
    case IO_SIM_GO_ON:
        break;
    }
    return true;
}

/* Returns whether anything has moved, or will without time passing. */
static bool advance(struct operation *op)
{
    if (op->stage == STAGE_FREE)
        return false;
    if (op->delay > 0) {
        op->delay--;
        return true;
    }
    if (op->stage == STAGE_DONE)
        return true;
    if (op->cancelled) {
        finish(op, cancelled_result(op));
        return true;
    }
    if (!op->decided && !ask(op))
        return true;
    ssize_t r = perform(op);
    if (r == -EAGAIN)
        return false;
    finish(op, r);
    return true;
}

static int sim_start(void *state, uint64_t id, const struct io_request *request)
{
    uint32_t index = (uint32_t)id;
    int result = 0;

    (void)state;
    if (request->fd < 0)
        return -EBADF;
    if (sim.o.decide(sim.o.context, IO_SIM_START, request->kind, &result) == IO_SIM_FAIL)
        return result;
    if (index >= OPERATIONS_MAX)
        return -ENOMEM;
    struct operation *op = &sim.operations[index];
    assert(op->stage == STAGE_FREE);
    *op = (struct operation){
        .id = id, .request = *request, .stage = STAGE_PENDING, .delay = some_delay()};
    if (index >= sim.used)
        sim.used = index + 1;
    return 0;
}

static void sim_cancel(void *state, uint64_t id)
{
    uint32_t index = (uint32_t)id;

    (void)state;
    if (index >= sim.used)
        return;
    struct operation *op = &sim.operations[index];
    if (op->id != id || op->stage == STAGE_FREE || op->cancelled)
        return;
    op->cancelled = true;
    if (op->stage == STAGE_DONE) /* too late; but what goes on must end */
        return;
    ssize_t r = -EAGAIN;
    if (sim.o.shuffle && op->decided && below(RACE_ONE_IN) == 0)
        r = perform(op);
    finish(op, r == -EAGAIN ? cancelled_result(op) : r);
}

static void sim_close(void *state, int fd)
{
    (void)state;
    assert(io_sim_in_flight(fd) == 0);
    close(fd);
}

/* --- a turn --- */

static bool help_lane(enum offload_lane lane)
{
    int result;

    if (!offload_is_waiting(sim.o.pool, lane))
        return false;
    if (sim.help_delay > 0) {
        sim.help_delay--;
        return true;
    }
    if (!sim.help_decided &&
        sim.o.decide(sim.o.context, IO_SIM_HELP, (enum io_kind)0, &result) == IO_SIM_HOLD) {
        sim.help_decided = true;
        sim.help_delay = HOLD_TURNS;
        return true;
    }
    sim.help_decided = false;
    sim.help_delay = some_delay();
    return offload_run_one(sim.o.pool, lane);
}

static bool help(void)
{
    bool helped = false;

    for (unsigned lane = 0; sim.o.pool && lane < OFFLOAD_LANES && !helped; lane++)
        helped = help_lane((enum offload_lane)lane);
    return helped;
}

/* Time passes only when nothing else can happen. */
static int pass_time(uint64_t timeout_ms, uint64_t outside_ms)
{
    uint64_t outside = outside_ms == UINT64_MAX ? UINT64_MAX : outside_ms - sim.now_ms;
    uint64_t passes = timeout_ms < outside ? timeout_ms : outside;

    if (passes == UINT64_MAX)
        return -EDEADLK;
    sim.now_ms += passes;
    return 0;
}

static int sim_wait(void *state, uint64_t timeout_ms)
{
    (void)state;
    uint64_t outside_ms = sim.o.outside ? sim.o.outside(sim.o.context) : UINT64_MAX;
    bool moved = outside_ms <= sim.now_ms;

    moved |= help();
    for (uint32_t i = 0; i < sim.used; i++)
        moved |= advance(&sim.operations[i]);
    return moved ? 0 : pass_time(timeout_ms, outside_ms);
}

static void report(struct operation *op)
{
    uint64_t id = op->id;
    bool is_multi = op->request.kind == IO_POLL_MULTI || op->request.kind == IO_ACCEPT_MULTI;
    struct span data = {NULL, 0};
    char *lent = op->lent;

    if (lent && op->result > 0)
        data = span_of(lent, (size_t)op->result);
    op->lent = NULL;
    bool more = is_multi && op->result >= 0;
    if (more) {
        op->stage = STAGE_PENDING;
        op->delay = some_delay();
    } else {
        op->stage = STAGE_FREE; /* whoever hears of it may start the next one in its place */
    }
    loop_complete(sim.loop, id, op->result, more, data);
    free(lent);
}

static void sim_reap(void *state)
{
    uint64_t done[OPERATIONS_MAX];
    unsigned count = 0;

    (void)state;
    for (uint32_t i = 0; i < sim.used; i++)
        if (sim.operations[i].stage == STAGE_DONE && sim.operations[i].delay == 0)
            done[count++] = sim.operations[i].id;
    for (unsigned i = count; sim.o.shuffle && i > 1; i--) {
        unsigned other = below(i);
        uint64_t id = done[i - 1];
        done[i - 1] = done[other];
        done[other] = id;
    }
    for (unsigned i = 0; i < count && !sim.loop->stopped; i++) {
        struct operation *op = &sim.operations[(uint32_t)done[i]];
        if (op->id == done[i] && op->stage == STAGE_DONE)
            report(op);
    }
}

const struct io_backend io_sim_backend = {
    .create = sim_create,
    .destroy = sim_destroy,
    .start = sim_start,
    .cancel = sim_cancel,
    .close = sim_close,
    .wait = sim_wait,
    .reap = sim_reap,
};
