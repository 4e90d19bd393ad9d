/* What a connection sends: chunks, pieces of files, new keys. */
#include "net/conn_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>

#include "tls/ktls.h"

int conn_set_nonblocking(struct conn *conn, bool nonblocking)
{
    if (conn->nonblocking == nonblocking)
        return 0;
    int flags = fcntl(conn->fd, F_GETFL);
    if (flags < 0)
        return -errno;
    flags = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (fcntl(conn->fd, F_SETFL, flags) < 0)
        return -errno;
    conn->nonblocking = nonblocking;
    return 0;
}

/* The session that has to seal what is sent; NULL: nobody, or the kernel. */
static struct tls_session *sealer(struct conn *conn)
{
    return conn->is_tls && !conn->kernel_tx ? &conn->session : NULL;
}

struct chunk *conn_chunk(struct conn *conn, enum chunk_size size)
{
    return chunk_take(&conn->server->chunks, size, sealer(conn));
}

/* The minimum rate: within each window the peer must take LIMIT_RATE_BYTES. */
struct pace {
    struct task *task;
    size_t in_window;
};

static void pace_begin(struct pace *p, struct task *t)
{
    *p = (struct pace){.task = t};
    task_set_deadline(t, loop_now_ms(task_loop(t)) + LIMIT_RATE_WINDOW_MS);
}

/* After -ETIMEDOUT: whether enough was taken for another window. */
static bool pace_holds(struct pace *p)
{
    if (p->in_window < LIMIT_RATE_BYTES)
        return false;
    task_revive(p->task);
    pace_begin(p, p->task);
    return true;
}

static int send_steadily(struct task *t, struct conn *conn, const uint8_t *data, size_t len,
                         int flags, bool *ret_slow)
{
    uint64_t begun_ms = loop_now_ms(conn->server->loop);
    unsigned sends = 0; /* one that is taken at once is not slow, however long our own turn was */
    struct pace pace;

    int r = conn_set_nonblocking(conn, false);
    if (r < 0)
        return r;
    pace_begin(&pace, t);
    while (len > 0) {
        ssize_t sent = io_send(t, conn->fd, data, len, flags);
        if (sent == -ETIMEDOUT && pace_holds(&pace))
            continue;
        if (sent < 0)
            return (int)sent;
        data += sent;
        len -= (size_t)sent;
        pace.in_window += (size_t)sent;
        sends++;
    }
    if (ret_slow)
        *ret_slow = sends > 1 && loop_now_ms(conn->server->loop) - begun_ms >= CONN_SLOW_MS;
    task_set_deadline(t, TIMER_NEVER);
    task_revive(t); /* the last bytes may have gone together with the end of their time */
    return 0;
}

/* Keys that the kernel cannot change: the peer would have to be told before we know. So the
 * connection ends after this response. */
static int renew_kernel_keys(struct conn *conn)
{
    /* KeyUpdate, asking for nothing in return (RFC 8446 section 4.6.3). */
    static const uint8_t message[] = {24, 0, 0, 1, 0};

    if (!(conn->server->ktls & KTLS_REKEY) || conn->session.tx.keys.version != TLS_VERSION_1_3) {
        conn->ending = true;
        return conn->session.tx.keys.sequence < TLS_RECORDS_MAX ? 0 : -EKEYEXPIRED;
    }
    int r = ktls_send_control(conn->fd, TLS_TYPE_HANDSHAKE, message, sizeof(message));
    if (r == -EAGAIN) /* the socket is full; the keys have some way to go */
        return 0;
    keys_update(&conn->session.tx.keys);
    conn->session.key_update_owed = false;
    return r < 0 ? r : ktls_rekey(conn->fd, &conn->session.tx.keys);
}

static int renew_keys(struct task *t, struct conn *conn)
{
    uint8_t message[SESSION_MESSAGE_MAX];

    if (conn->kernel_tx)
        return renew_kernel_keys(conn);
    int length = session_key_update(&conn->session, false, message);
    if (length == -ENOTSUP)
        return 0; /* TLS 1.2: record_seal() ends it at the hard limit */
    return length < 0 ? length : send_steadily(t, conn, message, (size_t)length, 0, NULL);
}

/* Before anything is sent: whether the keys are good for it. */
static int check_keys(struct task *t, struct conn *conn)
{
    struct tls_session *session = &conn->session;

    conn->sends++;
    if (!conn->is_tls || (!session->key_update_owed && !record_needs_rekey(&session->tx)))
        return 0;
    return renew_keys(t, conn);
}

/* The kernel does not tell how many records it made of what was sent: at most so many. */
static void count_records(struct conn *conn, size_t len)
{
    conn->session.tx.keys.sequence += len / TLS_PLAINTEXT_MAX + 1;
}

static int send_chunk(struct task *t, struct conn *conn, struct chunk *c, int flags, bool *ret_slow)
{
    uint8_t *data;
    size_t len;

    if (c->payload == 0)
        return 0;
    int r = check_keys(t, conn);
    if (r == 0)
        r = chunk_seal(c, sealer(conn), &data, &len);
    if (r == 0)
        r = send_steadily(t, conn, data, len, flags, ret_slow);
    if (r == 0 && conn->kernel_tx)
        count_records(conn, len);
    chunk_empty(c);
    return r;
}

int conn_send(struct task *t, struct conn *conn, struct chunk *c, bool *ret_slow)
{
    /* The kernel's records would stay open for more, and what ends them is not the goodbye. */
    return send_chunk(t, conn, c, conn->last && !conn->kernel_tx ? MSG_MORE : 0, ret_slow);
}

int conn_send_more(struct task *t, struct conn *conn, struct chunk *c)
{
    return send_chunk(t, conn, c, MSG_MORE, NULL);
}

/* --- writing files --- */

/* Whether its keys last for so much: a kernel that cannot change them cannot go on. */
static bool keys_last(const struct conn *conn, uint64_t len)
{
    return (conn->server->ktls & KTLS_REKEY) ||
           conn->session.tx.keys.sequence + len / TLS_PLAINTEXT_MAX < TLS_RECORDS_REKEY;
}

bool conn_use_kernel(struct conn *conn, uint64_t len)
{
    const struct tls_keys *tx = &conn->session.tx.keys;

    if (!conn->is_tls || conn->kernel_tx)
        return true;
    if (!(conn->server->ktls & ktls_bit(tx->version, tx->cipher)) ||
        conn->session.max_fragment != TLS_PLAINTEXT_MAX || conn->session.key_update_owed ||
        !keys_last(conn, len))
        return false;
    if (ktls_start(conn->fd, tx) < 0)
        return false;
    tls_direction_rest(&conn->session.tx);
    conn->kernel_tx = true;
    return true;
}

static int send_file_steadily(struct task *t, struct conn *conn, int fd, uint64_t offset,
                              size_t len)
{
    off_t at = (off_t)offset;
    struct pace pace;
    int r = 0;

    pace_begin(&pace, t);
    while (len > 0 && r >= 0) {
        ssize_t sent = sendfile(conn->fd, fd, &at, len);
        if (sent == 0)
            return -EIO;
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        len -= sent > 0 ? (size_t)sent : 0;
        pace.in_window += sent > 0 ? (size_t)sent : 0;
        /* Also when there is room: the others have their turn. */
        do
            r = io_poll(t, conn->fd, POLLOUT);
        while (r == -ETIMEDOUT && pace_holds(&pace));
    }
    return r < 0 ? r : 0;
}

int conn_send_file(struct task *t, struct conn *conn, int fd, uint64_t offset, size_t len)
{
    int r = check_keys(t, conn);
    if (r == 0)
        r = conn_set_nonblocking(conn, true);
    if (r == 0)
        r = send_file_steadily(t, conn, fd, offset, len);
    task_set_deadline(t, TIMER_NEVER);
    if (r == 0)
        task_revive(t);
    if (conn->kernel_tx)
        count_records(conn, len);
    return r;
}
