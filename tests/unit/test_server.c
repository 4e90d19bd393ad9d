/* A server's listeners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"

static unsigned served;

static enum conn_after serve(struct task *t, struct conn *conn)
{
    (void)t;
    served++;
    server_drain(conn->server, 0); /* which ends the loop */
    return CONN_BROKEN;
}

static void no_message(struct server *s, enum message_kind kind, struct span payload,
                       const int *fds, size_t fd_count)
{
    (void)s, (void)kind, (void)payload, (void)fds, (void)fd_count;
}

static const struct conn_role role = {.serve = serve, .message = no_message};

static struct loop *new_loop(void)
{
    struct loop_options options = {.io = LOOP_IO_URING, .recv_buffers = 4, .recv_buffer_bytes = 64};
    struct loop *loop;

    assert_int_equal(loop_create(&options, &loop), 0);
    return loop;
}

/* The end of a turn, in which what was started has gone to the kernel. */
struct turn {
    struct timer timer;
    struct loop *loop;
};

static void turn_ended(struct timer *timer)
{
    loop_stop(container_of(timer, struct turn, timer)->loop);
}

static void run_one_turn(struct loop *loop)
{
    struct turn turn = {.loop = loop};

    timer_init(&turn.timer, turn_ended);
    timer_set(loop_timers(loop), &turn.timer, loop_now_ms(loop));
    assert_int_equal(loop_run(loop), 0);
}

struct visitor {
    struct timer timer;
    struct sockaddr_in address;
    int fd;
};

static void visit(struct timer *timer)
{
    struct visitor *v = container_of(timer, struct visitor, timer);

    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(v->fd, (struct sockaddr *)&v->address, sizeof(v->address)), 0);
    assert_int_equal(send(v->fd, "x", 1, 0), 1);
}

static void no_connection(struct io_watch *w, int result, struct span data)
{
    (void)w, (void)result, (void)data;
    fail_msg("the ring that stands still has accepted");
}

/* The connection wakes a ring that does nothing any more, as that of a process does which is just
 * dying, and is accepted by the one that came after it all the same. */
static void a_connection_that_woke_the_dead(void **state)
{
    struct visitor visitor = {
        .address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    struct sockaddr *address = (struct sockaddr *)&visitor.address;
    socklen_t length = sizeof(visitor.address);
    struct io_watch waiting = {.event = no_connection};
    struct server server;

    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, address, length), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, address, &length), 0);

    struct loop *dead = new_loop(), *loop = new_loop();
    assert_int_equal(io_watch_accept(dead, &waiting, listener), 0);
    run_one_turn(dead);
    server_init(&server, loop, &role, -1, 100);
    assert_int_equal(server_listen(&server, listener), 0);
    timer_init(&visitor.timer, visit); /* when both wait, in this order */
    timer_set(loop_timers(loop), &visitor.timer, loop_now_ms(loop) + 2 * TIMER_TICK_MS);
    alarm(20); /* it would wait for ever */
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(served, 1);
    alarm(0);

    server_finish(&server);
    loop_destroy(loop);
    loop_destroy(dead);
    close(visitor.fd);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_woke_the_dead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
