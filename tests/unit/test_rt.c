/* The runtime: tasks, their cancellation wherever they wait, stale completions, stacks. Everything
 * runs on each backend that this machine has. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/kernel.h"
#include "rt/backend.h"
#include "rt/io.h"
#include "rt/offload.h"

struct fixture {
    struct loop *loop;
    struct offload_pool *pool;
    int sockets[2];
};

static enum loop_io io; /* the backend of this round */

static int set_up(void **state)
{
    static struct fixture f;
    struct loop_options options = {.io = io, .recv_buffers = 4, .recv_buffer_bytes = 64};

    assert_int_equal(offload_pool_create((const unsigned[OFFLOAD_LANES]){2, 1, 1}, &f.pool), 0);
    options.offload = f.pool;
    assert_int_equal(loop_create(&options, &f.loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f.sockets), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    close(f->sockets[0]);
    close(f->sockets[1]);
    offload_pool_destroy(f->pool);
    loop_destroy(f->loop);
    return 0;
}

/* --- cancellation --- */

struct wait_case {
    const char *name;
    int (*wait)(struct task *t, struct fixture *f);
};

struct waiter {
    struct fixture *f;
    const struct wait_case *wait_case;
    struct task *task;
    int result;
    bool cleaned_up;
};

static int wait_recv(struct task *t, struct fixture *f)
{
    char byte;
    return (int)io_recv(t, f->sockets[0], &byte, 1);
}

static int wait_recv_low_water(struct task *t, struct fixture *f)
{
    char byte;

    return (int)io_recv_low_water(t, f->sockets[0], &byte, 1);
}

static int wait_send(struct task *t, struct fixture *f)
{
    static const char zeros[256 * 1024];
    int r;

    /* Nobody reads: sooner or later the socket is full. */
    while ((r = (int)io_send(t, f->sockets[0], zeros, sizeof(zeros), 0)) > 0)
        continue;
    return r;
}

static int wait_poll(struct task *t, struct fixture *f)
{
    return io_poll(t, f->sockets[0], POLLIN);
}

static int wait_sleep(struct task *t, struct fixture *f)
{
    (void)f;
    return io_sleep(t, 3600 * 1000);
}

static int sleep_on_helper(void *arg)
{
    usleep(50 * 1000);
    *(bool *)arg = true;
    return 0;
}

static int sleep_alone(void *arg)
{
    usleep(50 * 1000);
    free(arg);
    return 0;
}

/* Work of which nobody wants to hear may be going on when its loop is long gone, as at the end of
 * home. */
static void test_work_without_a_listener_outlives_its_loop(void **state)
{
    struct loop_options options = {.io = io};
    struct offload_work *work = malloc(sizeof(*work));
    struct loop *loop;

    (void)state;
    assert_non_null(work);
    assert_int_equal(
        offload_pool_create((const unsigned[OFFLOAD_LANES]){0, 1, 1}, &options.offload), 0);
    assert_int_equal(loop_create(&options, &loop), 0);
    *work = (struct offload_work){OFFLOAD_SLOW, .fn = sleep_alone, .arg = work};
    offload_start(loop, work);
    loop_destroy(loop);
    offload_pool_destroy(options.offload); /* waits for it; it has freed itself */
}

static int wait_offload(struct task *t, struct fixture *f)
{
    bool ran = false;

    (void)f;
    assert_int_equal(offload(t, OFFLOAD_FAST, sleep_on_helper, &ran), 0);
    assert_true(ran); /* its buffer was alive until the helper was done */
    return offload(t, OFFLOAD_FAST, sleep_on_helper, &ran);
}

static int wait_read_of_a_pipe(struct task *t, struct fixture *f)
{
    int ends[2];
    char byte;
    struct iovec iov = {&byte, 1};

    assert_int_equal(pipe(ends), 0);
    int r = (int)io_readv(t, OFFLOAD_FAST, ends[0], &iov, 1, (uint64_t)-1);
    io_close(f->loop, ends[0]);
    close(ends[1]);
    return r;
}

static int wait_write_to_a_pipe(struct task *t, struct fixture *f)
{
    static const char zeros[256 * 1024];
    int ends[2], r;

    assert_int_equal(pipe(ends), 0); /* in blocking mode */
    while ((r = (int)io_write(t, ends[1], zeros, sizeof(zeros), (uint64_t)-1)) > 0)
        continue;
    close(ends[0]);
    io_close(f->loop, ends[1]);
    return r;
}

static int wait_poll_beside_what_is_ready(struct task *t, struct fixture *f)
{
    assert_int_equal(io_poll(t, f->sockets[0], POLLOUT), POLLOUT);
    return io_poll(t, f->sockets[0], POLLRDHUP);
}

static const struct wait_case wait_cases[] = {
    {"recv", wait_recv},
    {"recv low water", wait_recv_low_water},
    {"send", wait_send},
    {"poll", wait_poll},
    {"sleep", wait_sleep},
    {"offload", wait_offload},
    {"read", wait_read_of_a_pipe},
    {"write", wait_write_to_a_pipe},
    {"poll again", wait_poll_beside_what_is_ready},
};

static void waiter_main(struct task *t, void *arg)
{
    struct waiter *w = arg;

    w->task = t;
    w->result = w->wait_case->wait(t, w->f);
    w->cleaned_up = true;
    loop_stop(w->f->loop);
}

static void cancel_later(struct task *t, void *arg)
{
    struct waiter *w = arg;

    io_sleep(t, 20);
    task_cancel(w->task, -ECANCELED);
}

/* What was sent before does not disturb. */
static void renew_sockets(struct fixture *f)
{
    for (int i = 0; i < 2; i++)
        io_close(f->loop, f->sockets[i]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->sockets), 0);
}

static void test_cancellation_unwinds_wherever_a_task_waits(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(wait_cases) / sizeof(wait_cases[0]); i++) {
        struct waiter w = {.f = f, .wait_case = &wait_cases[i]};
        print_message("  %s\n", wait_cases[i].name);
        renew_sockets(f);
        assert_int_equal(task_spawn(f->loop, waiter_main, &w), 0);
        assert_false(w.cleaned_up);
        assert_int_equal(task_spawn(f->loop, cancel_later, &w), 0);
        f->loop->stopped = false;
        assert_int_equal(loop_run(f->loop), 0);
        assert_true(w.cleaned_up);
        assert_int_equal(w.result, -ECANCELED);
        assert_int_equal(loop_task_count(f->loop), 0);
    }
}

static void deadline_main(struct task *t, void *arg)
{
    struct waiter *w = arg;
    char byte;

    task_set_deadline(t, loop_now_ms(w->f->loop) + 30);
    w->result = (int)io_recv(t, w->f->sockets[0], &byte, 1);
    assert_int_equal(io_send(t, w->f->sockets[0], "x", 1, 0), -ETIMEDOUT); /* until it is revived */
    task_revive(t);
    assert_int_equal(io_send(t, w->f->sockets[0], "x", 1, 0), 1);
    loop_stop(w->f->loop);
}

static void test_a_deadline_cancels_and_a_revived_task_goes_on(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.f = f};

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, deadline_main, &w), 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(w.result, -ETIMEDOUT);
}

static void woken_main(struct task *t, void *arg)
{
    struct waiter *w = arg;
    char byte;

    w->result = (int)io_recv(t, w->f->sockets[0], &byte, 1);
    task_set_deadline(t, loop_now_ms(w->f->loop) + 100);
    w->result = io_sleep(t, 50);
    loop_stop(w->f->loop);
}

static void test_the_clock_is_right_after_a_long_wait(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.f = f};

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, woken_main, &w), 0);
    if (fork() == 0) {
        usleep(300 * 1000);
        _exit(write(f->sockets[1], "x", 1) == 1 ? 0 : 1);
    }
    assert_int_equal(loop_run(f->loop), 0);
    wait(NULL);
    assert_int_equal(w.result, 0); /* not timed out by a clock that stood still meanwhile */
}

/* --- two operations of one task --- */

static void two_reads_main(struct task *t, void *arg)
{
    struct fixture *f = arg;
    char first[4] = "", second[4] = "";
    struct iovec first_iov = {first, 3}, second_iov = {second, 3};
    struct io_op a, b;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    io_readv_start(t, &a, OFFLOAD_FAST, fd, &first_iov, 1, 0);
    io_readv_start(t, &b, OFFLOAD_FAST, fd, &second_iov, 1, 1);
    assert_int_equal(io_await(t, &b), 3);
    assert_int_equal(io_await(t, &a), 3);
    assert_string_equal(first, "\x7f"
                               "EL");
    assert_string_equal(second, "ELF");
    close(fd);
    loop_stop(f->loop);
}

static void test_two_operations_are_awaited_in_any_order(void **state)
{
    struct fixture *f = *state;

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, two_reads_main, f), 0);
    assert_int_equal(loop_run(f->loop), 0);
}

/* --- reading and writing, told apart from waiting --- */

static void file_main(struct task *t, void *arg)
{
    struct fixture *f = arg;
    char text[8] = "";
    struct iovec iov = {text, 5};
    FILE *file = tmpfile();

    assert_non_null(file);
    int fd = fileno(file);
    assert_int_equal(io_write(t, fd, "world", 5, 6), 5);
    assert_int_equal(io_write(t, fd, "hello ", 6, 0), 6);
    assert_int_equal(io_readv(t, OFFLOAD_FAST, fd, &iov, 1, 6), 5);
    assert_string_equal(text, "world");
    assert_int_equal(io_readv(t, OFFLOAD_FAST, fd, &iov, 1, 100), 0);
    fclose(file);
    assert_int_equal(io_readv(t, OFFLOAD_FAST, fd, &iov, 1, 0), -EBADF);
    assert_int_equal(io_recv(t, fd, text, 1), -EBADF);
    assert_int_equal(io_poll(t, -1, POLLIN), -EBADF);
    loop_stop(f->loop);
}

static void test_files_are_read_and_written_where_it_is_said(void **state)
{
    struct fixture *f = *state;

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, file_main, f), 0);
    assert_int_equal(loop_run(f->loop), 0);
}

enum { STREAM_BYTES = 1000 * 1000 };

static void stream_sender(struct task *t, void *arg)
{
    static char zeros[STREAM_BYTES];
    struct fixture *f = arg;

    assert_int_equal(io_send_all(t, f->sockets[0], zeros, sizeof(zeros), 0), 0);
    shutdown(f->sockets[0], SHUT_WR);
}

/* Buffers of odd sizes: reads that fill them and reads that do not, up to the end. */
static void stream_receiver(struct task *t, void *arg)
{
    struct fixture *f = arg;
    char data[7000];
    size_t received = 0;
    ssize_t r;

    while ((r = io_recv(t, f->sockets[1], data, 1 + received % sizeof(data))) > 0)
        received += (size_t)r;
    assert_int_equal(r, 0);
    assert_int_equal(received, STREAM_BYTES);
    assert_int_equal(io_recv(t, f->sockets[1], data, 1), 0);
    loop_stop(f->loop);
}

static void run_stream(struct fixture *f, void (*sender)(struct task *t, void *arg))
{
    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, stream_receiver, f), 0);
    assert_int_equal(task_spawn(f->loop, sender, f), 0);
    assert_int_equal(loop_run(f->loop), 0);
}

static void test_a_stream_passes_whole_and_ends(void **state)
{
    run_stream(*state, stream_sender);
}

/* The receiver has no turn before the socket is full. */
static void short_sender(struct task *t, void *arg)
{
    enum { SHORT = 1000 };
    static const char zeros[SHORT];
    struct fixture *f = arg;
    uint64_t epoch = loop_epoch(f->loop);

    assert_int_equal(io_send(t, f->sockets[0], zeros, SHORT, 0), SHORT);
    assert_int_equal(loop_epoch(f->loop), epoch);
    for (size_t sent = SHORT; sent < STREAM_BYTES; sent += SHORT)
        assert_int_equal(io_send_all(t, f->sockets[0], zeros, SHORT, 0), 0);
    assert_int_not_equal(loop_epoch(f->loop), epoch);
    shutdown(f->sockets[0], SHUT_WR);
}

static void test_what_is_short_is_sent_at_once_where_there_is_room(void **state)
{
    run_stream(*state, short_sender);
}

/* --- the low-water mark --- */

enum { LOW_WATER = 50 * 1000, LITTLE = 20 * 1000, REST = 40 * 1000 };

static void connect_by_tcp(struct fixture *f)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)&here;
    socklen_t size = sizeof(here);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, address, &size), 0);
    for (int i = 0; i < 2; i++)
        io_close(f->loop, f->sockets[i]);
    f->sockets[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(f->sockets[0], address, size), 0);
    f->sockets[1] = accept(listener, NULL, NULL);
    assert_true(f->sockets[1] >= 0);
    close(listener);
}

static void set_low_water(int fd, int bytes)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)), 0);
}

static void low_water_receiver(struct task *t, void *arg)
{
    static char data[2 * LOW_WATER];
    struct fixture *f = arg;
    int fd = f->sockets[1];

    set_low_water(fd, LOW_WATER);
    ssize_t received = io_recv_low_water(t, fd, data, sizeof(data));
    assert_in_range(received, LOW_WATER, LITTLE + REST);
    /* What does not reach it is there all the same, for who asks without it. */
    assert_int_equal(write(f->sockets[0], "some", 4), 4);
    task_set_deadline(t, loop_now_ms(f->loop) + 30);
    assert_int_equal(io_recv_low_water(t, fd, data, sizeof(data)), -ETIMEDOUT);
    task_revive(t);
    task_set_deadline(t, UINT64_MAX);
    set_low_water(fd, 1);
    while (received < LITTLE + REST + 4) {
        ssize_t more = io_recv(t, fd, data, sizeof(data));
        assert_true(more > 0);
        received += more;
    }
    /* And the end of the stream ends the waiting. */
    set_low_water(fd, LOW_WATER);
    assert_int_equal(write(f->sockets[0], "end", 3), 3);
    shutdown(f->sockets[0], SHUT_WR);
    assert_int_equal(io_recv_low_water(t, fd, data, sizeof(data)), 3);
    assert_int_equal(io_recv_low_water(t, fd, data, sizeof(data)), 0);
    loop_stop(f->loop);
}

static void low_water_sender(struct task *t, void *arg)
{
    static const char zeros[REST];
    struct fixture *f = arg;

    assert_int_equal(io_send_all(t, f->sockets[0], zeros, LITTLE, 0), 0);
    io_sleep(t, 30);
    assert_int_equal(io_send_all(t, f->sockets[0], zeros, REST, 0), 0);
}

static void test_a_socket_is_waited_for_until_much_is_there(void **state)
{
    struct fixture *f = *state;

    connect_by_tcp(f);
    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, low_water_receiver, f), 0);
    assert_int_equal(task_spawn(f->loop, low_water_sender, f), 0);
    assert_int_equal(loop_run(f->loop), 0);
}

/* --- several operations on one descriptor --- */

static void reader_main(struct task *t, void *arg)
{
    struct waiter *w = arg;
    char byte;

    w->task = t;
    w->result = (int)io_recv(t, w->f->sockets[0], &byte, 1);
    w->cleaned_up = true;
}

static void several_main(struct task *t, void *arg)
{
    struct waiter *w = arg;
    struct fixture *f = w[0].f;

    /* The cancelled reader takes no byte from the other. */
    task_cancel(w[0].task, -ECANCELED);
    assert_int_equal(io_poll(t, f->sockets[0], POLLOUT), POLLOUT);
    assert_int_equal(write(f->sockets[1], "x", 1), 1);
    while (!w[1].cleaned_up)
        io_sleep(t, 1);
    assert_int_equal(w[0].result, -ECANCELED);
    assert_int_equal(w[1].result, 1);
    /* The watch saw it too, and is still there. */
    loop_stop(f->loop);
}

struct lent_watch {
    struct io_watch watch;
    uintptr_t address;
    bool right;
};

static void lent_event(struct io_watch *w, int result, struct span data)
{
    struct lent_watch *l = container_of(w, struct lent_watch, watch);

    l->address = (uintptr_t)data.data;
    l->right = result == 5 && memcmp(data.data, "hello", 5) == 0;
    loop_stop(w->loop);
}

static bool is_resident(uintptr_t address)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    unsigned char resident;

    assert_int_equal(mincore((void *)(address - address % page), 1, &resident), 0); // NOLINT
    return resident & 1;
}

/* What has been received and nobody has seen yet is not given back. */
static void test_a_resting_loop_gives_lent_buffers_back(void **state)
{
    struct fixture *f = *state;
    struct lent_watch l = {.watch.event = lent_event};

    for (int i = 0; i < 20; i++) {
        f->loop->stopped = l.right = false;
        assert_int_equal(io_watch_recv(f->loop, &l.watch, f->sockets[0]), 0);
        assert_int_equal(write(f->sockets[1], "hello", 5), 5);
        loop_rest(f->loop);
        if (i % 2 && io == LOOP_IO_URING) {
            assert_int_equal(f->loop->backend->wait(f->loop->backend_state, 1000), 0);
            loop_rest(f->loop); /* it is there, and still to be reaped */
        }
        assert_int_equal(loop_run(f->loop), 0);
        assert_true(l.right);
        if (io != LOOP_IO_URING)
            continue;
        assert_true(is_resident(l.address));
        loop_rest(f->loop);
        if (kernel_version() >= 6001000) /* DEFER_TASKRUN */
            assert_false(is_resident(l.address));
    }
}

static void ignore_event(struct io_watch *w, int result, struct span data);

static void test_one_descriptor_has_several_operations(void **state)
{
    struct fixture *f = *state;
    struct waiter w[2] = {{.f = f}, {.f = f}};
    struct io_watch watch = {.event = ignore_event};

    f->loop->stopped = false;
    assert_int_equal(io_watch_readable(f->loop, &watch, f->sockets[0]), 0);
    assert_int_equal(task_spawn(f->loop, reader_main, &w[0]), 0);
    assert_int_equal(task_spawn(f->loop, reader_main, &w[1]), 0);
    assert_int_equal(task_spawn(f->loop, several_main, w), 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_true(io_watch_armed(&watch));
    io_watch_cancel(&watch);
    while (io_watch_armed(&watch)) {
        f->loop->stopped = false;
        assert_int_equal(loop_run(f->loop), 0);
    }
}

/* A descriptor's number comes again: what was known of the old one does not count. */
static void number_main(struct task *t, void *arg)
{
    struct fixture *f = arg;
    char byte;

    for (int i = 0; i < 3; i++) {
        int number = f->sockets[0];
        task_set_deadline(t, loop_now_ms(f->loop) + 20);
        assert_int_equal(io_recv(t, f->sockets[0], &byte, 1), -ETIMEDOUT);
        task_revive(t);
        task_set_deadline(t, UINT64_MAX);
        /* Another process may still have the old one. */
        int copy = dup(f->sockets[0]);
        io_close(f->loop, f->sockets[0]);
        io_close(f->loop, f->sockets[1]);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->sockets), 0);
        assert_int_equal(f->sockets[0], number);
        assert_int_equal(write(f->sockets[1], "x", 1), 1);
        assert_int_equal(io_recv(t, f->sockets[0], &byte, 1), 1);
        close(copy);
    }
    loop_stop(f->loop);
}

static void test_a_number_that_comes_again_is_another_descriptor(void **state)
{
    struct fixture *f = *state;

    f->loop->stopped = false;
    assert_int_equal(task_spawn(f->loop, number_main, f), 0);
    assert_int_equal(loop_run(f->loop), 0);
}

/* --- fairness --- */

struct busy {
    struct fixture *f;
    bool *over;
};

static void busy_main(struct task *t, void *arg)
{
    struct busy *b = arg;
    char bytes[512] = "";

    /* Operations that never wait. */
    while (!*b->over) {
        assert_int_equal(io_send(t, b->f->sockets[0], bytes, sizeof(bytes), 0), sizeof(bytes));
        assert_int_equal(io_recv(t, b->f->sockets[1], bytes, sizeof(bytes)), sizeof(bytes));
    }
}

static void modest_main(struct task *t, void *arg)
{
    struct busy *b = arg;
    int ends[2];
    char byte = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(write(ends[1], &byte, 1), 1);
        assert_int_equal(io_recv(t, ends[0], &byte, 1), 1);
        assert_int_equal(io_sleep(t, 1), 0);
    }
    *b->over = true;
    io_close(b->f->loop, ends[0]);
    close(ends[1]);
}

static void test_who_never_waits_does_not_starve_the_others(void **state)
{
    struct fixture *f = *state;
    bool over = false;
    struct busy b = {f, &over};

    assert_int_equal(task_spawn(f->loop, busy_main, &b), 0);
    assert_int_equal(task_spawn(f->loop, modest_main, &b), 0);
    assert_int_equal(loop_run_out(f->loop), 0);
    assert_true(over);
}

/* --- watches --- */

struct counting_watch {
    struct io_watch watch;
    char data[64];
    int last, events;
};

static void count_event(struct io_watch *w, int result, struct span data)
{
    struct counting_watch *c = container_of(w, struct counting_watch, watch);

    c->last = result;
    c->events++;
    if (data.len > 0)
        memcpy(c->data, data.data, data.len);
    loop_stop(w->loop);
}

static void test_a_watch_lends_a_buffer_and_can_be_armed_again(void **state)
{
    struct fixture *f = *state;
    struct counting_watch c = {.watch.event = count_event};

    /* More rounds than there are buffers: each must have come back. */
    for (int i = 0; i < 20; i++) {
        f->loop->stopped = false;
        assert_int_equal(io_watch_recv(f->loop, &c.watch, f->sockets[0]), 0);
        assert_int_equal(write(f->sockets[1], "hello", 5), 5);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(c.last, 5);
        assert_memory_equal(c.data, "hello", 5);
        assert_false(io_watch_armed(&c.watch));
    }
}

static void ignore_event(struct io_watch *w, int result, struct span data)
{
    (void)data;
    if (result == -ECANCELED)
        loop_stop(w->loop);
}

static void test_a_watch_hears_the_end_that_came_with_the_last_bytes(void **state)
{
    struct fixture *f = *state;
    struct counting_watch c = {.watch.event = count_event};

    assert_int_equal(write(f->sockets[1], "bye", 3), 3);
    shutdown(f->sockets[1], SHUT_WR);
    for (int expected = 3; expected >= 0; expected -= 3) {
        f->loop->stopped = false;
        assert_int_equal(io_watch_recv(f->loop, &c.watch, f->sockets[0]), 0);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(c.last, expected);
    }
}

/* --- accepting --- */

static int listen_somewhere(struct sockaddr_in *ret_address)
{
    socklen_t length = sizeof(*ret_address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* in blocking mode */

    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, length), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &length), 0);
    return fd;
}

static int connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

/* No more descriptors than there are now, until it is called with the returned limit. */
static rlim_t set_descriptor_limit(rlim_t most)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static int next_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

static void accept_event(struct io_watch *w, int result, struct span data)
{
    struct counting_watch *c = container_of(w, struct counting_watch, watch);

    (void)data;
    c->last = result;
    c->events++;
    if (result >= 0)
        close(result);
    /* From within: the events that are on their way already still come, then the end. */
    if (c->events == 150)
        io_watch_cancel(w);
    if (!io_watch_armed(w))
        loop_stop(w->loop);
}

static int turn_once(struct loop *loop)
{
    int r = loop->backend->wait(loop->backend_state, 100);

    loop->backend->reap(loop->backend_state);
    return r;
}

static void test_accepting_goes_on_until_it_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct counting_watch c = {.watch.event = accept_event};
    struct sockaddr_in address;
    int clients[150], listener = listen_somewhere(&address);

    f->loop->stopped = false;
    assert_int_equal(io_watch_accept(f->loop, &c.watch, listener), 0);
    for (int i = 0; i < 100; i++) /* as many as the queue of a listener holds */
        clients[i] = connect_to(&address);
    while (c.events < 100)
        assert_int_equal(turn_once(f->loop), 0);
    for (int i = 100; i < 150; i++)
        clients[i] = connect_to(&address);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(c.last, -ECANCELED);
    assert_int_equal(c.events, 151);
    for (int i = 0; i < 150; i++)
        close(clients[i]);
    io_close(f->loop, listener);
}

static void test_accepting_without_descriptors_ends_and_can_be_tried_again(void **state)
{
    struct fixture *f = *state;
    struct counting_watch c = {.watch.event = count_event};
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);
    int client = connect_to(&address);
    rlim_t before = set_descriptor_limit((rlim_t)next_descriptor());

    for (int i = 0; i < 2; i++) {
        f->loop->stopped = false;
        assert_int_equal(io_watch_accept(f->loop, &c.watch, listener), 0);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(c.last, -EMFILE);
        assert_false(io_watch_armed(&c.watch));
    }
    set_descriptor_limit(before);
    f->loop->stopped = false;
    assert_int_equal(io_watch_accept(f->loop, &c.watch, listener), 0);
    assert_int_equal(loop_run(f->loop), 0);
    assert_true(c.last >= 0);
    assert_true(io_watch_armed(&c.watch));
    io_watch_cancel(&c.watch);
    close(c.last);
    f->loop->stopped = false;
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(c.last, -ECANCELED);
    close(client);
    io_close(f->loop, listener);
}

static void test_a_loop_without_descriptors_is_not_made(void **state)
{
    const struct loop_options options = {.io = io};
    struct loop *loop = NULL;

    (void)state;
    rlim_t before = set_descriptor_limit((rlim_t)next_descriptor());
    assert_int_equal(loop_create(&options, &loop), -EMFILE);
    assert_int_equal(loop_probe(io), -EMFILE);
    assert_null(loop);
    set_descriptor_limit(before);
    assert_int_equal(loop_probe(io), 0);
}

static void test_a_cancelled_watch_says_so(void **state)
{
    struct fixture *f = *state;
    struct counting_watch c = {.watch.event = count_event};

    f->loop->stopped = false;
    assert_int_equal(io_watch_recv(f->loop, &c.watch, f->sockets[0]), 0);
    io_watch_cancel(&c.watch);
    assert_int_equal(loop_run(f->loop), 0);
    assert_int_equal(c.last, -ECANCELED);
}

static void test_a_stale_completion_touches_nobody(void **state)
{
    struct fixture *f = *state;
    struct counting_watch c = {.watch.event = count_event};
    uint64_t before = loop_stale_completions(f->loop);

    f->loop->stopped = false;
    assert_int_equal(io_watch_recv(f->loop, &c.watch, f->sockets[0]), 0);
    uint64_t old_id = c.watch.id;
    io_watch_cancel(&c.watch);
    assert_int_equal(loop_run(f->loop), 0);

    /* The slot has a new owner; what comes for the old one is dropped and counted. */
    struct counting_watch next = {.watch.event = count_event};
    assert_int_equal(io_watch_recv(f->loop, &next.watch, f->sockets[0]), 0);
    assert_int_equal((uint32_t)next.watch.id, (uint32_t)old_id);
    loop_complete(f->loop, old_id, 1234, false, (struct span){0});
    assert_int_equal(next.events, 0);
    assert_int_equal(loop_stale_completions(f->loop), before + 1);

    f->loop->stopped = false;
    io_watch_cancel(&next.watch);
    assert_int_equal(loop_run(f->loop), 0);
}

/* --- stacks --- */

static void brief_main(struct task *t, void *arg)
{
    unsigned *left = arg;

    io_sleep(t, 0);
    if (--*left == 0)
        loop_stop(task_loop(t));
}

static long resident_kib(void)
{
    FILE *statm = fopen("/proc/self/statm", "r");
    long pages = 0;

    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%*d %ld", &pages), 1);
    fclose(statm);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

enum {
#if defined(__SANITIZE_THREAD__)
    TASKS = 4000, /* it makes a fiber for each, slowly; the other builds do them all */
#else
    TASKS = 100000,
#endif
};

static void run_tasks(struct fixture *f, unsigned count, unsigned at_once)
{
    for (unsigned done = 0; done < count; done += at_once) {
        unsigned left = at_once;
        f->loop->stopped = false;
        for (unsigned i = 0; i < at_once; i++)
            assert_int_equal(task_spawn(f->loop, brief_main, &left), 0);
        assert_int_equal(loop_run(f->loop), 0);
    }
}

static void test_a_hundred_thousand_tasks_leave_nothing(void **state)
{
    struct fixture *f = *state;

    run_tasks(f, 4000, 2000);
    long before = resident_kib();
    run_tasks(f, TASKS, 2000);
    assert_int_equal(loop_task_count(f->loop), 0);
    assert_true(f->loop->free_stack_count <= TASK_STACKS_POOLED);
    while (!loop_rest(f->loop)) /* the second call knows that none was needed since the first */
        continue;
    assert_true(f->loop->free_stack_count <= TASK_STACKS_RESTING);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(resident_kib() - before < 512);
#else
    (void)before; /* the sanitizers keep what was freed for a while */
#endif
}

/* Through a pointer, so that no compiler sees that it never ends, or turns it into a loop. */
static int (*volatile dig_deeper)(volatile char *above);

static int dig(volatile char *above)
{
    volatile char frame[1024];

    frame[0] = *above;
    return frame[0] + dig_deeper(frame);
}

static void overflow_main(struct task *t, void *arg)
{
    volatile char first = 0;

    (void)t;
    (void)arg;
    dig_deeper = dig;
    _exit(dig(&first) ? 1 : 2);
}

static void test_a_stack_overflow_hits_the_guard_page(void **state)
{
#if defined(__SANITIZE_THREAD__)
    (void)state;
    print_message("not run here: ThreadSanitizer hangs in its own report of an overflow\n");
    skip();
#endif
    struct fixture *f = *state;
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        close(STDERR_FILENO);
        task_spawn(f->loop, overflow_main, NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) > 3));
#else
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
#endif
}

/* --- timers --- */

struct test_timer {
    struct timer timer;
    int expired;
};

static void count_expiry(struct timer *timer)
{
    container_of(timer, struct test_timer, timer)->expired++;
}

static void test_timers_expire_once_never_early_and_can_be_moved(void **state)
{
    static struct timer_wheel wheel;
    struct test_timer near, far, moved, stopped;

    (void)state;
    timer_wheel_init(&wheel, 1000);
    timer_init(&near.timer, count_expiry);
    timer_init(&far.timer, count_expiry);
    timer_init(&moved.timer, count_expiry);
    timer_init(&stopped.timer, count_expiry);
    near.expired = far.expired = moved.expired = stopped.expired = 0;
    timer_set(&wheel, &near.timer, 1100);
    timer_set(&wheel, &far.timer, 1000 + 75 * 1000); /* several turns of the wheel */
    timer_set(&wheel, &moved.timer, 1100);
    timer_set(&wheel, &moved.timer, 5000);
    timer_set(&wheel, &stopped.timer, 1100);
    timer_stop(&wheel, &stopped.timer);

    for (uint64_t now = 1000; now < 1000 + 80 * 1000; now += 7) {
        timer_wheel_run(&wheel, now);
        assert_int_equal(near.expired, now >= 1100 + TIMER_TICK_MS ? 1 : near.expired);
        assert_true(now >= 1100 || near.expired == 0);
        assert_true(now >= 5000 || moved.expired == 0);
        assert_true(now >= 76000 || far.expired == 0);
    }
    assert_int_equal(near.expired, 1);
    assert_int_equal(moved.expired, 1);
    assert_int_equal(far.expired, 1);
    assert_int_equal(stopped.expired, 0);
    assert_int_equal(wheel.queued, 0);
    assert_true(timer_wheel_sleep_ms(&wheel, 100000) == UINT64_MAX);

    timer_set(&wheel, &near.timer, 500); /* already past: the next tick */
    assert_true(timer_wheel_sleep_ms(&wheel, 81000) <= 2 * TIMER_TICK_MS);
    timer_wheel_run(&wheel, 81100);
    assert_int_equal(near.expired, 2);
}

#define ON_A_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest timers[] = {
        cmocka_unit_test(test_timers_expire_once_never_early_and_can_be_moved),
    };
    const struct CMUnitTest tests[] = {
        ON_A_LOOP(test_cancellation_unwinds_wherever_a_task_waits),
        ON_A_LOOP(test_a_deadline_cancels_and_a_revived_task_goes_on),
        ON_A_LOOP(test_the_clock_is_right_after_a_long_wait),
        ON_A_LOOP(test_two_operations_are_awaited_in_any_order),
        ON_A_LOOP(test_files_are_read_and_written_where_it_is_said),
        ON_A_LOOP(test_a_stream_passes_whole_and_ends),
        ON_A_LOOP(test_what_is_short_is_sent_at_once_where_there_is_room),
        ON_A_LOOP(test_a_socket_is_waited_for_until_much_is_there),
        ON_A_LOOP(test_one_descriptor_has_several_operations),
        ON_A_LOOP(test_a_number_that_comes_again_is_another_descriptor),
        ON_A_LOOP(test_who_never_waits_does_not_starve_the_others),
        ON_A_LOOP(test_a_watch_lends_a_buffer_and_can_be_armed_again),
        ON_A_LOOP(test_a_resting_loop_gives_lent_buffers_back),
        ON_A_LOOP(test_a_watch_hears_the_end_that_came_with_the_last_bytes),
        ON_A_LOOP(test_accepting_goes_on_until_it_is_cancelled),
        ON_A_LOOP(test_accepting_without_descriptors_ends_and_can_be_tried_again),
        ON_A_LOOP(test_a_loop_without_descriptors_is_not_made),
        ON_A_LOOP(test_a_cancelled_watch_says_so),
        ON_A_LOOP(test_a_stale_completion_touches_nobody),
        cmocka_unit_test(test_work_without_a_listener_outlives_its_loop),
        ON_A_LOOP(test_a_hundred_thousand_tasks_leave_nothing),
        ON_A_LOOP(test_a_stack_overflow_hits_the_guard_page),
    };
    int failed = cmocka_run_group_tests(timers, NULL, NULL);

    io = LOOP_IO_EPOLL;
    failed += cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
    io = LOOP_IO_URING;
    if (loop_probe(io) == 0)
        failed += cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);
    else
        print_message("not run here: the tests on io_uring, which is forbidden\n");
    return failed;
}
