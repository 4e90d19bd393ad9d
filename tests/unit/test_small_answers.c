/* What a small answer costs: one receive and one send, and several requests that came together
 * share them. Counted on the simulated backend, which every operation goes through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/exchange.h"
#include "net/handover.h"
#include "rt/io_sim.h"
#include "sim_clock.h"

enum { ROUNDS = 10 };

struct rig {
    struct loop *loop;
    struct server server;
    struct http http;
    unsigned received, sent; /* operations */

    /* the peer */
    int fd;
    unsigned together; /* requests that it sends at once */
    unsigned rounds, answers;
};

static enum conn_after handle(struct task *t, struct exchange *x)
{
    return exchange_after(exchange_respond(t, x, 200, SPAN("text/plain"), SPAN("hello!")));
}

static void no_message(struct server *s, enum message_kind kind, struct span payload,
                       const int *fds, size_t fd_count)
{
    (void)s, (void)kind, (void)payload, (void)fds, (void)fd_count;
}

static const struct conn_role role = {.serve = http_serve, .message = no_message};

static enum io_sim_verdict count(void *context, enum io_sim_moment moment, enum io_kind kind,
                                 int *ret_result)
{
    struct rig *rig = context;

    (void)ret_result;
    if (moment == IO_SIM_PERFORM) {
        rig->received += kind == IO_RECV || kind == IO_RECV_LENT;
        rig->sent += kind == IO_SEND;
    }
    return IO_SIM_GO_ON;
}

static uint64_t outside(void *context)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
    char text[32 * 1024];
    struct rig *rig = context;
    ssize_t n;

    while ((n = recv(rig->fd, text, sizeof(text), MSG_DONTWAIT)) > 0)
        for (ssize_t i = 0; i < n; i++)
            rig->answers += text[i] == '!';
    if (rig->server.conn_count == 0) {
        loop_stop(rig->loop);
        return io_sim_now_ms();
    }
    if (rig->answers < rig->rounds * rig->together)
        return UINT64_MAX;
    if (rig->rounds++ == ROUNDS) {
        shutdown(rig->fd, SHUT_WR);
        return UINT64_MAX;
    }
    size_t len = 0;
    for (unsigned i = 0; i < rig->together; i++, len += sizeof(request) - 1)
        memcpy(text + len, request, sizeof(request) - 1);
    assert_int_equal(send(rig->fd, text, len, MSG_NOSIGNAL), len);
    return UINT64_MAX;
}

static void check_costs(unsigned together)
{
    static const struct handover nobody;
    struct rig rig = {.together = together};
    const struct io_sim_options sim = {
        .seed = 1, .context = &rig, .decide = count, .outside = outside};
    const struct loop_options options = {.backend = &io_sim_backend,
                                         .recv_buffers = SERVER_RECV_BUFFERS,
                                         .recv_buffer_bytes = SERVER_RECV_BUFFER_BYTES};
    int fds[2];

    io_sim_configure(&sim);
    assert_int_equal(loop_create(&options, &rig.loop), 0);
    server_init(&rig.server, rig.loop, &role, -1, 10);
    rig.http.handle = handle;
    rig.server.http = &rig.http;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rig.fd = fds[1];
    assert_int_equal(conn_adopt(&rig.server, fds[0], &nobody, SPAN("")), 0);
    assert_int_equal(loop_run(rig.loop), 0);
    close(rig.fd);
    server_finish(&rig.server);
    loop_destroy(rig.loop);
    free(rig.http.spare);
    assert_int_equal(rig.answers, ROUNDS * together);
    assert_int_equal(rig.sent, ROUNDS);
    assert_int_equal(rig.received, ROUNDS + 1); /* and the end of the stream */
}

static void one_request(void **state)
{
    (void)state;
    check_costs(1);
}

static void several_at_once(void **state)
{
    (void)state;
    check_costs(2);
    check_costs(10);
    check_costs(50); /* as many as one receive takes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request),
        cmocka_unit_test(several_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
