/* What a connection receives: bytes, and what is in the records. */
#include "net/conn_inner.h"

#include <errno.h>

int conn_receive(struct task *t, struct conn *conn)
{
    uint8_t *memory;
    size_t room;

    int r = conn_set_nonblocking(conn, false);
    if (r < 0)
        return r;
    r = input_make_room(&conn->input, conn->is_tls, &memory, &room);
    if (r < 0)
        return r;
    ssize_t received = io_recv(t, conn->fd, memory, room);
    if (received > 0)
        input_received(&conn->input, conn->is_tls, (size_t)received);
    return (int)received;
}

/* Opens one record. Returns 1 when it brought data, 0 when more bytes are needed, -EAGAIN when the
 * next record has to be looked at, -EPIPE at close_notify, or another -errno. */
static int open_record(struct conn *conn)
{
    struct session_event event;
    struct input *in = &conn->input;

    int r =
        session_open(&conn->session, in->memory + in->sealed, in->sealed_end - in->sealed, &event);
    if (r == 0)
        return 0;
    if (r < 0) {
        conn_say_alert(conn, TLS_ALERT_LEVEL_FATAL, (uint8_t)-r);
        return -EPROTO;
    }
    input_opened(in, (size_t)r, event.kind == SESSION_DATA ? event.data : (struct span){0});
    switch (event.kind) {
    case SESSION_DATA:
        return 1;
    case SESSION_CLOSED:
        return -EPIPE;
    case SESSION_ALERT:
        return -ECONNRESET;
    case SESSION_NOTHING:
    case SESSION_REPLY_KEY_UPDATE: /* sent before the next data */
        break;
    }
    return -EAGAIN;
}

int conn_open_received(struct conn *conn)
{
    int r = 0;

    if (!conn->is_tls)
        return 0;
    while (conn->input.sealed < conn->input.sealed_end && (r = open_record(conn)) == -EAGAIN)
        continue;
    return r == -EAGAIN ? 0 : r;
}

int conn_read(struct task *t, struct conn *conn)
{
    for (;;) {
        int r = conn_open_received(conn);
        if (r != 0)
            return r == -EPIPE ? 0 : r;
        r = conn_receive(t, conn);
        if (r <= 0)
            return r;
        if (!conn->is_tls)
            return 1;
    }
}
