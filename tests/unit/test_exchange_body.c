/* Bodies of requests filled into a buffer: whatever they are cut into, by either side, their bytes
 * are the same, none is written behind the buffer, and the next request is found behind them. And
 * the pace that a sender has to keep. On the simulated backend: time passes only when nothing else
 * happens. */
#include "assert_span.h"
#include "sim_clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/exchange.h"
#include "net/handover.h"
#include "rt/io_sim.h"

enum {
    BODY_BYTES = 150 * 1000,
    /* So much has to come quickly before it is waited for in large pieces, and then some. */
    HURRY_BYTES = 2600 * 1000,
    LONG_BYTES = 3000 * 1000,
    GUARD_BYTES = 32,
    GUARD = 0x5a,
    SMALL_ROOM = 64 * 1024,
    LARGE_ROOM = 256 * 1024, /* for which it is waited until much is there */
    WIRE_BYTES_MAX = 8 * 1024 * 1024,
};

struct rig {
    struct loop *loop;
    struct server server;
    struct http http;

    /* the peer */
    int fd;
    uint16_t tls; /* its version; 0: none */
    struct tls_session session;
    size_t record_bytes;
    enum { GOES_ON, SAYS_GOODBYE, FORGES } end; /* behind its last record */
    struct buf wire;                            /* what it sends, `piece` bytes each `every_ms` */
    size_t sent, piece;
    size_t hurry; /* so many bytes at first, as fast as they are taken */
    uint64_t every_ms, next_ms;
    bool stays; /* the end of what it sends is not the end of the stream */
    /* A receive is put off, and time passes meanwhile: its deadline comes first. */
    bool late;
    uint64_t random;

    /* the handler */
    size_t room;       /* of its buffer */
    uint64_t pause_ms; /* between two calls */
    struct buf got;
    int result; /* of the last call */
    unsigned bodies, others, receives;
};

/* --- the mark of the socket --- */

static unsigned marks_set, mark_that_fails; /* counted from 1; 0: none */

int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    if (++marks_set == mark_that_fails) {
        errno = EPERM;
        return -1;
    }
    return __real_setsockopt(fd, level, option, value, length);
}

/* --- the handler --- */

static int fill_once(struct task *t, struct rig *rig, struct exchange *x)
{
    uint8_t *buffer = malloc(rig->room + CONN_OUT_SLACK + GUARD_BYTES);
    size_t len = 99;

    assert_non_null(buffer);
    memset(buffer, GUARD, rig->room + CONN_OUT_SLACK + GUARD_BYTES);
    int r = exchange_fill_body(t, x, buffer, rig->room, &len);
    assert_true(len <= rig->room);
    assert_true(r <= 0 || len == rig->room);
    for (size_t i = 0; i < GUARD_BYTES; i++)
        assert_int_equal(buffer[rig->room + CONN_OUT_SLACK + i], GUARD);
    buf_append(&rig->got, span_of(buffer, len));
    free(buffer);
    return r;
}

static enum conn_after handle(struct task *t, struct exchange *x)
{
    struct rig *rig = x->conn->server->role_state;
    int r = 1;

    if (x->request.method != METHOD_PUT) {
        rig->others++;
        return exchange_after(exchange_respond(t, x, 200, SPAN("text/plain"), SPAN("")));
    }
    while (r > 0) {
        r = fill_once(t, rig, x);
        if (r > 0 && rig->pause_ms > 0)
            assert_int_equal(io_sleep(t, rig->pause_ms), 0);
    }
    rig->result = r;
    /* Whatever comes next is waited for by the byte. */
    int low_water;
    socklen_t size = sizeof(low_water);
    assert_int_equal(getsockopt(x->conn->fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, &size), 0);
    assert_true(low_water == 1 || r == -ECONNRESET);
    if (r < 0)
        return CONN_BROKEN;
    assert_true(x->body_done);
    rig->bodies++;
    return exchange_after(exchange_respond(t, x, 200, SPAN("text/plain"), SPAN("")));
}

/* --- the world --- */

static void send_piece(struct rig *rig)
{
    size_t len = rig->wire.len - rig->sent;
    size_t most = rig->sent < rig->hurry ? rig->hurry - rig->sent : rig->piece;

    if (len > most)
        len = most;
    ssize_t r = send(rig->fd, rig->wire.data + rig->sent, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r > 0)
        rig->sent += (size_t)r;
    if (rig->hurry > 0 && rig->sent >= rig->hurry)
        io_sim_mind_low_water();
    if (rig->sent == rig->wire.len && !rig->stays)
        shutdown(rig->fd, SHUT_WR);
}

static uint64_t outside(void *context)
{
    struct rig *rig = context;

    if (rig->server.conn_count == 0) {
        loop_stop(rig->loop);
        return io_sim_now_ms();
    }
    if (rig->sent == rig->wire.len)
        return UINT64_MAX;
    if (io_sim_now_ms() >= rig->next_ms) {
        send_piece(rig);
        rig->next_ms = io_sim_now_ms() + (rig->sent < rig->hurry ? 0 : rig->every_ms);
    }
    return rig->next_ms;
}

static enum io_sim_verdict decide(void *context, enum io_sim_moment moment, enum io_kind kind,
                                  int *ret_result)
{
    struct rig *rig = context;

    (void)ret_result;
    rig->receives += moment == IO_SIM_PERFORM && kind == IO_RECV;
    if (!rig->late || moment != IO_SIM_PERFORM || kind != IO_RECV)
        return IO_SIM_GO_ON;
    if (io_sim_random(&rig->random) % 2 == 0)
        io_sim_pass(LIMIT_RATE_WINDOW_MS / 10);
    return IO_SIM_HOLD;
}

static void no_message(struct server *s, enum message_kind kind, struct span payload,
                       const int *fds, size_t fd_count)
{
    (void)s, (void)kind, (void)payload, (void)fds, (void)fd_count;
}

static const struct conn_role role = {.serve = http_serve, .message = no_message};

static void make_sessions(struct rig *rig, struct handover *h)
{
    static const uint8_t one[48] = {1}, two[48] = {2};

    h->flags = HANDOVER_TLS;
    if (rig->tls == TLS_VERSION_1_3) {
        assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, one, 32, &h->tls.rx), 0);
        assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, two, 32, &h->tls.tx), 0);
    } else {
        keys_from_master(TLS_CIPHER_AES_128_GCM, one, one, two, &h->tls.rx, &h->tls.tx);
    }
    assert_int_equal(session_init(&rig->session, &h->tls.tx, &h->tls.rx, 0), 0);
}

/* In records, with some that carry nothing in between. */
static void seal_wire(struct rig *rig)
{
    static uint8_t record[TLS_RECORD_MAX];
    struct buf plain = rig->wire;
    struct tls_direction *tx = &rig->session.tx;

    buf_init_growing(&rig->wire, WIRE_BYTES_MAX);
    for (size_t at = 0, count = 0; at < plain.len; count++) {
        size_t len = plain.len - at < rig->record_bytes ? plain.len - at : rig->record_bytes;
        memcpy(record + record_prefix(tx), plain.data + at, len);
        int n = record_seal(tx, TLS_TYPE_APPLICATION_DATA, record, len);
        assert_true(n > 0);
        buf_append(&rig->wire, span_of(record, (size_t)n));
        at += len;
        if (rig->tls == TLS_VERSION_1_3 && count % 50 == 1) {
            n = session_key_update(&rig->session, false, record);
            assert_true(n > 0);
            buf_append(&rig->wire, span_of(record, (size_t)n));
        }
    }
    if (rig->end != GOES_ON) {
        int n =
            session_alert(&rig->session, TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY, record);
        assert_true(n > 0);
        record[n - 1] ^= rig->end == FORGES;
        buf_append(&rig->wire, span_of(record, (size_t)n));
    }
    buf_finish(&plain);
}

static void run(struct rig *rig, uint64_t seed, bool shuffle)
{
    static const struct handover nobody;
    struct handover h = nobody;
    const struct io_sim_options sim = {
        .seed = seed, .shuffle = shuffle, .context = rig, .decide = decide, .outside = outside};
    const struct loop_options options = {
        .backend = &io_sim_backend, .recv_buffers = 4, .recv_buffer_bytes = 64};
    int fds[2];

    io_sim_configure(&sim);
    assert_int_equal(loop_create(&options, &rig->loop), 0);
    server_init(&rig->server, rig->loop, &role, -1, 10);
    rig->http.handle = handle;
    rig->server.http = &rig->http;
    rig->server.role_state = rig;
    if (rig->tls) {
        make_sessions(rig, &h);
        seal_wire(rig);
    }
    buf_init_growing(&rig->got, WIRE_BYTES_MAX);
    rig->random = seed;
    rig->next_ms = io_sim_now_ms();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rig->fd = fds[1];
    assert_int_equal(conn_adopt(&rig->server, fds[0], &h, SPAN("")), 0);
    assert_int_equal(loop_run(rig->loop), 0);
    close(rig->fd);
    server_finish(&rig->server);
    loop_destroy(rig->loop);
    free(rig->http.spare);
    if (rig->tls)
        session_wipe(&rig->session);
    buf_finish(&rig->wire);
}

/* --- what is sent --- */

static char body[LONG_BYTES];

static void make_body(void)
{
    for (size_t i = 0; i < LONG_BYTES; i++)
        body[i] = (char)(i * 31 + i / 251 + (i >> 13));
}

#define HEAD(fields) "PUT /x HTTP/1.1\r\nHost: x\r\n" fields "\r\n\r\n"

static void put_counted(struct buf *out, size_t len)
{
    buf_printf(out, HEAD("Content-Length: %zu"), len);
    buf_append(out, span_of(body, len));
}

static void put_chunked(struct buf *out, size_t len, size_t chunk)
{
    buf_append_str(out, HEAD("Transfer-Encoding: chunked"));
    for (size_t at = 0; at < len; at += chunk) {
        size_t here = len - at < chunk ? len - at : chunk;
        buf_printf(out, "%zx%s\r\n", here, at % 3 == 0 ? ";x=y" : "");
        buf_append(out, span_of(body + at, here));
        buf_append_str(out, "\r\n");
    }
    buf_append_str(out, "0\r\nTrailer: x\r\n\r\n");
}

static void put_get(struct buf *out)
{
    buf_append_str(out, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
}

/* Two bodies and a request behind them, all in one go or in small pieces. */
static void check_bodies(uint16_t tls, bool chunked, size_t len, size_t piece, size_t room,
                         size_t record, bool shuffle)
{
    struct rig rig = {.tls = tls, .piece = piece, .room = room, .record_bytes = record};

    buf_init_growing(&rig.wire, WIRE_BYTES_MAX);
    for (int i = 0; i < 2; i++) {
        if (chunked)
            put_chunked(&rig.wire, len, len > 1000 ? 1 + len / 7 : 5);
        else
            put_counted(&rig.wire, len);
    }
    put_get(&rig.wire);
    run(&rig, len + piece + room + record, shuffle);
    if (rig.bodies != 2 || rig.others != 1 || rig.got.len != 2 * len)
        fail_msg("tls %x, chunked %d, len %zu, piece %zu, room %zu, record %zu: %u bodies (%d), %u "
                 "others, %zu bytes",
                 tls, chunked, len, piece, room, record, rig.bodies, rig.result, rig.others,
                 rig.got.len);
    for (size_t i = 0; i < 2 && len > 0; i++)
        assert_memory_equal(rig.got.data + i * len, body, len);
    buf_finish(&rig.got);
}

static void check_sizes(uint16_t tls, bool chunked)
{
    static const struct {
        size_t len, piece, room;
    } cases[] = {
        {0, 1, 1},
        {1, 1, 1},
        {2, 1, 1},
        {100, 1, 7},
        {100, 3, 100},
        {100, 1000, 101},
        {100, 1000, 1},
        {5000, 99, 4096},
        {16384, 100000, 16384},
        {40000, 1500, 16383},
        {40000, 1500, 16385},
        {BODY_BYTES, 100000, 65536},
        {BODY_BYTES, 30011, 1000},
        {BODY_BYTES, 100000, BODY_BYTES},
        {BODY_BYTES, 65536, BODY_BYTES - 1},
        {BODY_BYTES, 65536, 3 * BODY_BYTES},
    };
    static const size_t records[] = {1, 100, 1000, 16383, 16384};

    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t n = 0; n < (tls ? COUNT(records) : 1); n++)
            if (cases[i].len / records[n] < 1000)
                for (int shuffle = 0; shuffle < 2; shuffle++)
                    check_bodies(tls, chunked, cases[i].len, cases[i].piece, cases[i].room,
                                 records[n], shuffle);
}

static void counted(void **state)
{
    (void)state;
    check_sizes(0, false);
}

static void chunked(void **state)
{
    (void)state;
    check_sizes(0, true);
}

static void counted_in_records(void **state)
{
    (void)state;
    check_sizes(TLS_VERSION_1_2, false);
    check_sizes(TLS_VERSION_1_3, false);
}

static void chunked_in_records(void **state)
{
    (void)state;
    check_sizes(TLS_VERSION_1_2, true);
    check_sizes(TLS_VERSION_1_3, true);
}

/* --- what goes wrong --- */

static void check_failure(const char *wire, size_t room, int result, const char *got)
{
    for (size_t piece = 1; piece < 200; piece += 99) {
        struct rig rig = {.piece = piece, .room = room};

        buf_init_growing(&rig.wire, WIRE_BYTES_MAX);
        buf_append_str(&rig.wire, wire);
        run(&rig, 1, false);
        assert_int_equal(rig.result, result);
        assert_int_equal(rig.bodies, 0);
        assert_span(buf_span(&rig.got), got);
        buf_finish(&rig.got);
    }
}

static void broken_off(void **state)
{
    (void)state;
    check_failure(HEAD("Content-Length: 10") "01234", 100, -EPIPE, "01234");
    check_failure(HEAD("Content-Length: 10") "01234", 3, -EPIPE, "01234");
    check_failure(HEAD("Content-Length: 10"), 3, -EPIPE, "");
    check_failure(HEAD("Transfer-Encoding: chunked") "5\r\n01234", 100, -EPIPE, "01234");
    check_failure(HEAD("Transfer-Encoding: chunked") "5\r\n01234\r\n0\r\n", 2, -EPIPE, "01234");
}

/* In TLS: close_notify in the middle of a body is its end as little as that of the stream is. */
static void broken_off_in_records(void **state)
{
    (void)state;
    for (uint16_t version = TLS_VERSION_1_2; version <= TLS_VERSION_1_3; version++)
        for (size_t piece = 1; piece < 10000; piece += 4999)
            for (int i = 0; i < 4; i++) {
                struct rig rig = {
                    .tls = version, .piece = piece, .room = 100, .record_bytes = 1000};

                rig.end = i < 2 ? SAYS_GOODBYE : FORGES;
                buf_init_growing(&rig.wire, WIRE_BYTES_MAX);
                buf_append_str(&rig.wire, i % 2 ? HEAD("Transfer-Encoding: chunked") "ffff\r\n"
                                                : HEAD("Content-Length: 65535"));
                buf_append(&rig.wire, span_of(body, 50000));
                run(&rig, 1, false);
                assert_int_equal(rig.result, rig.end == FORGES ? -EPROTO : -EPIPE);
                assert_int_equal(rig.bodies, 0);
                assert_int_equal(rig.got.len, 50000);
                assert_memory_equal(rig.got.data, body, 50000);
                buf_finish(&rig.got);
            }
}

static void malformed(void **state)
{
    (void)state;
    check_failure(HEAD("Transfer-Encoding: chunked") "5\r\n01234X\r\n0\r\n\r\n", 100, -EBADMSG,
                  "01234");
    check_failure(HEAD("Transfer-Encoding: chunked") "5\r\n01234X\r\n0\r\n\r\n", 2, -EBADMSG,
                  "01234");
    check_failure(HEAD("Transfer-Encoding: chunked") "x\r\n\r\n", 2, -EBADMSG, "");
}

/* --- the pace --- */

static struct rig paced(size_t len, size_t piece, uint64_t every_ms)
{
    struct rig rig = {.piece = piece, .room = SMALL_ROOM, .every_ms = every_ms, .stays = true};

    buf_init_growing(&rig.wire, WIRE_BYTES_MAX);
    put_counted(&rig.wire, len);
    return rig;
}

static void too_slow(void **state)
{
    struct rig rig = paced(BODY_BYTES, 100, 1000);

    (void)state;
    run(&rig, 1, false);
    assert_int_equal(rig.result, -ETIMEDOUT);
    assert_in_range(rig.got.len, 2800, 3100); /* of one window */
    buf_finish(&rig.got);
}

static void fast_enough(void **state)
{
    struct rig rig = paced(BODY_BYTES, 400, 1000);

    (void)state;
    rig.stays = false;
    run(&rig, 1, false);
    assert_int_equal(rig.result, 0);
    assert_int_equal(rig.bodies, 1);
    assert_true(rig.receives > 350);
    buf_finish(&rig.got);
}

/* Quick until 128 KiB are waited for at once, and then slow: the window of 30 s ends first, and
 * what has come by then counts. */
static struct rig hurried(uint16_t tls, size_t piece)
{
    struct rig rig = paced(LONG_BYTES, piece, 1000);

    rig.tls = tls;
    rig.record_bytes = piece < 1000 ? piece : 1000;
    rig.room = LARGE_ROOM;
    rig.hurry = HURRY_BYTES;
    return rig;
}

static void check_hurried(uint16_t tls)
{
    struct rig rig = hurried(tls, 100);

    run(&rig, 1, false);
    assert_int_equal(rig.result, -ETIMEDOUT);
    size_t least = (size_t)HURRY_BYTES / (tls ? 123 : 100) * 100;
    /* And two windows, of 3,000 bytes on the wire each; with TLS less new keys than reckoned. */
    least += tls ? 12000 : 5900;
    assert_in_range(rig.got.len, least, least + 1500);
    assert_memory_equal(rig.got.data, body, rig.got.len);
    buf_finish(&rig.got);

    rig = hurried(tls, 4000);
    rig.stays = false;
    run(&rig, 1, false);
    assert_int_equal(rig.result, 0);
    assert_int_equal(rig.got.len, LONG_BYTES);
    assert_memory_equal(rig.got.data, body, LONG_BYTES);
    assert_true(rig.receives < 100);
    buf_finish(&rig.got);
}

static void slow_in_large_pieces(void **state)
{
    (void)state;
    check_hurried(0);
    check_hurried(TLS_VERSION_1_3);
}

/* A mark that cannot be set is done without; one that cannot be taken back ends the connection. */
static void marks_that_fail(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 4; i++) {
        struct rig rig = hurried(i % 2 ? TLS_VERSION_1_3 : 0, 100 * 1000);

        rig.stays = false;
        marks_set = 0;
        mark_that_fails = (i + 1) / 2;
        run(&rig, i, false);
        assert_true(marks_set >= mark_that_fails);
        assert_int_equal(rig.result, mark_that_fails == 1 ? 0 : -ECONNRESET);
        assert_memory_equal(rig.got.data, body, rig.got.len);
        buf_finish(&rig.got);
    }
    mark_that_fails = 0;
}

/* What the window's end has brought is no record: that is said, not that the peer was slow. */
static void forged_in_a_slow_window(void **state)
{
    struct rig rig = hurried(TLS_VERSION_1_3, 1000);

    (void)state;
    rig.wire.len = 0;
    buf_append_str(&rig.wire, HEAD("Content-Length: 9000000"));
    buf_append(&rig.wire, span_of(body, HURRY_BYTES - 10000));
    rig.hurry = HURRY_BYTES;
    rig.end = FORGES;
    run(&rig, 1, false);
    assert_int_equal(rig.result, -EPROTO);
    buf_finish(&rig.got);
}

/* The bytes come just when the time for them is over: who keeps the pace is not cut off. */
static void deadline_beside_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rig rig = paced(BODY_BYTES, BODY_BYTES / 20, 10);

        rig.room = seed % 2 ? SMALL_ROOM : LARGE_ROOM;
        rig.stays = false;
        rig.late = true;
        run(&rig, seed, true);
        if (rig.result != 0)
            fail_msg("seed %llu: %d after %zu bytes", (unsigned long long)seed, rig.result,
                     rig.got.len);
        buf_finish(&rig.got);
    }
}

/* Nor for the time in which nobody has asked for its bytes, because a disk was slow. */
static void our_own_pause(void **state)
{
    struct rig rig = paced(BODY_BYTES, 100, 1000);

    (void)state;
    rig.room = 100;
    rig.pause_ms = LIMIT_RATE_WINDOW_MS + 5000;
    rig.wire.len = rig.wire.len - BODY_BYTES + 3000; /* 30 pieces of 100 bytes: slow by our fault */
    rig.stays = false;
    run(&rig, 1, false);
    assert_int_equal(rig.result, -EPIPE); /* at the end of what there is */
    assert_int_equal(rig.got.len, 3000);
    buf_finish(&rig.got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted),
        cmocka_unit_test(chunked),
        cmocka_unit_test(counted_in_records),
        cmocka_unit_test(chunked_in_records),
        cmocka_unit_test(broken_off),
        cmocka_unit_test(broken_off_in_records),
        cmocka_unit_test(malformed),
        cmocka_unit_test(too_slow),
        cmocka_unit_test(fast_enough),
        cmocka_unit_test(slow_in_large_pieces),
        cmocka_unit_test(marks_that_fail),
        cmocka_unit_test(forged_in_a_slow_window),
        cmocka_unit_test(deadline_beside_bytes),
        cmocka_unit_test(our_own_pause),
    };

    make_body();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
