/* The end of a connection: goodbye, and time for the peer to hear it. */
#include "net/conn_inner.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "tls/ktls.h"

void conn_say_alert(struct conn *conn, uint8_t level, uint8_t description)
{
    const uint8_t body[] = {level, description};
    uint8_t alert[SESSION_MESSAGE_MAX];

    if (!conn->is_tls || !conn->shaken)
        return;
    if (conn->kernel_tx) {
        ktls_send_control(conn->fd, TLS_TYPE_ALERT, body, sizeof(body));
        return;
    }
    int length = session_alert(&conn->session, level, description, alert);
    /* The end of the stream follows a close_notify at once, and goes with it. */
    int more = description == TLS_ALERT_CLOSE_NOTIFY ? MSG_MORE : 0;
    if (length > 0 && send(conn->fd, alert, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL | more) < 0)
        return;
}

void conn_say_close(struct conn *conn)
{
    conn_say_alert(conn, TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY);
    shutdown(conn->fd, SHUT_WR);
}

/* What the kernel has sealed may wait behind what TCP has taken, and neither shutdown(2) nor
 * close(2) wait for that. So the peer learns of the end by close_notify alone, which comes last,
 * and gets the time to take everything (conn_linger()). */
static void say_close_by_kernel(struct task *t, struct conn *conn)
{
    static const uint8_t body[] = {TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY};

    task_revive(t);
    task_set_deadline(t, loop_now_ms(conn->server->loop) + LIMIT_RATE_WINDOW_MS);
    while (ktls_send_control(conn->fd, TLS_TYPE_ALERT, body, sizeof(body)) == -EAGAIN &&
           io_poll(t, conn->fd, POLLOUT) >= 0)
        continue;
}

void conn_linger(struct task *t, struct conn *conn)
{
    uint8_t *memory;
    size_t room;
    size_t left = LIMIT_LINGER_BYTES;

    task_revive(t);
    task_set_deadline(t, loop_now_ms(conn->server->loop) +
                             (conn->kernel_tx ? LIMIT_RATE_WINDOW_MS : LIMIT_LINGER_MS));
    while (left > 0) {
        input_finish(&conn->input);
        if (input_make_room(&conn->input, false, &memory, &room) < 0)
            return;
        ssize_t r = io_recv(t, conn->fd, memory, room);
        if (r <= 0)
            return;
        left -= (size_t)r < left ? (size_t)r : left;
    }
    io_poll(t, conn->fd, POLLRDHUP);
}

void conn_close(struct task *t, struct conn *conn)
{
    if (conn->kernel_tx)
        say_close_by_kernel(t, conn);
    else
        conn_say_close(conn);
    conn_linger(t, conn);
}
