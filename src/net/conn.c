/* The life of a connection: accepted, idle, busy, parked, gone. */
#include "net/conn_inner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

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
    if (after == CONN_CLOSE)
        conn_close(t, conn);
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

static void wait_for_turn(struct conn *conn)
{
    struct server *s = conn->server;

    conn->state = CONN_STATE_HELLO;
    timer_set(loop_timers(s->loop), &conn->timer, loop_now_ms(s->loop) + LIMIT_TURN_MS);
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
        conn_say_close(conn);
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
