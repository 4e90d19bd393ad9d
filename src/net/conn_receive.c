/* What a connection receives: bytes, and what is in the records. */
#include "net/conn_inner.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

/* Half of what there is room for: one wake-up for eight records, while as much again comes in. */
enum { LOW_WATER_BYTES = 128 * 1024 };
/* Only there is room for more than what is to come (input_make_bulk_room()), which would be waited
 * for in vain. */
_Static_assert((int)INPUT_MAX_BYTES < (int)LOW_WATER_BYTES,
               "the end of a body is waited for by the byte");

static void take_received(struct conn *conn, size_t len)
{
    conn->received += len;
    input_received(&conn->input, conn->is_tls, len);
}

static int set_low_water(const struct conn *conn, int bytes)
{
    return setsockopt(conn->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

/* Outside of this function a byte is enough: only a body may be waited for in large pieces. */
static ssize_t receive_bulk(struct task *t, struct conn *conn, uint8_t *memory, size_t room,
                            bool in_bulk)
{
    if (!in_bulk || room < LOW_WATER_BYTES || set_low_water(conn, LOW_WATER_BYTES) < 0)
        return io_recv(t, conn->fd, memory, room);
    ssize_t received = io_recv_low_water(t, conn->fd, memory, room);
    if (set_low_water(conn, 1) < 0)
        return -ECONNRESET; /* who waits for a byte would wait for ever */
    if (received != -ETIMEDOUT)
        return received;
    /* Of a slow peer less has come, and it counts. */
    received = recv(conn->fd, memory, room, MSG_DONTWAIT);
    return received > 0 ? received : -ETIMEDOUT;
}

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
        take_received(conn, (size_t)received);
    return (int)received;
}

/* Opens one record, to `out` if its payload fits there. Returns the length of the data that it
 * brought, 0 when more bytes are needed, -EAGAIN when the next record has to be looked at, -EPIPE
 * at close_notify, or another -errno. */
static int open_record(struct conn *conn, uint8_t *out, size_t room, bool *ret_in_out)
{
    struct session_event event;
    struct input *in = &conn->input;

    int r = session_open_to(&conn->session, in->memory + in->sealed, in->sealed_end - in->sealed,
                            out, room, &event);
    if (r == 0)
        return 0;
    if (r < 0) {
        conn_say_alert(conn, TLS_ALERT_LEVEL_FATAL, (uint8_t)-r);
        return -EPROTO;
    }
    bool has_data = event.kind == SESSION_DATA;
    *ret_in_out = has_data && (const uint8_t *)event.data.data == out;
    input_opened(in, (size_t)r, has_data && !*ret_in_out ? event.data : (struct span){0});
    switch (event.kind) {
    case SESSION_DATA:
        return (int)event.data.len;
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

/* As open_record(), with 0 where nothing has been received any more. */
static int open_next(struct conn *conn, uint8_t *out, size_t room, bool *ret_in_out)
{
    int r = 0;

    if (!conn->is_tls)
        return 0;
    while (conn->input.sealed < conn->input.sealed_end &&
           (r = open_record(conn, out, room, ret_in_out)) == -EAGAIN)
        continue;
    return r == -EAGAIN ? 0 : r;
}

int conn_open_received(struct conn *conn)
{
    bool in_out;
    int r = open_next(conn, NULL, 0, &in_out);

    return r > 0 ? 1 : r;
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

static size_t take_pending(struct conn *conn, uint8_t *out, size_t len)
{
    struct span pending = conn_pending(conn);

    if (len > pending.len)
        len = pending.len;
    if (len > 0)
        memcpy(out, pending.data, len);
    conn_consume(conn, len);
    return len;
}

ssize_t conn_take(struct conn *conn, uint8_t *out, size_t len)
{
    size_t taken = take_pending(conn, out, len);
    /* TLS 1.3 has the type of a record behind its payload. */
    size_t slack = conn->session.rx.keys.version == TLS_VERSION_1_3 ? CONN_OUT_SLACK : 0;

    while (taken < len && conn->is_tls) {
        bool in_out;
        int r = open_next(conn, out + taken, len - taken + slack, &in_out);
        if (r <= 0)
            return taken > 0 ? (ssize_t)taken : r;
        taken += in_out ? (size_t)r : take_pending(conn, out + taken, len - taken);
    }
    return (ssize_t)taken;
}

ssize_t conn_receive_body(struct task *t, struct conn *conn, struct conn_piece *piece)
{
    struct input *in = &conn->input;

    assert(piece->len <= piece->left);
    piece->taken = 0;
    ssize_t r = conn_set_nonblocking(conn, false);
    if (r < 0)
        return r;
    if (!conn->is_tls) {
        r = receive_bulk(t, conn, piece->out, piece->len, piece->in_bulk);
        if (r > 0)
            piece->taken = (size_t)r;
        conn->received += piece->taken;
        return r;
    }
    uint8_t *memory;
    size_t room, there = in->sealed_end - in->sealed;
    /* Memory that large pieces have made large is used for what comes behind this piece, too. */
    uint64_t wanted = in->capacity > INPUT_MAX_BYTES ? piece->left : piece->len;
    r = input_make_bulk_room(in, true, wanted > there ? wanted - there : 0, &memory, &room);
    if (r == 0)
        r = receive_bulk(t, conn, memory, room, piece->in_bulk);
    if (r > 0)
        take_received(conn, (size_t)r);
    return r;
}
