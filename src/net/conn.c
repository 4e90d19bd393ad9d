#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tls/handshake.h"
#include "tls/ktls.h"

static void idle_event(struct io_watch *w, int result, struct span data);
static void waited_too_long(struct timer *timer);

/* --- birth and death --- */

static struct conn *conn_create(struct server *s, int fd)
{
    struct conn *conn = calloc(1, sizeof(*conn));

    if (!conn) {
        close(fd);
        return NULL;
    }
    conn->server = s;
    conn->fd = fd;
    conn->watch.event = idle_event;
    conn->since_ms = loop_now_ms(s->loop);
    timer_init(&conn->timer, waited_too_long);
    return conn;
}

static void conn_destroy(struct conn *conn)
{
    assert(!conn->task && !io_watch_armed(&conn->watch));
    timer_stop(loop_timers(conn->server->loop), &conn->timer);
    server_remove(conn->server, conn);
    session_wipe(&conn->session);
    input_finish(&conn->input);
    io_close(conn->server->loop, conn->fd);
    free(conn);
}

/* --- goodbye --- */

/* Says close_notify, or a fatal alert, if the socket takes it at once. */
static void say_alert(struct conn *conn, uint8_t level, uint8_t description)
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

static void say_close(struct conn *conn)
{
    say_alert(conn, TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY);
    shutdown(conn->fd, SHUT_WR);
}

/* What the kernel has sealed may wait behind what TCP has taken, and neither shutdown(2) nor
 * close(2) wait for that. So the peer learns of the end by close_notify alone, which comes last,
 * and gets the time to take everything (linger()). */
static void say_close_by_kernel(struct task *t, struct conn *conn)
{
    static const uint8_t body[] = {TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY};

    task_revive(t);
    task_set_deadline(t, loop_now_ms(conn->server->loop) + LIMIT_RATE_WINDOW_MS);
    while (ktls_send_control(conn->fd, TLS_TYPE_ALERT, body, sizeof(body)) == -EAGAIN &&
           io_poll(t, conn->fd, POLLOUT) >= 0)
        continue;
}

/* Waits for the peer to close too. While it still sends, closing would answer its data with a
 * reset, which throws away what it has not read of our answer (RFC 9112 section 9.6). So what comes
 * is read and dropped for a while; and then nothing is read any more, which stops the peer's
 * sending and lets it look at what it got. */
static void linger(struct task *t, struct conn *conn)
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

/* The ring waits by itself and takes a non-blocking socket for one that shall not wait; sendfile(2)
 * waits unless the socket is non-blocking. So each says what it needs, and a long file says it
 * once.
 */
static int set_nonblocking(struct conn *conn, bool nonblocking)
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

/* --- the handshake --- */

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
    linger(t, conn);
}

static int receive(struct task *t, struct conn *conn)
{
    uint8_t *memory;
    size_t room;

    int r = set_nonblocking(conn, false);
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
        r = receive(t, conn);
        if (r <= 0)
            return r < 0 ? r : -ECONNRESET;
    }
}

enum {
    /* Our flight: certificates, which a chain makes long. */
    FLIGHT_BYTES_MAX = 128 * 1024,
};

static int conn_handshake(struct task *t, struct conn *conn)
{
    struct handshake *h;
    struct buf out;

    task_set_deadline(t, conn->since_ms + LIMIT_HANDSHAKE_MS);
    if (input_empty(&conn->input)) { /* no buffer could be lent */
        int received = receive(t, conn);
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

/* --- the life of a connection, as its tasks see it --- */

static void go_idle(struct conn *conn);
static void park(struct conn *conn);

static void conn_main(struct task *t, void *arg)
{
    struct conn *conn = arg;
    struct server *s = conn->server;
    enum conn_after after;

    conn->task = t;
    conn->state = CONN_STATE_BUSY;
    if (!conn->shaken && conn_handshake(t, conn) < 0)
        after = CONN_BROKEN;
    else
        after = s->role->serve(t, conn);

    if ((s->draining || conn->ending) && after == CONN_IDLE)
        after = CONN_CLOSE;
    if (after == CONN_CLOSE) {
        if (conn->kernel_tx)
            say_close_by_kernel(t, conn);
        else
            say_close(conn);
        linger(t, conn);
    }
    task_set_deadline(t, TIMER_NEVER);
    conn->task = NULL;
    if (after == CONN_IDLE)
        go_idle(conn);
    else if (after == CONN_PARKED)
        park(conn);
    else
        conn_destroy(conn);
}

/* Nobody can wait for a task that could not be made. */
static void start_task(struct conn *conn)
{
    list_remove(&conn->link);
    list_append(&conn->server->busy, &conn->link);
    if (conn->shaken) /* a handshake's time runs from the beginning */
        conn->since_ms = loop_now_ms(conn->server->loop);
    if (task_spawn(conn->server->loop, conn_main, conn) < 0)
        conn_destroy(conn);
}

int conn_accept(struct server *s, int fd)
{
    struct conn *conn = conn_create(s, fd);
    socklen_t length = sizeof(conn->approval.peer);

    if (!conn)
        return -ENOMEM;
    conn->is_tls = s->tls != NULL;
    conn->shaken = !conn->is_tls;
    if (getpeername(fd, (struct sockaddr *)&conn->approval.peer, &length) < 0)
        conn->approval.peer.ss_family = AF_UNSPEC; /* gone already: the first receive says so */
    server_add(s, conn);
    go_idle(conn);
    return 0;
}

void conn_begin_handshake(struct conn *conn)
{
    timer_set(loop_timers(conn->server->loop), &conn->timer, TIMER_NEVER);
    start_task(conn);
}

int conn_adopt(struct server *s, int fd, const struct handover *h, struct span bytes)
{
    struct conn *conn = conn_create(s, fd);

    if (!conn)
        return -ENOMEM;
    conn->is_tls = h->flags & HANDOVER_TLS;
    conn->kernel_tx = h->flags & HANDOVER_KERNEL_TX;
    conn->shaken = true;
    conn->adopted = true;
    conn->approval = h->approval;
    server_add(s, conn);
    int r = input_restore(&conn->input, span_first(bytes, h->plaintext_bytes),
                          span_skip(bytes, h->plaintext_bytes));
    if (r == 0 && conn->is_tls) {
        r = session_init(&conn->session, &h->tls.rx, &h->tls.tx, h->tls.max_fragment);
        conn->session.key_update_owed = h->tls.key_update_owed != 0;
    }
    if (r < 0) {
        conn_destroy(conn);
        return r;
    }
    start_task(conn);
    return 0;
}

/* --- parked --- */

int conn_take_token(struct conn *conn, uint64_t *ret_token)
{
    int r = slot_acquire(&conn->server->parked, &conn->watch.completion, 0, &conn->token);

    if (r == 0)
        *ret_token = conn->token;
    return r;
}

void conn_forget_token(struct conn *conn)
{
    slot_release(&conn->server->parked, conn->token);
    conn->token = 0;
}

struct conn *conn_by_token(struct server *s, uint64_t token)
{
    struct completion *c = slot_find(&s->parked, token);

    return c ? container_of(container_of(c, struct io_watch, completion), struct conn, watch)
             : NULL;
}

static void park(struct conn *conn)
{
    struct loop *loop = conn->server->loop;

    conn->state = CONN_STATE_PARKED;
    timer_set(loop_timers(loop), &conn->timer, loop_now_ms(loop) + LIMIT_VERDICT_MS);
}

void conn_resume(struct conn *conn)
{
    assert(conn->state == CONN_STATE_PARKED);
    timer_set(loop_timers(conn->server->loop), &conn->timer, TIMER_NEVER);
    conn_forget_token(conn);
    start_task(conn);
}

void conn_release(struct conn *conn)
{
    assert(conn->state == CONN_STATE_PARKED);
    conn_forget_token(conn);
    conn_destroy(conn);
}

/* --- idle --- */

static void go_idle(struct conn *conn)
{
    struct server *s = conn->server;

    input_rest(&conn->input);
    conn->state = CONN_STATE_IDLE;
    conn->since_ms = loop_now_ms(s->loop);
    list_remove(&conn->link);
    list_append(&s->idle, &conn->link);
    timer_set(loop_timers(s->loop), &conn->timer,
              conn->since_ms + (conn->shaken ? s->idle_ms : LIMIT_HANDSHAKE_MS));
    if (!s->rest_timer.queued)
        timer_set(loop_timers(s->loop), &s->rest_timer, conn->since_ms + SERVER_REST_MS);
    if (io_watch_recv(s->loop, &conn->watch, conn->fd) < 0)
        conn_destroy(conn);
}

/* The handshake's timer runs on. */
static void wait_for_turn(struct conn *conn)
{
    struct server *s = conn->server;

    conn->state = CONN_STATE_HELLO;
    list_remove(&conn->link);
    list_append(&s->hellos, &conn->link);
    loop_later(s->loop, &s->hello_turn);
}

static void idle_event(struct io_watch *w, int result, struct span data)
{
    struct conn *conn = container_of(w, struct conn, watch);
    bool wanted = conn->state == CONN_STATE_IDLE;

    /* Without a buffer to lend the bytes still wait in the socket. */
    bool bytes_wait = result == -ENOBUFS;
    if (result > 0 && wanted)
        bytes_wait = input_append(&conn->input, conn->is_tls, data) == 0;
    if (bytes_wait && wanted && !conn->shaken) {
        wait_for_turn(conn);
        return;
    }
    timer_set(loop_timers(conn->server->loop), &conn->timer, TIMER_NEVER);
    if (bytes_wait && wanted) {
        start_task(conn);
        return;
    }
    if (result != 0 || !conn->is_tls)
        say_close(conn);
    conn_destroy(conn);
}

static void waited_too_long(struct timer *timer)
{
    conn_abort(container_of(timer, struct conn, timer));
}

void conn_abort(struct conn *conn)
{
    switch (conn->state) {
    case CONN_STATE_BUSY:
        task_cancel(conn->task, -ECANCELED);
        break;
    case CONN_STATE_IDLE:
        conn->state = CONN_STATE_CLOSING;
        /* No longer a candidate for eviction. */
        list_remove(&conn->link);
        list_append(&conn->server->busy, &conn->link);
        io_watch_cancel(&conn->watch);
        break;
    case CONN_STATE_HELLO:
        conn_destroy(conn);
        break;
    case CONN_STATE_PARKED:
        conn_release(conn); /* a verdict that is still to come finds nobody */
        break;
    case CONN_STATE_CLOSING:
        break;
    }
}

/* --- reading --- */

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
        say_alert(conn, TLS_ALERT_LEVEL_FATAL, (uint8_t)-r);
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
        r = receive(t, conn);
        if (r <= 0)
            return r;
        if (!conn->is_tls)
            return 1;
    }
}

/* --- writing --- */

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
                         int flags, bool *ret_blocked)
{
    struct pace pace;

    int r = set_nonblocking(conn, false);
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
        if (len > 0 && ret_blocked)
            *ret_blocked = true;
    }
    task_set_deadline(t, TIMER_NEVER);
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

static int send_chunk(struct task *t, struct conn *conn, struct chunk *c, int flags,
                      bool *ret_blocked)
{
    uint8_t *data;
    size_t len;

    if (c->payload == 0)
        return 0;
    int r = check_keys(t, conn);
    if (r == 0)
        r = chunk_seal(c, sealer(conn), &data, &len);
    if (r == 0)
        r = send_steadily(t, conn, data, len, flags, ret_blocked);
    if (r == 0 && conn->kernel_tx)
        count_records(conn, len);
    chunk_empty(c);
    return r;
}

int conn_send(struct task *t, struct conn *conn, struct chunk *c, bool *ret_blocked)
{
    /* The kernel's records would stay open for more, and what ends them is not the goodbye. */
    return send_chunk(t, conn, c, conn->last && !conn->kernel_tx ? MSG_MORE : 0, ret_blocked);
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
        r = set_nonblocking(conn, true);
    if (r == 0)
        r = send_file_steadily(t, conn, fd, offset, len);
    task_set_deadline(t, TIMER_NEVER);
    if (conn->kernel_tx)
        count_records(conn, len);
    return r;
}
