/* A handshake on a connection. */
#include "net/conn_inner.h"

#include <errno.h>
#include <sys/socket.h>

#include "tls/handshake.h"

static const char http_on_tls_port[] =
    "HTTP/1.1 400 Bad Request\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 61\r\n"
    "Connection: close\r\n"
    "\r\n"
    "This port speaks HTTPS: put https:// in front of the address\n";

static void answer_http(struct task *t, struct conn *conn)
{
    io_send_all(t, conn->fd, http_on_tls_port, sizeof(http_on_tls_port) - 1, 0);
    shutdown(conn->fd, SHUT_WR);
    conn_linger(t, conn);
}

/* Whether the request follows right behind the handshake, or stands in the socket already. */
static bool request_is_here(struct conn *conn)
{
    uint8_t *memory;
    size_t room;

    if (input_sealed(&conn->input).len > 0)
        return true;
    if (input_make_room(&conn->input, true, &memory, &room) < 0)
        return false;
    ssize_t received = recv(conn->fd, memory, room, MSG_DONTWAIT);
    if (received > 0)
        input_received(&conn->input, true, (size_t)received);
    return received > 0;
}

static int shake_hands(struct task *t, struct conn *conn, struct handshake *h, struct buf *out)
{
    for (;;) {
        size_t consumed;
        int step = handshake_step(h, input_sealed(&conn->input), &consumed, out);
        input_opened(&conn->input, consumed, (struct span){0});
        /* The client waits for all of it but TLS 1.3's ticket, which can leave in one segment with
         * the answer. Not when there is nothing to answer yet: the acknowledgement that goes with
         * it is what a client with Nagle's algorithm waits for. */
        bool only_ticket = step == HANDSHAKE_DONE && handshake_info(h)->version == TLS_VERSION_1_3;
        int flags = only_ticket && request_is_here(conn) ? MSG_MORE : 0;
        int r = out->len > 0 ? io_send_all(t, conn->fd, out->data, out->len, flags) : 0;
        if (r < 0)
            return r;
        out->len = 0;
        if (step != HANDSHAKE_WANT_READ)
            return step < 0 ? step : 0;
        r = conn_receive(t, conn);
        if (r <= 0)
            return r < 0 ? r : -ECONNRESET;
    }
}

enum {
    /* Our flight: certificates, which a chain makes long. */
    FLIGHT_BYTES_MAX = 128 * 1024,
};

int conn_handshake(struct task *t, struct conn *conn)
{
    struct handshake *h;
    struct buf out;

    task_set_deadline(t, loop_now_ms(conn->server->loop) + LIMIT_HANDSHAKE_MS);
    if (input_empty(&conn->input)) { /* no buffer could be lent */
        int received = conn_receive(t, conn);
        if (received <= 0)
            return received < 0 ? received : -ECONNRESET;
    }
    if (handshake_is_http(input_sealed(&conn->input))) {
        answer_http(t, conn);
        return -EPROTO;
    }
    int r = handshake_create(conn->server->tls, &h);
    if (r < 0)
        return r;
    conn->server->handshakes++;
    buf_init_growing(&out, FLIGHT_BYTES_MAX);
    r = shake_hands(t, conn, h, &out);
    if (r == 0)
        r = handshake_finish(h, &conn->session);
    conn->shaken = r == 0;
    task_set_deadline(t, TIMER_NEVER);
    buf_finish(&out);
    handshake_destroy(h);
    conn->server->handshakes--;
    if (!list_empty(&conn->server->hellos))
        loop_later(conn->server->loop, &conn->server->hello_turn);
    return r;
}
