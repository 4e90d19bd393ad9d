#include "http/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "http/date.h"

/* --- the response's head --- */

static struct span current_date(struct http *http)
{
    struct timespec now;

    /* A few ns from the vDSO; formatted once a second. */
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (http->date_s != now.tv_sec) {
        http->date_s = now.tv_sec;
        date_format_http(now.tv_sec, http->date);
    }
    return span_of(http->date, DATE_HTTP_BYTES);
}

void exchange_status(struct exchange *x, int status)
{
    assert(!x->begun);
    x->status = status;
    buf_init_fixed(&x->fields, x->field_bytes, sizeof(x->field_bytes));
    response_status_line(&x->fields, status);
    response_field(&x->fields, SPAN("Date"), current_date(x->http));
    if (x->http->server_field)
        response_field(&x->fields, SPAN("Server"), SPAN("fastfile"));
}

void exchange_field(struct exchange *x, struct span name, struct span value)
{
    response_field(&x->fields, name, value);
}

void exchange_fields(struct exchange *x, struct span lines)
{
    buf_append(&x->fields, lines);
}

/* The request's head leaves the connection's input: from here on the request is ours to answer. */
static void consume_head(struct exchange *x)
{
    if (x->consumed)
        return;
    x->consumed = true;
    conn_consume(x->conn, x->head.len);
}

/* A body that nobody has read: a short one that is on its way anyway is dropped at the end; for a
 * long one the connection closes. */
static void decide_closing(struct exchange *x)
{
    if (x->conn->server->draining || x->conn->ending || !x->request.keep_alive)
        x->close = true;
    if (!x->body_done && x->request.has_body &&
        (x->request.chunked || x->body_left > EXCHANGE_DRAIN_BYTES ||
         (x->request.expect_continue && !x->continue_sent)))
        x->close = true;
}

static bool status_without_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

int exchange_flush(struct task *t, struct exchange *x)
{
    if (!x->out)
        return 0;
    int r = conn_send(t, x->conn, x->out, NULL);
    chunk_give_back(&x->conn->server->chunks, x->out);
    x->out = NULL;
    return r;
}

static int put(struct task *t, struct exchange *x, struct span s)
{
    while (s.len > 0) {
        if (!x->out && !(x->out = conn_chunk(x->conn, CHUNK_SMALL)))
            return -ENOMEM;
        s = span_skip(s, chunk_append(x->out, s));
        if (chunk_room(x->out) == 0) {
            int r = conn_send(t, x->conn, x->out, NULL);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int exchange_interim(struct task *t, struct exchange *x, int status, struct span fields)
{
    char memory[64];
    struct buf line;

    assert(!x->begun);
    if (x->request.minor_version == 0)
        return 0;
    buf_init_fixed(&line, memory, sizeof(memory));
    response_status_line(&line, status);
    int r = buf_failed(&line) ? -ENOBUFS : put(t, x, buf_span(&line));
    if (r == 0)
        r = put(t, x, fields);
    if (r == 0)
        r = put(t, x, SPAN("\r\n"));
    return r < 0 ? r : exchange_flush(t, x);
}

int exchange_begin(struct task *t, struct exchange *x, uint64_t length)
{
    assert(x->status != 0 && !x->begun);
    consume_head(x);
    decide_closing(x);
    x->begun = true;
    x->head_only = x->request.method == METHOD_HEAD || status_without_body(x->status);
    x->body_declared = length;
    if (length == EXCHANGE_CHUNKED) {
        x->chunked = x->request.minor_version >= 1;
        if (x->chunked)
            response_field(&x->fields, SPAN("Transfer-Encoding"), SPAN("chunked"));
        else
            x->close = true;
    } else if (!status_without_body(x->status)) {
        response_field_u64(&x->fields, SPAN("Content-Length"), length);
    }
    if (x->close)
        response_field(&x->fields, SPAN("Connection"), SPAN("close"));
    else if (x->request.minor_version == 0)
        response_field(&x->fields, SPAN("Connection"), SPAN("keep-alive"));
    response_end(&x->fields);
    if (buf_failed(&x->fields))
        return -ENOBUFS;
    return put(t, x, buf_span(&x->fields));
}

/* --- the response's body --- */

static int put_chunk_size(struct task *t, struct exchange *x, uint64_t len)
{
    char line[24];
    struct buf b;

    buf_init_fixed(&b, line, sizeof(line));
    buf_printf(&b, "%llx\r\n", (unsigned long long)len);
    return put(t, x, buf_span(&b));
}

int exchange_write(struct task *t, struct exchange *x, struct span piece)
{
    assert(x->begun);
    if (piece.len == 0)
        return 0;
    x->body_sent += piece.len;
    if (x->head_only)
        return 0;
    if (!x->chunked || x->piece_end != 0)
        return put(t, x, piece);
    int r = put_chunk_size(t, x, piece.len);
    if (r == 0)
        r = put(t, x, piece);
    return r < 0 ? r : put(t, x, SPAN("\r\n"));
}

int exchange_begin_piece(struct task *t, struct exchange *x, uint64_t length)
{
    assert(x->begun && length > 0 && x->piece_end == 0);
    x->piece_end = x->body_sent + length;
    return x->chunked && !x->head_only ? put_chunk_size(t, x, length) : 0;
}

int exchange_end_piece(struct task *t, struct exchange *x)
{
    bool complete = x->body_sent == x->piece_end;

    x->piece_end = 0;
    if (!complete)
        return -EIO;
    return x->chunked && !x->head_only ? put(t, x, SPAN("\r\n")) : 0;
}

int exchange_end(struct task *t, struct exchange *x)
{
    assert(x->piece_end == 0);
    if (x->chunked && !x->head_only)
        return put(t, x, SPAN("0\r\n\r\n"));
    if (!x->head_only && x->body_declared != EXCHANGE_CHUNKED && x->body_sent != x->body_declared)
        return -EIO;
    return 0;
}

struct exchange_mark exchange_mark(const struct exchange *x)
{
    return (struct exchange_mark){x->conn->sends, x->out ? x->out->payload : 0};
}

bool exchange_rewind(struct exchange *x, struct exchange_mark mark)
{
    if (x->conn->sends != mark.sends)
        return false;
    if (x->out)
        x->out->payload = mark.payload;
    x->status = 0;
    x->body_sent = x->piece_end = 0;
    x->begun = x->head_only = x->chunked = x->close = false;
    return true;
}

int exchange_respond(struct task *t, struct exchange *x, int status, struct span type,
                     struct span body)
{
    if (x->status != status)
        exchange_status(x, status);
    exchange_field(x, SPAN("Content-Type"), type);
    int r = exchange_begin(t, x, body.len);
    if (r == 0)
        r = exchange_write(t, x, body);
    return r < 0 ? r : exchange_end(t, x);
}

enum { ERROR_BODY_BYTES = 4 * 1024 };

int exchange_error(struct task *t, struct exchange *x, int status, struct span detail)
{
    enum body_form form = response_form(&x->request);
    struct buf body;

    if (x->status != status)
        exchange_status(x, status);
    exchange_field(x, SPAN("Cache-Control"), SPAN("no-store"));
    exchange_field(x, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    if (form == BODY_HTML)
        exchange_field(x, SPAN("Content-Security-Policy"), SPAN(RESPONSE_ERROR_CSP));
    buf_init_growing(&body, ERROR_BODY_BYTES);
    response_error_body(&body, form, status, detail);
    int r = exchange_respond(t, x, status, response_form_type(form), buf_span(&body));
    buf_finish(&body);
    return r;
}

int exchange_redirect(struct task *t, struct exchange *x, int status, struct span location)
{
    if (x->status != status)
        exchange_status(x, status);
    exchange_field(x, SPAN("Location"), location);
    int r = exchange_begin(t, x, 0);
    return r < 0 ? r : exchange_end(t, x);
}

/* --- the request's body --- */

static int say_continue(struct task *t, struct exchange *x)
{
    if (!x->request.expect_continue || x->continue_sent)
        return 0;
    x->continue_sent = true;
    /* A peer that sends without waiting does not need it (RFC 9110 section 10.1.1). */
    if (conn_pending(x->conn).len > (x->consumed ? 0 : x->head.len))
        return 0;
    int r = put(t, x, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    return r < 0 ? r : exchange_flush(t, x);
}

static void begin_window(struct exchange *x)
{
    x->pace_end_ms = loop_now_ms(x->conn->server->loop) + LIMIT_RATE_WINDOW_MS;
    x->pace_from = x->conn->received;
}

/* To wait for large pieces spares wake-ups where a body comes quickly. On a long line it would hold
 * it up: what lies in the socket unread is missing in the window, which then does not grow. So it
 * is done only while the line carries 64 MiB a second, and not for a while after it did no more. */
enum { STRETCH_BYTES = 1024 * 1024, STRETCH_QUICK_MS = 16, STRETCHES_OFF = 16 };

static void look_at_speed(struct exchange *x)
{
    uint64_t now_ms = loop_now_ms(x->conn->server->loop);

    if (x->conn->received - x->stretch_from < STRETCH_BYTES)
        return;
    bool quick = now_ms - x->stretch_ms <= STRETCH_QUICK_MS;
    if (x->in_bulk && !quick)
        x->stretches_off = STRETCHES_OFF;
    else if (x->stretches_off > 0)
        x->stretches_off--;
    x->in_bulk = quick && x->stretches_off == 0;
    x->stretch_ms = now_ms;
    x->stretch_from = x->conn->received;
}

/* `to`: where a body goes to without passing through the connection's input; NULL: nowhere. */
static ssize_t receive(struct task *t, struct exchange *x, struct conn_piece *to)
{
    if (!to)
        return conn_read(t, x->conn);
    look_at_speed(x);
    to->left = x->body_left;
    to->in_bulk = x->in_bulk;
    return conn_receive_body(t, x->conn, to);
}

/* The peer has ended what it sends, and may still wait for the answer. */
static int end_early(struct exchange *x)
{
    x->close = true;
    return -EPIPE;
}

/* Waits for more input, with the same minimum rate as for output. Returns 1 or -errno. */
static int read_steadily(struct task *t, struct exchange *x, struct conn_piece *to)
{
    struct loop *loop = x->conn->server->loop;
    ssize_t r;

    /* Nothing may wait unsent while we wait for the peer: it may be waiting for us. */
    r = exchange_flush(t, x);
    if (r < 0)
        return (int)r;
    /* The time in which nobody has asked for its bytes is not the peer's. */
    if (x->pace_end_ms == 0 || loop_now_ms(loop) >= x->pace_end_ms)
        begin_window(x);
    for (;;) {
        task_set_deadline(t, x->pace_end_ms);
        r = receive(t, x, to);
        task_set_deadline(t, TIMER_NEVER);
        if (r != -ETIMEDOUT && loop_now_ms(loop) < x->pace_end_ms)
            break;
        if (x->conn->received - x->pace_from < LIMIT_RATE_BYTES)
            return -ETIMEDOUT;
        begin_window(x);
        task_revive(t); /* also where bytes have come together with the end of their time */
        if (r != -ETIMEDOUT)
            break;
    }
    return r > 0 ? 1 : r == 0 ? end_early(x) : (int)r;
}

/* Whether a piece of a body with a length has come in. */
static bool take_counted(struct exchange *x, struct span *ret_piece)
{
    *ret_piece = conn_pending(x->conn);
    if (ret_piece->len > x->body_left)
        ret_piece->len = (size_t)x->body_left;
    conn_consume(x->conn, ret_piece->len);
    x->body_left -= ret_piece->len;
    x->body_done = x->body_left == 0;
    return ret_piece->len > 0;
}

/* The same of a chunked one. Returns 1, 0 where there is none, or -EBADMSG. */
static int take_chunked(struct exchange *x, struct span *ret_piece)
{
    size_t consumed;

    do {
        struct span pending = conn_pending(x->conn);
        if (pending.len == 0)
            return 0;
        int r = chunked_decode(&x->chunks, pending, &consumed, ret_piece);
        if (r < 0) {
            x->close = true;
            return -EBADMSG;
        }
        conn_consume(x->conn, consumed);
        x->body_done = r == 1;
    } while (ret_piece->len == 0 && !x->body_done);
    return ret_piece->len > 0;
}

static int take_piece(struct exchange *x, struct span *ret_piece)
{
    return x->request.chunked ? take_chunked(x, ret_piece) : take_counted(x, ret_piece);
}

static int begin_body(struct task *t, struct exchange *x)
{
    int r = say_continue(t, x);

    if (r == 0)
        consume_head(x);
    return r;
}

int exchange_read_body(struct task *t, struct exchange *x, struct span *ret_piece)
{
    int r = x->body_done ? 0 : begin_body(t, x);

    while (r >= 0 && !x->body_done) {
        r = take_piece(x, ret_piece);
        if (r == 0 && !x->body_done)
            r = read_steadily(t, x, NULL);
        else if (r != 0)
            return r;
    }
    return r < 0 ? r : 0;
}

static int fill_counted(struct task *t, struct exchange *x, uint8_t *out, size_t len,
                        size_t *ret_len)
{
    int r = 0;

    while (r >= 0 && *ret_len < len && !x->body_done) {
        size_t wanted = len - *ret_len;
        if (wanted > x->body_left)
            wanted = (size_t)x->body_left;
        struct conn_piece to = {.out = out + *ret_len, .len = wanted};
        ssize_t taken = conn_take(x->conn, to.out, to.len);
        if (taken == 0) {
            r = read_steadily(t, x, &to);
            taken = (ssize_t)to.taken;
            /* Of a window that was too slow, what came last counts, too. */
            if (r == -ETIMEDOUT && taken == 0)
                taken = conn_take(x->conn, to.out, to.len);
        }
        if (taken < 0) {
            r = taken == -EPIPE ? end_early(x) : (int)taken;
            taken = 0;
        }
        *ret_len += (size_t)taken;
        x->body_left -= (uint64_t)taken;
        x->body_done = x->body_left == 0;
    }
    return r;
}

static int fill_chunked(struct task *t, struct exchange *x, uint8_t *out, size_t len,
                        size_t *ret_len)
{
    int r = 0;

    while (r >= 0 && *ret_len < len && !x->body_done) {
        struct span piece = x->chunk_rest;
        r = piece.len > 0 ? 1 : exchange_read_body(t, x, &piece);
        if (r <= 0)
            break;
        size_t part = piece.len < len - *ret_len ? piece.len : len - *ret_len;
        memcpy(out + *ret_len, piece.data, part);
        x->chunk_rest = span_skip(piece, part);
        *ret_len += part;
    }
    return r;
}

int exchange_fill_body(struct task *t, struct exchange *x, uint8_t *out, size_t len,
                       size_t *ret_len)
{
    *ret_len = 0;
    int r = x->body_done ? 0 : begin_body(t, x);
    if (r < 0)
        return r;
    r = x->request.chunked ? fill_chunked(t, x, out, len, ret_len)
                           : fill_counted(t, x, out, len, ret_len);
    if (r < 0)
        return r;
    return !x->body_done || x->chunk_rest.len > 0;
}

int exchange_peek_body(struct task *t, struct exchange *x, size_t max, struct span *ret_body)
{
    assert(!x->consumed);
    if (!x->request.has_content_length || x->request.content_length > max)
        return -E2BIG;
    int r = say_continue(t, x);
    if (r < 0)
        return r;
    while (conn_pending(x->conn).len < x->head.len + x->request.content_length) {
        r = read_steadily(t, x, NULL);
        if (r < 0)
            return r;
    }
    *ret_body =
        span_first(span_skip(conn_pending(x->conn), x->head.len), x->request.content_length);
    return 0;
}

/* --- one request after the other --- */

/* Credentials pass through here. */
static void forget_head(struct exchange *x)
{
    if (x->head.data)
        explicit_bzero((void *)(uintptr_t)x->head.data, x->head.len);
    free(x->long_head);
    x->long_head = NULL;
}

static void exchange_reset(struct exchange *x)
{
    forget_head(x);
    x->head = (struct span){0};
    x->scanned = 0;
    x->status = 0;
    x->user[0] = '\0';
    x->body_left = x->body_declared = x->body_sent = x->piece_end = 0;
    x->chunks = (struct chunked){0};
    x->chunk_rest = (struct span){0};
    x->pace_end_ms = 0;
    x->stretch_ms = 0; /* so the first one does not count as quick */
    x->stretch_from = x->conn->received;
    x->stretches_off = 0;
    x->in_bulk = false;
    x->consumed = x->body_done = x->continue_sent = false;
    x->begun = x->head_only = x->chunked = x->close = false;
}

static int keep_head(struct exchange *x, struct span head)
{
    char *copy = x->small_head;

    if (head.len > sizeof(x->small_head)) {
        copy = x->long_head = malloc(head.len);
        if (!copy)
            return -ENOMEM;
    }
    memcpy(copy, head.data, head.len);
    x->head = span_of(copy, head.len);
    return 0;
}

/* Nothing but the goodbye will follow. */
static int flush_last(struct task *t, struct exchange *x)
{
    x->conn->last = true;
    return exchange_flush(t, x);
}

/* Answers a request that could not be understood, or did not come in time, and ends. */
static enum conn_after refuse(struct task *t, struct exchange *x, int status)
{
    task_revive(t);
    task_set_deadline(t, TIMER_NEVER);
    x->request = (struct request){.minor_version = 1};
    x->consumed = true; /* the connection ends: nothing in its input matters any more */
    x->close = true;
    int r = exchange_error(t, x, status, SPAN(""));
    if (r == 0)
        r = flush_last(t, x);
    access_log_request(x);
    return r < 0 ? CONN_BROKEN : CONN_CLOSE;
}

/* Waits for a complete head. Returns its length, 0 when there is no byte of one, or -errno. */
static int wait_for_head(struct task *t, struct exchange *x)
{
    struct conn *conn = x->conn;
    bool waiting = false;

    for (;;) {
        struct span pending = conn_pending(conn);
        size_t end = pending.len > 0 ? request_find_end(pending, &x->scanned) : 0;
        if (end > 0) {
            if (waiting)
                task_set_deadline(t, TIMER_NEVER);
            return (int)end;
        }
        int r = conn_open_received(conn);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        if (pending.len == 0 && input_empty(&conn->input))
            return 0;
        /* Nothing may wait unsent while we wait for the peer. Where that fails there is nobody to
         * answer: what comes next would be taken for the rest of it. */
        if (exchange_flush(t, x) < 0)
            return -ECONNRESET;
        if (!waiting)
            task_set_deadline(t, loop_now_ms(conn->server->loop) + LIMIT_HEAD_MS);
        waiting = true;
        r = conn_read(t, conn);
        if (r <= 0)
            return r < 0 ? r : -EPIPE;
    }
}

/* Returns 1 with a request, 0 when there is none yet, or -errno; `*ret_refused` is a status where
 * one has to be answered. */
static int read_request(struct task *t, struct exchange *x, int *ret_refused)
{
    *ret_refused = 0;
    int r = wait_for_head(t, x);
    if (r == -ETIMEDOUT)
        *ret_refused = conn_pending(x->conn).len > 0 ? 408 : 0;
    if (r == -ENOBUFS)
        *ret_refused = 431;
    if (r <= 0)
        return r;
    struct span head = span_first(conn_pending(x->conn), (size_t)r);
    r = keep_head(x, head);
    if (r < 0)
        return r;
    r = request_parse(x->head, &x->request);
    if (r <= 0) {
        *ret_refused = r < 0 ? -r : 400;
        return -EBADMSG;
    }
    x->head.len = (size_t)r;
    x->body_left = x->request.content_length;
    x->body_done = !x->request.has_body;
    x->conn->requests++;
    return 1;
}

/* After the handler: what is left of the request's body goes, so that the next request is in front.
 */
static int finish_request(struct task *t, struct exchange *x)
{
    struct span piece;
    int r = 0;

    assert(x->begun);
    if (x->close)
        return 0;
    while (!x->body_done && (r = exchange_read_body(t, x, &piece)) > 0)
        continue;
    return r;
}

static enum conn_after serve_requests(struct task *t, struct exchange *x)
{
    for (;;) {
        int refused;
        exchange_reset(x);
        int r = read_request(t, x, &refused);
        if (refused != 0)
            return refuse(t, x, refused);
        if (r == 0)
            return exchange_flush(t, x) < 0 ? CONN_BROKEN : CONN_IDLE;
        if (r < 0)
            return r == -EPIPE && flush_last(t, x) == 0 ? CONN_CLOSE : CONN_BROKEN;
        enum conn_after after = x->http->handle(t, x);
        if (after != CONN_IDLE) {
            if (x->begun)
                access_log_request(x);
            return after;
        }
        access_log_request(x);
        if (finish_request(t, x) < 0)
            return CONN_BROKEN;
        if (x->close)
            return flush_last(t, x) < 0 ? CONN_BROKEN : CONN_CLOSE;
    }
}

enum conn_after http_serve(struct task *t, struct conn *conn)
{
    struct http *http = conn->server->http;
    struct exchange *x = http->spare ? http->spare : malloc(sizeof(*x));

    if (!x)
        return CONN_BROKEN;
    http->spare = NULL;
    x->conn = conn;
    x->http = http;
    x->out = NULL;
    x->long_head = NULL;
    x->head = (struct span){0};
    enum conn_after after = serve_requests(t, x);
    if (x->out)
        chunk_give_back(&conn->server->chunks, x->out);
    forget_head(x);
    if (http->spare)
        free(x);
    else
        http->spare = x;
    return after;
}
