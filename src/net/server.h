/* The connections of one ring: its listeners, its limits, and what a role does with a connection.
 */
#pragma once

#include "net/channel.h"
#include "net/chunk.h"
#include "rt/io.h"
#include "rt/slot.h"

struct conn;
struct http;
struct server;
struct tls_context;

/* What becomes of a connection when serving it returns. */
enum conn_after {
    CONN_CLOSE,  /* say goodbye, wait for the peer's, and close */
    CONN_IDLE,   /* nothing to do until bytes arrive */
    CONN_PARKED, /* the role keeps it, without a task, until it calls conn_resume() */
    CONN_GONE,   /* handed over: our copy is closed without a word to the peer */
    CONN_BROKEN, /* the connection failed: close, nothing can be said */
};

struct conn_role {
    /* Serves what has come in and returns when nothing is left of it. */
    enum conn_after (*serve)(struct task *t, struct conn *conn);
    /* Takes one message of the monitor; descriptors become the role's. */
    void (*message)(struct server *server, enum message_kind kind, struct span payload,
                    const int *fds, size_t fd_count);
};

struct listener {
    struct io_watch watch;
    struct server *server;
    int fd;
    bool again; /* cancelled to begin anew */
};

/* Connections per address, by a hash of it; collisions only make eviction a little less fair. */
enum { SERVER_ADDRESS_BUCKETS = 1024 };

struct server {
    struct loop *loop;
    const struct conn_role *role;
    struct http *http;       /* what http keeps per ring */
    void *role_state;        /* what the role keeps per ring */
    struct tls_context *tls; /* for new connections; NULL: plain HTTP */
    ktls_support ktls;       /* what the kernel may seal */
    int channel;             /* to the monitor */
    struct io_watch channel_watch;
    char *message; /* of the monitor, while it is read */

    struct listener listeners[4];
    unsigned listener_count;

    struct list idle;         /* longest waiting first */
    unsigned handshakes;      /* begun and not done */
    unsigned conns_peak;      /* since memory was given back */
    unsigned trims_due;       /* of the heap */
    struct list hellos;       /* with the first bytes of a handshake; first come, first served */
    struct list busy;         /* with a task, or parked */
    struct slot_table parked; /* connections that wait for a verdict, by the token it will name */
    unsigned conn_count;
    unsigned conn_max;
    uint32_t conns_by_address[SERVER_ADDRESS_BUCKETS];
    bool before_login; /* nobody here has logged in: busy connections may be evicted too */
    uint32_t idle_ms;  /* how long a connection may wait for its next request */

    struct later hello_turn;
    struct timer hello_timer;
    struct chunk_pool chunks;
    struct timer rest_timer; /* connections that stay idle give more memory back */
    struct timer drain_timer;
    struct timer accept_timer; /* see server_listen() */
    uint32_t accept_again_ms;
    bool draining;
};

enum {
    /* Lent receive buffers per ring and the size of each: they are copied from at once. */
    SERVER_RECV_BUFFERS = 128,
    SERVER_RECV_BUFFER_BYTES = 2 * 1024,
    /* A connection that has been idle this long frees its cipher contexts too. */
    SERVER_REST_MS = 2 * 1000,
    /* Handshakes that begin per turn of the loop. Each is 0.2 ms of arithmetic, and 40 KiB until it
     * is done; so those that have begun, and everybody else's requests, go first, and a burst of a
     * thousand connections does not take the memory of a thousand handshakes. */
    SERVER_HELLOS_PER_TURN = 8,
    /* With more than this many under way, new ones begin one per millisecond, at the pace of the
     * timers: as fast as anybody needs, and slow enough for those under way to be done. (128 made a
     * burst no faster, and left half a MiB more of holes in the heap.) */
    SERVER_HANDSHAKES_EASY = 32,
    SERVER_HELLO_PAUSE_MS = TIMER_TICK_MS,
    /* So many connections less than there were, and what they took is given back. */
    SERVER_GIVE_BACK_CONNS = 64,
    /* At once, and twice later, when the pools have given back what was kept for more of them. */
    SERVER_TRIMS = 3,
    /* Eviction begins at this share of conn_max. */
    SERVER_CROWDED_PERCENT = 80,
    /* How many of the longest waiting connections are compared for the crowdest address. */
    SERVER_EVICTION_WINDOW = 64,
};

/* Prepares everything but the loop, which must exist. `channel` stays the caller's. */
void server_init(struct server *s, struct loop *loop, const struct conn_role *role, int channel,
                 unsigned conn_max);

/* Frees what server_init() and serving took; no connection may be left. */
void server_finish(struct server *s);

/* Starts accepting on `fd`. Returns 0 or -errno. */
int server_listen(struct server *s, int fd);

/* Starts reading the channel. Its end means that the monitor is gone, and drains without grace. */
int server_watch_channel(struct server *s);

/* No new connections, no further requests; the loop stops when the last connection is closed, or at
 * the latest after LIMIT_DRAIN_MS. */
void server_drain(struct server *s, uint32_t grace_ms);

/* Sends on the channel, waiting while it is full. Returns 0 or -errno. */
int server_send(struct task *t, struct server *s, enum message_kind kind, struct span first,
                struct span second, const int *fds, size_t fd_count);

/* For conn.c: a connection comes, goes, and how crowded it is. */
void server_add(struct server *s, struct conn *conn);
void server_remove(struct server *s, struct conn *conn);
