#include "net/server.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/log.h"
#include "net/conn.h"

enum {
    /* Between two tries when the process or the system has no descriptor left. */
    ACCEPT_RETRY_MS = 100,
    /* See server_listen(): the first and the last distance. */
    ACCEPT_AGAIN_FIRST_MS = 50,
    ACCEPT_AGAIN_LAST_MS = 5 * 1000,
    /* Between two rounds of ending what is still there when draining has taken long enough. */
    DRAIN_RETRY_MS = 500,
    /* The longest message of the monitor. */
    MESSAGE_BYTES = sizeof(struct message_header) + CHANNEL_PAYLOAD_MAX,
};

/* An accept that is still under way would keep the port for a while after the process has ended. */
static void stop_when_drained(struct server *s)
{
    if (!s->draining || s->conn_count > 0)
        return;
    for (unsigned i = 0; i < s->listener_count; i++)
        if (io_watch_armed(&s->listeners[i].watch))
            return;
    loop_stop(s->loop);
}

/* --- listening --- */

static void listener_event(struct io_watch *w, int result, struct span data)
{
    struct listener *l = container_of(w, struct listener, watch);
    struct server *s = l->server;

    (void)data;
    if (result >= 0) {
        if (s->draining)
            close(result);
        else
            conn_accept(s, result);
    }
    if (l->again && !io_watch_armed(w) && !s->draining) {
        l->again = false;
        if (io_watch_accept(s->loop, w, l->fd) == 0)
            return;
    }
    /* Multishot ends with an error (no descriptor left) or when the queue overflowed. The rest
     * timer tries again: at once would spin. */
    if (!io_watch_armed(w) && s->draining)
        stop_when_drained(s);
    else if (!io_watch_armed(w))
        timer_set(loop_timers(s->loop), &s->rest_timer, loop_now_ms(s->loop) + ACCEPT_RETRY_MS);
}

static void accept_again(struct timer *timer)
{
    struct server *s = container_of(timer, struct server, accept_timer);

    for (unsigned i = 0; i < s->listener_count && !s->draining; i++)
        if (io_watch_armed(&s->listeners[i].watch)) {
            s->listeners[i].again = true;
            io_watch_cancel(&s->listeners[i].watch);
        }
    s->accept_again_ms *= 2;
    if (s->accept_again_ms <= ACCEPT_AGAIN_LAST_MS && !s->draining)
        timer_set(loop_timers(s->loop), timer, loop_now_ms(s->loop) + s->accept_again_ms);
}

/* The process that had the socket before may have died a moment ago, and its ring still stand in
 * the socket's queue: only one waiter is woken for a connection (io_uring accepts exclusively, 6.18
 * too), and that one is dead then. So we look again for a while whether somebody waits. */
int server_listen(struct server *s, int fd)
{
    struct listener *l = &s->listeners[s->listener_count];

    *l = (struct listener){.watch.event = listener_event, .server = s, .fd = fd};
    int r = io_watch_accept(s->loop, &l->watch, fd);
    if (r < 0)
        return r;
    s->listener_count++;
    s->accept_again_ms = ACCEPT_AGAIN_FIRST_MS;
    timer_set(loop_timers(s->loop), &s->accept_timer, loop_now_ms(s->loop) + s->accept_again_ms);
    return 0;
}

/* --- the channel --- */

static void channel_event(struct io_watch *w, int result, struct span data)
{
    struct server *s = container_of(w, struct server, channel_watch);
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;
    enum message_kind kind;
    struct span payload;
    int r;

    (void)data;
    (void)result;
    do {
        r = channel_receive(s->channel, s->message, MESSAGE_BYTES, &kind, &payload, fds, &fd_count);
        loop_new_epoch(s->loop);
        if (r == 1) {
            s->role->message(s, kind, payload, fds, fd_count);
            explicit_bzero(s->message, sizeof(struct message_header) + payload.len); /* keys */
        } else if (r == -EBADMSG) {
            log_error("a message of the monitor was cut off, perhaps for want of file descriptors");
            explicit_bzero(s->message, MESSAGE_BYTES);
        }
    } while (r == 1 || r == -EBADMSG);
    if (r == 0 || r == -EPIPE || r == -ECONNRESET) {
        /* The monitor is gone, and nobody can be let in any more. */
        server_drain(s, 0);
        return;
    }
    if (!io_watch_armed(w))
        io_watch_readable(s->loop, w, s->channel);
}

int server_watch_channel(struct server *s)
{
    s->message = malloc(MESSAGE_BYTES);
    if (!s->message)
        return -ENOMEM;
    s->channel_watch.event = channel_event;
    return io_watch_readable(s->loop, &s->channel_watch, s->channel);
}

int server_send(struct task *t, struct server *s, enum message_kind kind, struct span first,
                struct span second, const int *fds, size_t fd_count)
{
    for (;;) {
        int r = channel_send(s->channel, kind, first, second, fds, fd_count);
        if (r != -EAGAIN)
            return r;
        r = io_poll(t, s->channel, POLLOUT);
        if (r < 0)
            return r;
    }
}

/* --- the connections --- */

/* One IPv4 address, or one /64 of IPv6, which is what one household has. */
static uint16_t address_bucket(const struct sockaddr_storage *address)
{
    uint64_t bits = 0;

    if (address->ss_family == AF_INET) {
        bits = ((const struct sockaddr_in *)address)->sin_addr.s_addr;
    } else if (address->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(a))
            memcpy(&bits, &a->s6_addr[12], 4);
        else
            memcpy(&bits, &a->s6_addr[0], 8);
    }
    return (uint16_t)((bits * 0x9e3779b97f4a7c15u) >> 54) % SERVER_ADDRESS_BUCKETS;
}

static bool can_be_evicted(const struct conn *conn)
{
    switch (conn->state) {
    case CONN_STATE_BUSY:
        return !task_cancelled(conn->task);
    case CONN_STATE_IDLE:
    case CONN_STATE_HELLO:
        return true;
    default:
        return false;
    }
}

/* Among the first of `conns`, which have waited longest, one of the address that has the most
 * connections; `best` is the best so far. */
static struct conn *crowdest(struct server *s, struct list *conns, struct conn *best)
{
    unsigned looked_at = 0;

    for (struct list *node = conns->next; node != conns && looked_at < SERVER_EVICTION_WINDOW;
         node = node->next) {
        struct conn *conn = container_of(node, struct conn, link);
        if (!can_be_evicted(conn))
            continue;
        looked_at++;
        if (!best ||
            s->conns_by_address[conn->address_bucket] > s->conns_by_address[best->address_bucket])
            best = conn;
    }
    return best;
}

static void evict_one(struct server *s)
{
    struct conn *victim = crowdest(s, &s->idle, NULL);

    /* Whoever sits in a handshake or in half a request head waits as well. */
    if (s->before_login) {
        victim = crowdest(s, &s->hellos, victim);
        victim = crowdest(s, &s->busy, victim);
    }
    if (!victim)
        return;
    /* Behind all that may be next: one that is ending is not looked at twice. */
    list_remove(&victim->link);
    list_append(&s->busy, &victim->link);
    conn_abort(victim);
}

void server_add(struct server *s, struct conn *conn)
{
    conn->address_bucket = address_bucket(&conn->approval.peer);
    s->conns_by_address[conn->address_bucket]++;
    s->conn_count++;
    if (s->conn_count > s->conns_peak)
        s->conns_peak = s->conn_count;
    if (!s->rest_timer.queued)
        timer_set(loop_timers(s->loop), &s->rest_timer, loop_now_ms(s->loop) + SERVER_REST_MS);
    if ((uint64_t)s->conn_count * 100 > (uint64_t)s->conn_max * SERVER_CROWDED_PERCENT)
        evict_one(s);
    list_append(&s->busy, &conn->link);
}

void server_remove(struct server *s, struct conn *conn)
{
    s->conns_by_address[conn->address_bucket]--;
    s->conn_count--;
    list_remove(&conn->link);
    stop_when_drained(s);
}

static void abort_all(struct list *conns)
{
    for (struct list *node = conns->next, *next; node != conns; node = next) {
        next = node->next;
        conn_abort(container_of(node, struct conn, link));
    }
}

static void drain_expired(struct timer *timer)
{
    struct server *s = container_of(timer, struct server, drain_timer);

    abort_all(&s->busy);
    abort_all(&s->hellos);
    abort_all(&s->idle);
    timer_set(loop_timers(s->loop), timer, loop_now_ms(s->loop) + DRAIN_RETRY_MS);
    stop_when_drained(s);
}

void server_drain(struct server *s, uint32_t grace_ms)
{
    s->draining = true;
    for (unsigned i = 0; i < s->listener_count; i++)
        io_watch_cancel(&s->listeners[i].watch);
    abort_all(&s->idle);
    timer_set(loop_timers(s->loop), &s->drain_timer, loop_now_ms(s->loop) + grace_ms);
    stop_when_drained(s);
}

static void begin_one(struct server *s)
{
    conn_begin_handshake(container_of(s->hellos.next, struct conn, link));
}

static void begin_handshakes(struct later *later)
{
    struct server *s = container_of(later, struct server, hello_turn);

    for (unsigned i = 0; i < SERVER_HELLOS_PER_TURN && !list_empty(&s->hellos) &&
                         s->handshakes < SERVER_HANDSHAKES_EASY;
         i++)
        begin_one(s);
    if (list_empty(&s->hellos))
        return;
    if (s->handshakes < SERVER_HANDSHAKES_EASY)
        loop_later(s->loop, later);
    else if (!s->hello_timer.queued)
        timer_set(loop_timers(s->loop), &s->hello_timer,
                  loop_now_ms(s->loop) + SERVER_HELLO_PAUSE_MS);
}

/* Those under way do not get done: others are let in all the same. */
static void hello_expired(struct timer *timer)
{
    struct server *s = container_of(timer, struct server, hello_timer);

    for (unsigned i = 0; i < SERVER_HELLO_PAUSE_MS && !list_empty(&s->hellos); i++)
        begin_one(s);
    loop_later(s->loop, &s->hello_turn);
}

/* Returns whether nothing is left to give. */
static bool give_back_memory(struct server *s)
{
    bool rested = loop_rest(s->loop);

    rested &= chunk_pool_rest(&s->chunks);
    /* A burst leaves the heap full of holes: those of the connections, then those of what was kept
     * in pools for more of them. */
    if (s->conns_peak >= s->conn_count + SERVER_GIVE_BACK_CONNS) {
        s->conns_peak = s->conn_count;
        s->trims_due = SERVER_TRIMS;
    }
    if (s->trims_due > 0) {
        if (s->tls) /* what handshakes leave is in hundreds of places */
            heap_rest();
        else
            malloc_trim(0);
        s->trims_due--;
    }
    return rested && s->trims_due == 0;
}

/* Once in a while: what has become idle gives back what it can make again, listeners that ended are
 * started again. */
static void rest_expired(struct timer *timer)
{
    struct server *s = container_of(timer, struct server, rest_timer);
    uint64_t now_ms = loop_now_ms(s->loop);

    for (struct list *node = s->idle.next; node != &s->idle; node = node->next) {
        struct conn *conn = container_of(node, struct conn, link);
        if (now_ms - conn->since_ms < SERVER_REST_MS)
            break; /* those behind it came later */
        session_rest(&conn->session);
    }
    bool accepting = true;
    for (unsigned i = 0; i < s->listener_count && !s->draining; i++)
        if (!io_watch_armed(&s->listeners[i].watch) &&
            io_watch_accept(s->loop, &s->listeners[i].watch, s->listeners[i].fd) < 0)
            accepting = false;
    bool rested = give_back_memory(s);
    if (!accepting || !rested || s->conn_count > 0)
        timer_set(loop_timers(s->loop), &s->rest_timer, now_ms + SERVER_REST_MS);
}

void server_init(struct server *s, struct loop *loop, const struct conn_role *role, int channel,
                 unsigned conn_max)
{
    *s = (struct server){.loop = loop,
                         .role = role,
                         .channel = channel,
                         .conn_max = conn_max,
                         .idle_ms = LIMIT_IDLE_MS};
    list_init(&s->idle);
    list_init(&s->hellos);
    list_init(&s->busy);
    later_init(&s->hello_turn, begin_handshakes);
    timer_init(&s->hello_timer, hello_expired);
    slot_table_init(&s->parked);
    timer_init(&s->rest_timer, rest_expired);
    timer_init(&s->drain_timer, drain_expired);
    timer_init(&s->accept_timer, accept_again);
}

void server_finish(struct server *s)
{
    timer_stop(loop_timers(s->loop), &s->rest_timer);
    timer_stop(loop_timers(s->loop), &s->drain_timer);
    timer_stop(loop_timers(s->loop), &s->accept_timer);
    timer_stop(loop_timers(s->loop), &s->hello_timer);
    later_stop(&s->hello_turn);
    slot_table_finish(&s->parked);
    chunk_pool_finish(&s->chunks);
    free(s->message);
}
