/* One request and its response on a connection, and the loop that serves one after the other.
 *
 * The head of a request is copied out of the connection's input, so that its spans stay valid while
 * a body comes in; it is consumed there only when a handler begins to answer or to read the body.
 * So a handler that hands the connection over leaves everything in place for whoever serves it
 * next.
 *
 * Responses go through one chunk per connection: what is small leaves as one record and one send,
 * and answers to pipelined requests leave together. All functions with a task return 0 or -errno;
 * after an error the connection is broken.
 */
#pragma once

#include "http/access_log.h"
#include "http/body.h"
#include "http/request.h"
#include "http/response.h"
#include "net/conn.h"

struct exchange;

/* What http keeps per ring. */
struct http {
    /* Answers one request. CONN_IDLE: answered, go on with the next; anything else ends the
     * serving. */
    enum conn_after (*handle)(struct task *t, struct exchange *x);
    struct access_log *log; /* NULL: none */
    struct exchange *spare; /* for the next connection that has something to say; NULL: none */
    bool server_field;      /* send "Server" */
    int64_t date_s;         /* the second that `date` says */
    char date[32];
};

enum {
    EXCHANGE_HEAD_BYTES = 16 * 1024,                      /* a response's head */
    EXCHANGE_LOCATION_BYTES = EXCHANGE_HEAD_BYTES - 1024, /* of it for a Location */
    EXCHANGE_SMALL_HEAD = 2 * 1024, /* a request's head that needs no allocation */
    EXCHANGE_DRAIN_BYTES =
        16 * 1024 /* an unread body that is read and dropped to keep the connection */
};

#define EXCHANGE_CHUNKED UINT64_MAX

struct exchange {
    struct conn *conn;
    struct http *http;
    struct request request;
    struct span head; /* of the request */
    size_t scanned;   /* for request_find_end() */
    bool consumed;    /* the head is out of the connection's input */

    /* the body of the request */
    uint64_t body_left; /* of a Content-Length */
    bool body_done;
    bool continue_sent;
    struct chunked chunks;  /* of a chunked body */
    struct span chunk_rest; /* of the last piece: what exchange_fill_body() had no room for */
    uint64_t
        pace_end_ms; /* of the window in which the peer must send LIMIT_RATE_BYTES; 0: none yet */
    uint64_t pace_from;                /* conn->received at its beginning */
    uint64_t stretch_ms, stretch_from; /* where the latest STRETCH_BYTES began, as above */
    unsigned stretches_off; /* so many are not received in bulk, however quick they are */
    bool in_bulk;

    /* the response */
    int status;
    bool begun;     /* its head is in `out` */
    bool head_only; /* HEAD, 304: no body whatever the handler writes */
    bool chunked;
    bool close; /* after this response */
    uint64_t body_declared, body_sent;
    uint64_t piece_end; /* of body_sent, within exchange_begin_piece(); else 0 */
    struct buf fields;  /* status line and fields, until the head is complete */
    struct chunk *out;
    char user[LIMIT_USER_NAME_BYTES + 1]; /* for the log */

    char *long_head; /* a request's head beyond EXCHANGE_SMALL_HEAD */
    char small_head[EXCHANGE_SMALL_HEAD];
    char field_bytes[EXCHANGE_HEAD_BYTES];
};

/* The role's `serve`: reads requests, has them handled, finishes them, until the input is empty. */
enum conn_after http_serve(struct task *t, struct conn *conn);

/* --- the request's body --- */

/* The next piece of the body, decoded, at least one byte; it stays valid until the next call.
 * Answers "Expect: 100-continue" first. Returns 1, 0 at the end of the body, or -errno (-EBADMSG:
 * malformed chunks; -EPIPE: the peer has ended before its body, and can be told so). */
int exchange_read_body(struct task *t, struct exchange *x, struct span *ret_piece);

/* The next `len` bytes of the body, decoded, into `out`, which has CONN_OUT_SLACK bytes of room
 * behind them: fewer only at the body's end or an error. `*ret_len` is how many came, also with an
 * error. Returns 1, 0 when the body has ended, or -errno as above. */
int exchange_fill_body(struct task *t, struct exchange *x, uint8_t *out, size_t len,
                       size_t *ret_len);

/* The whole body of at most `max` bytes, without consuming anything: for a form that decides who
 * the request comes from. Returns 0, -E2BIG, or another -errno. */
int exchange_peek_body(struct task *t, struct exchange *x, size_t max, struct span *ret_body);

/* --- the response: status, fields, begin, write, end --- */

void exchange_status(struct exchange *x, int status);
void exchange_field(struct exchange *x, struct span name, struct span value);

/* Several at once, each complete with its end of line. */
void exchange_fields(struct exchange *x, struct span lines);

/* An interim response (1xx), sent at once, where the peer's version of HTTP has such. `fields` are
 * complete with their ends of line. Before exchange_begin(). */
int exchange_interim(struct task *t, struct exchange *x, int status, struct span fields);

/* Completes the head. `length` is that of the body, or EXCHANGE_CHUNKED when it is not known (an
 * HTTP/1.0 peer then gets it until the connection closes). */
int exchange_begin(struct task *t, struct exchange *x, uint64_t length);

/* Writes a piece of the body. */
int exchange_write(struct task *t, struct exchange *x, struct span piece);

/* Announces `length` bytes of the body, at least one, for exchange_write() and file_send() to
 * bring: they are one chunk of the chunked coding, whichever way they go. The latter needs that
 * where the body's length is not known. -EIO at the end of a piece that is not complete. */
int exchange_begin_piece(struct task *t, struct exchange *x, uint64_t length);
int exchange_end_piece(struct task *t, struct exchange *x);

/* Ends the body. A body that is shorter than its length breaks the connection, which is how the
 * peer learns of it. */
int exchange_end(struct task *t, struct exchange *x);

/* Where a response began, to take it back while nothing of it has gone out. */
struct exchange_mark {
    uint32_t sends;
    size_t payload;
};

struct exchange_mark exchange_mark(const struct exchange *x);

/* Forgets the response written since the mark; false when some of it is on its way. */
bool exchange_rewind(struct exchange *x, struct exchange_mark mark);

/* All of it, for a body in memory. */
int exchange_respond(struct task *t, struct exchange *x, int status, struct span type,
                     struct span body);

/* A short answer for an error, in the form that this client likes; fields set since
 * exchange_status() are kept if `status` was given there. `detail` is a sentence for people or "".
 */
int exchange_error(struct task *t, struct exchange *x, int status, struct span detail);

/* 303 with an empty body. */
int exchange_redirect(struct task *t, struct exchange *x, int status, struct span location);

/* Sends what is waiting in `out`. */
int exchange_flush(struct task *t, struct exchange *x);

/* The handler's result for the return value of one of the functions above. */
static inline enum conn_after exchange_after(int r)
{
    return r < 0 ? CONN_BROKEN : CONN_IDLE;
}
