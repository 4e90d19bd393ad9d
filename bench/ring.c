/* What each way of using a ring is worth for small answers: a server that does nothing but receive
 * a small request and send a small answer, once with each of them, and its CPU time for it.
 *
 *     ring [ROUNDS [CONNECTIONS [MILLISECONDS]]]        (bench/ring compiles and runs it)
 *
 * The server is a process with one thread; the client is another one, with epoll, that asks on all
 * connections as fast as it gets answers. Ways take turns in each round; medians are printed, and
 * the median of the ratio to the first way in the same round.
 *
 * And what it costs to set an option of a socket by a system call and by the ring, alone and with
 * what is to be sent next.
 */
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    ROUNDS_MAX = 99,
    REQUEST_BYTES = 200,
    ANSWER_BYTES = 1300, /* 1 KiB, a head, and what seals it */
    BUFFERS = 1024,
    BUFFER_BYTES = 2048,
};

enum receiving { POLL_FIRST, AT_ONCE, MULTISHOT };
enum sending { SEND, SEND_ZC, SEND_ZC_FIXED };

struct way {
    const char *name;
    bool epoll;
    enum receiving receiving;
    enum sending sending;
    bool fixed_files;
    unsigned entries, flags;
};

#define DEFER (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)

static const struct way ways[] = {
    {"as the server does it: receive when readable, lent buffers", .entries = 512, .flags = DEFER},
    {"receive tried at once", .receiving = AT_ONCE, .entries = 512, .flags = DEFER},
    {"multishot receive", .receiving = MULTISHOT, .entries = 512, .flags = DEFER},
    {"registered descriptors", .fixed_files = true, .entries = 512, .flags = DEFER},
    {"multishot receive, registered descriptors", .receiving = MULTISHOT, .fixed_files = true,
     .entries = 512, .flags = DEFER},
    {"SEND_ZC", .sending = SEND_ZC, .entries = 512, .flags = DEFER},
    {"SEND_ZC from a registered buffer", .sending = SEND_ZC_FIXED, .entries = 512, .flags = DEFER},
    {"64 entries", .entries = 64, .flags = DEFER},
    {"4096 entries", .entries = 4096, .flags = DEFER},
    {"COOP_TASKRUN instead of DEFER_TASKRUN", .entries = 512, .flags = IORING_SETUP_COOP_TASKRUN},
    {"neither", .entries = 512},
    {"epoll", .epoll = true},
};

enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "ring: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- the server --- */

static char answer[ANSWER_BYTES];

struct server {
    const struct way *way;
    int *fds;
    unsigned count;
    struct io_uring ring;
    struct io_uring_buf_ring *lent;
    char *memory;
};

enum operation { RECEIVED, SENT };

static uint64_t tag(enum operation operation, unsigned conn)
{
    return (uint64_t)conn << 8 | operation;
}

static struct io_uring_sqe *next_sqe(struct server *s, enum operation operation, unsigned conn)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

    if (!sqe) {
        io_uring_submit(&s->ring);
        sqe = io_uring_get_sqe(&s->ring);
    }
    check(sqe != NULL, "the queue stays full");
    sqe->user_data = tag(operation, conn);
    return sqe;
}

/* After io_uring_prep_*(), which clears both. */
static void complete_sqe(struct server *s, struct io_uring_sqe *sqe, enum operation operation,
                         unsigned conn)
{
    sqe->user_data = tag(operation, conn);
    if (s->way->fixed_files)
        sqe->flags |= IOSQE_FIXED_FILE;
}

static int descriptor(const struct server *s, unsigned conn)
{
    return s->way->fixed_files ? (int)conn : s->fds[conn];
}

static void receive(struct server *s, unsigned conn)
{
    struct io_uring_sqe *sqe = next_sqe(s, RECEIVED, conn);

    if (s->way->receiving == MULTISHOT)
        io_uring_prep_recv_multishot(sqe, descriptor(s, conn), NULL, 0, 0);
    else
        io_uring_prep_recv(sqe, descriptor(s, conn), NULL, 0, 0);
    complete_sqe(s, sqe, RECEIVED, conn);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    if (s->way->receiving != AT_ONCE)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

static void send_answer(struct server *s, unsigned conn)
{
    struct io_uring_sqe *sqe = next_sqe(s, SENT, conn);

    if (s->way->sending == SEND)
        io_uring_prep_send(sqe, descriptor(s, conn), answer, sizeof(answer), MSG_NOSIGNAL);
    else if (s->way->sending == SEND_ZC)
        io_uring_prep_send_zc(sqe, descriptor(s, conn), answer, sizeof(answer), MSG_NOSIGNAL, 0);
    else
        io_uring_prep_send_zc_fixed(sqe, descriptor(s, conn), answer, sizeof(answer), MSG_NOSIGNAL,
                                    0, 0);
    complete_sqe(s, sqe, SENT, conn);
}

static void give_back(struct server *s, unsigned buffer)
{
    io_uring_buf_ring_add(s->lent, s->memory + (size_t)buffer * BUFFER_BYTES, BUFFER_BYTES,
                          (unsigned short)buffer, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(s->lent, 1);
}

static void set_up(struct server *s)
{
    struct io_uring_buf_reg registration = {.ring_entries = BUFFERS};
    struct iovec fixed = {answer, sizeof(answer)};
    struct io_uring_params params = {
        .flags = s->way->flags | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL, .cq_entries = 8192};

    errno = -io_uring_queue_init_params(s->way->entries, &s->ring, &params);
    check(errno == 0, "io_uring");
    io_uring_register_ring_fd(&s->ring);
    s->lent = aligned_alloc(4096, BUFFERS * sizeof(struct io_uring_buf));
    s->memory = malloc((size_t)BUFFERS * BUFFER_BYTES);
    check(s->lent && s->memory, "memory");
    io_uring_buf_ring_init(s->lent);
    registration.ring_addr = (uintptr_t)s->lent;
    errno = -io_uring_register_buf_ring(&s->ring, &registration, 0);
    check(errno == 0, "lent buffers");
    for (unsigned i = 0; i < BUFFERS; i++)
        give_back(s, i);
    if (s->way->fixed_files)
        check(io_uring_register_files(&s->ring, s->fds, s->count) == 0, "registered descriptors");
    if (s->way->sending == SEND_ZC_FIXED)
        check(io_uring_register_buffers(&s->ring, &fixed, 1) == 0, "registered buffers");
}

/* Returns whether it goes on. */
static bool take(struct server *s, const struct io_uring_cqe *cqe)
{
    unsigned conn = (unsigned)(cqe->user_data >> 8);

    if (cqe->flags & IORING_CQE_F_NOTIF)
        return true;
    if ((cqe->user_data & 255) == SENT) {
        check(cqe->res == (int)sizeof(answer), "send");
        if (s->way->receiving != MULTISHOT)
            receive(s, conn);
        return true;
    }
    if (cqe->flags & IORING_CQE_F_BUFFER)
        give_back(s, cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    if (cqe->res == -ENOBUFS)
        receive(s, conn);
    if (cqe->res <= 0)
        return cqe->res == -ENOBUFS;
    if (s->way->receiving == MULTISHOT && !(cqe->flags & IORING_CQE_F_MORE))
        receive(s, conn);
    send_answer(s, conn);
    return true;
}

static void serve_by_ring(struct server *s)
{
    struct io_uring_cqe *cqe;
    unsigned head;

    set_up(s);
    for (unsigned i = 0; i < s->count; i++)
        receive(s, i);
    for (bool going = true; going;) {
        unsigned seen = 0;
        io_uring_submit_and_wait(&s->ring, 1);
        io_uring_for_each_cqe(&s->ring, head, cqe)
        {
            going &= take(s, cqe);
            seen++;
        }
        io_uring_cq_advance(&s->ring, seen);
    }
}

static void serve_by_epoll(struct server *s)
{
    struct epoll_event events[256];
    char request[BUFFER_BYTES];
    int epoll = epoll_create1(0);

    for (unsigned i = 0; i < s->count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = s->fds[i]};
        check(epoll_ctl(epoll, EPOLL_CTL_ADD, s->fds[i], &event) == 0, "epoll_ctl");
    }
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            if (recv(events[i].data.fd, request, sizeof(request), MSG_DONTWAIT) <= 0)
                return;
            check(send(events[i].data.fd, answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer),
                  "send");
        }
    }
}

/* --- the client --- */

static volatile sig_atomic_t time_is_up;

static void stop(int number)
{
    (void)number;
    time_is_up = 1;
}

/* Returns how many answers came. */
static uint64_t ask(const int *fds, unsigned count, unsigned milliseconds)
{
    struct itimerspec after = {.it_value = {milliseconds / 1000, milliseconds % 1000 * 1000000L}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    static char request[REQUEST_BYTES], received[ANSWER_BYTES];
    struct epoll_event events[256];
    int epoll = epoll_create1(0);
    uint64_t answers = 0;
    timer_t timer;

    signal(SIGALRM, stop);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &after, NULL);
    for (unsigned i = 0; i < count; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fds[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &e);
        check(write(fds[i], request, sizeof(request)) == sizeof(request), "write");
    }
    while (!time_is_up) {
        int n = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < n && !time_is_up; i++) {
            ssize_t r = recv(events[i].data.fd, received, sizeof(received), MSG_WAITALL);
            if (r != sizeof(received) || write(events[i].data.fd, request, sizeof(request)) < 0) {
                time_is_up = 1;
                break;
            }
            answers++;
        }
    }
    timer_delete(timer);
    close(epoll);
    return answers;
}

/* --- measuring --- */

static void connect_pairs(int *ours, int *theirs, unsigned count)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    check(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
              listen(listener, 1024) == 0 &&
              getsockname(listener, (struct sockaddr *)&address, &length) == 0,
          "listen");
    for (unsigned i = 0; i < count; i++) {
        theirs[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(connect(theirs[i], (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
        ours[i] = accept(listener, NULL, NULL);
        setsockopt(ours[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(theirs[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    close(listener);
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* Microseconds of CPU for each answer; 0: this kernel cannot. */
static double measure(const struct way *way, unsigned count, unsigned milliseconds)
{
    int ours[CONNECTIONS_MAX], theirs[CONNECTIONS_MAX];
    struct rusage usage;
    int status;

    connect_pairs(ours, theirs, count);
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        struct server server = {.way = way, .fds = ours, .count = count};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close_all(theirs, count);
        if (way->epoll)
            serve_by_epoll(&server);
        else
            serve_by_ring(&server);
        _exit(0);
    }
    close_all(ours, count);
    time_is_up = 0;
    uint64_t answers = ask(theirs, count, milliseconds);
    close_all(theirs, count);
    wait4(pid, &status, 0, &usage);
    double us = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return status == 0 && answers > 0 ? us / (double)answers : 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), by_size);
    return values[count / 2];
}

/* --- options of sockets --- */

enum { OPTION_CALLS = 50 * 1000, URING_SETSOCKOPT = 3 /* SOCKET_URING_OP_SETSOCKOPT: Linux 6.7 */ };

static const struct setting {
    const char *name;
    bool call, command, send;
} settings[] = {
    {"setsockopt(2)", .call = true},
    {"URING_CMD", .command = true},
    {"a send", .send = true},
    {"setsockopt(2), then a send", .call = true, .send = true},
    {"URING_CMD, linked with a send", .command = true, .send = true},
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static const int one = 1;

static void prepare_command(struct io_uring_sqe *sqe, int fd)
{
    const uint32_t option[] = {IPPROTO_TCP, TCP_NODELAY};

    io_uring_prep_nop(sqe);
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->fd = fd;
    sqe->off = URING_SETSOCKOPT;
    memcpy(&sqe->addr, option, sizeof(option));
    sqe->file_index = sizeof(one); /* where newer headers have optlen and optval */
    sqe->addr3 = (uintptr_t)&one;
}

/* Whether all of them succeeded. */
static bool submit_all(struct io_uring *ring, unsigned count)
{
    struct io_uring_cqe *cqe;
    bool good = true;

    io_uring_submit_and_wait(ring, count);
    for (unsigned i = 0; i < count; i++) {
        check(io_uring_wait_cqe(ring, &cqe) == 0, "a completion");
        good &= cqe->res >= 0;
        io_uring_cqe_seen(ring, cqe);
    }
    return good;
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of CPU for each, the receiver's side included; 0: this kernel cannot. */
static double measure_setting(const struct setting *s)
{
    int ours, theirs;
    struct io_uring ring;
    bool good = true;

    connect_pairs(&ours, &theirs, 1);
    check(io_uring_queue_init(64, &ring, DEFER) == 0, "io_uring");
    io_uring_register_ring_fd(&ring);
    double begun = cpu_ns();
    for (int i = 0; i < OPTION_CALLS && good; i++) {
        unsigned queued = 0;
        if (s->call)
            check(setsockopt(ours, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0, "setsockopt");
        if (s->command) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
            prepare_command(sqe, ours);
            sqe->flags |= s->send ? IOSQE_IO_LINK : 0;
            queued++;
        }
        if (s->send) {
            io_uring_prep_send(io_uring_get_sqe(&ring), ours, answer, sizeof(answer), MSG_NOSIGNAL);
            queued++;
        }
        good = queued == 0 || submit_all(&ring, queued);
        if (s->send && good)
            check(recv(theirs, answer, sizeof(answer), MSG_TRUNC | MSG_WAITALL) > 0, "recv");
    }
    double ns = (cpu_ns() - begun) / OPTION_CALLS;
    io_uring_queue_exit(&ring);
    close(ours);
    close(theirs);
    return good ? ns : 0;
}

static void measure_settings(unsigned rounds)
{
    static double cost[SETTINGS][ROUNDS_MAX];

    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < SETTINGS; i++)
            cost[i][round] = measure_setting(&settings[i]);
    printf("\n| an option of a socket, %u rounds | CPU ns | least | most |\n|---|---|---|---|\n",
           rounds);
    for (unsigned i = 0; i < SETTINGS; i++) {
        double middle = median(cost[i], rounds);
        printf("| %s | %.0f | %.0f | %.0f |\n", settings[i].name, middle, cost[i][0],
               cost[i][rounds - 1]);
    }
}

int main(int argc, char **argv)
{
    static double cost[WAYS][ROUNDS_MAX], ratio[WAYS][ROUNDS_MAX];
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 32;
    unsigned milliseconds = argc > 3 ? (unsigned)atoi(argv[3]) : 1000;

    if (rounds < 1 || rounds > ROUNDS_MAX || count < 1 || count > CONNECTIONS_MAX ||
        milliseconds < 1) {
        fprintf(stderr, "usage: ring [ROUNDS [CONNECTIONS [MILLISECONDS]]]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < WAYS; i++) {
            cost[i][round] = measure(&ways[i], count, milliseconds);
            ratio[i][round] = cost[i][round] / cost[0][round];
        }
    printf("| %u connections, %u rounds | CPU us | ratio | least | most |\n|---|---|---|---|---|\n",
           count, rounds);
    for (unsigned i = 0; i < WAYS; i++) {
        double middle = median(ratio[i], rounds);
        printf("| %s | %.2f | %.2f | %.2f | %.2f |\n", ways[i].name, median(cost[i], rounds),
               middle, ratio[i][0], ratio[i][rounds - 1]);
    }
    measure_settings(rounds);
    return 0;
}
