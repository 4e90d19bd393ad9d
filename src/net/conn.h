/* A connection: handshake → serve → close.
 *
 *     accepted ─► idle ─► hello ─► handshake ─► serve ⟲ idle ─► close
 *     handed over ─────────────────────────────────┘
 *
 * While it is busy it has one task, which alone reads and writes. While it is idle it has no task
 * and no stack, only this struct, its keys and a pending receive. Reading gives opened bytes;
 * writing takes chunks and seals them. Functions with a task may suspend and return 0, a count, or
 * -errno; after an error the connection is only good for closing.
 */
#pragma once

#include "net/input.h"
#include "net/server.h"

enum conn_state {
    CONN_STATE_BUSY,
    CONN_STATE_IDLE,
    CONN_STATE_HELLO, /* its first bytes are here; the handshake waits for its turn */
    CONN_STATE_PARKED,
    CONN_STATE_CLOSING, /* idle no more; its last completion is to come */
};

struct conn {
    struct list link;
    struct server *server;
    struct task *task; /* while busy */
    int fd;
    enum conn_state state;
    bool is_tls;
    bool kernel_tx;   /* the kernel seals what we send; session.tx only counts */
    bool nonblocking; /* the socket is, for sendfile(2) */
    bool shaken;      /* the handshake is done, or there is none */
    bool adopted;     /* it came in a message, and what it came with is not answered yet */
    bool reviewed;    /* the monitor's verdict on our own hand-over is not answered yet */
    bool last;        /* what is sent now is the last: it leaves in one segment with the goodbye */
    bool ending;      /* its credential is no longer good, or its keys: close after this request */
    uint16_t address_bucket;
    uint32_t requests;
    uint32_t sends;    /* chunks that went out: whether something can still be taken back */
    uint64_t since_ms; /* idle or busy since */
    uint64_t received; /* bytes, while busy: whether the peer keeps its pace */
    uint64_t token;    /* while parked, else 0 */
    struct io_watch watch;
    struct timer timer;
    struct tls_session session;
    struct input input;
    struct approval approval;
};

/* Takes over an accepted socket and waits for its first bytes. On failure (-errno) `fd` is closed.
 */
int conn_accept(struct server *s, int fd);

/* For server.c: it is this connection's turn. */
void conn_begin_handshake(struct conn *conn);

/* Takes over a connection that came in a message; starts serving it. On failure `fd` is closed. */
int conn_adopt(struct server *s, int fd, const struct handover *handover, struct span bytes);

/* A name for the connection while it is parked, by which the verdict will find it. Returns 0 or
 * -ENOMEM. To be taken back with conn_forget_token() when it is not parked after all. */
int conn_take_token(struct conn *conn, uint64_t *ret_token);
void conn_forget_token(struct conn *conn);

/* The parked connection of that name, or NULL when it is gone. */
struct conn *conn_by_token(struct server *s, uint64_t token);

/* Serves a parked connection again. */
void conn_resume(struct conn *conn);

/* Closes our copy of a parked connection's socket: it lives on in another process. */
void conn_release(struct conn *conn);

/* Ends a connection from outside: an idle one is closed, a busy one's task is cancelled, of a
 * parked one our copy is closed. */
void conn_abort(struct conn *conn);

/* Opened bytes that have come in and are not consumed. */
static inline struct span conn_pending(const struct conn *conn)
{
    return input_plain(&conn->input);
}

static inline void conn_consume(struct conn *conn, size_t len)
{
    input_consume(&conn->input, len);
}

/* Makes conn_pending() longer: opens what has been received or receives more. Returns 1, 0 at the
 * end of the stream, -ENOBUFS when nothing more fits, -ETIMEDOUT, or another -errno. */
int conn_read(struct task *t, struct conn *conn);

/* The same without waiting: whether received records can be opened. Returns 1, 0 or -errno. */
int conn_open_received(struct conn *conn);

/* What has come in goes to `out`, at most `len` bytes of it, and not by way of conn_pending() where
 * that can be avoided; `out` has CONN_OUT_SLACK bytes of room behind these `len`, which may be
 * overwritten. Does not wait. Returns the number of bytes, 0 when nothing is there, -EPIPE at the
 * end of the stream, or another -errno. */
enum { CONN_OUT_SLACK = 1 };
ssize_t conn_take(struct conn *conn, uint8_t *out, size_t len);

/* What is to be received of a body. */
struct conn_piece {
    uint8_t *out;
    size_t len;    /* wanted now */
    uint64_t left; /* of the body: as much at least */
    bool in_bulk; /* waits for much where much is wanted, until the task's deadline: woken rarely */
    size_t taken; /* is in `out`: none with TLS */
};

/* Waits until more has been received; without TLS straight to `out`. Returns the number of bytes, 0
 * at the end of the stream, -ETIMEDOUT, or another -errno. */
ssize_t conn_receive_body(struct task *t, struct conn *conn, struct conn_piece *piece);

/* An empty chunk for this connection; NULL when memory is short. */
struct chunk *conn_chunk(struct conn *conn, enum chunk_size size);

/* Seals and sends all of a chunk and empties it. -ETIMEDOUT for a peer that takes too little.
 * `ret_slow` (may be NULL): whether it took the peer CONN_SLOW_MS to make room. */
enum { CONN_SLOW_MS = 20 };
int conn_send(struct task *t, struct conn *conn, struct chunk *c, bool *ret_slow);

/* The same for a chunk that something follows at once, so that records and segments get full. */
int conn_send_more(struct task *t, struct conn *conn, struct chunk *c);

/* Lets the kernel seal what is sent from now on, `len` bytes at first, where it can. Whoever holds
 * a chunk of this connection must move it into a new one afterwards. Returns whether the socket
 * takes plain bytes: always without TLS. */
bool conn_use_kernel(struct conn *conn, uint64_t len);

/* Sends `len` bytes of a file that are in the page cache, without a copy, and more is to follow;
 * conn_use_kernel() must have said yes. Returns 0, -EIO when the file is shorter, -ETIMEDOUT as
 * conn_send(), or another -errno. */
int conn_send_file(struct task *t, struct conn *conn, int fd, uint64_t offset, size_t len);

/* Hands the connection, with everything that came in and was not consumed, to the monitor for
 * `credential`. The socket stays open here; nothing may be done on it until the monitor says
 * what became of it. Returns 0 or -errno. */
int conn_hand_over(struct task *t, struct conn *conn, uint64_t token,
                   const struct credential *credential);
