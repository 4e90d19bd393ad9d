/* Kernel TLS on a kernel that takes new keys for a socket that has some, and on one that does not:
 * what is found out about it, and connections whose peer asks for new keys. The kernel is
 * kernel_tls.h, the peer has a record layer of its own; on the simulated backend. */
#include "kernel_tls.h"
#include "sim_clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http/exchange.h"
#include "net/handover.h"
#include "rt/io_sim.h"
#include "tls/ktls.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    REQUESTS = 5,
    BODY_BYTES = 40 * 1000, /* three records */
};

struct rig {
    struct loop *loop;
    struct server server;
    struct http http;

    /* the peer */
    int fd;
    struct tls_session session;
    uint8_t wire[4 * TLS_RECORD_MAX];
    size_t wire_len;
    unsigned update_before; /* this request; the peer's new keys, and it asks for ours */
    unsigned asked, answers, key_updates;
    size_t received;
    bool goodbye, ended;
};

/* --- the server --- */

static char body[BODY_BYTES];

static enum conn_after handle(struct task *t, struct exchange *x)
{
    assert_true(conn_use_kernel(x->conn, BODY_BYTES));
    return exchange_after(
        exchange_respond(t, x, 200, SPAN("text/plain"), span_of(body, sizeof(body))));
}

static void no_message(struct server *s, enum message_kind kind, struct span payload,
                       const int *fds, size_t fd_count)
{
    (void)s, (void)kind, (void)payload, (void)fds, (void)fd_count;
}

static const struct conn_role role = {.serve = http_serve, .message = no_message};

/* --- the peer --- */

static void peer_sends(struct rig *rig, const uint8_t *record, int len)
{
    assert_true(len > 0);
    assert_int_equal(send(rig->fd, record, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL), len);
}

static void peer_asks(struct rig *rig)
{
    static const char request[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
    struct tls_direction *tx = &rig->session.tx;
    uint8_t record[256];

    if (++rig->asked == rig->update_before)
        peer_sends(rig, record, session_key_update(&rig->session, true, record));
    memcpy(record + record_prefix(tx), request, sizeof(request) - 1);
    peer_sends(rig, record,
               record_seal(tx, TLS_TYPE_APPLICATION_DATA, record, sizeof(request) - 1));
}

/* Opens what is there in full. */
static void peer_opens(struct rig *rig)
{
    struct session_event event;
    int n;

    while (!rig->goodbye) {
        struct tls_keys before = rig->session.rx.keys;
        n = session_open(&rig->session, rig->wire, rig->wire_len, &event);
        if (n < 0)
            fail_msg("the peer cannot open a record: alert %d, after %u answers", -n, rig->answers);
        if (n == 0)
            break;
        rig->key_updates += memcmp(before.key, rig->session.rx.keys.key, sizeof(before.key)) != 0;
        if (event.kind == SESSION_DATA) {
            rig->received += event.data.len;
            rig->answers += event.data.data[event.data.len - 1] == '!';
        }
        rig->goodbye = event.kind == SESSION_CLOSED;
        rig->wire_len -= (size_t)n;
        memmove(rig->wire, rig->wire + n, rig->wire_len);
    }
}

static void peer_receives(struct rig *rig)
{
    ssize_t n;

    while (!rig->ended && (n = recv(rig->fd, rig->wire + rig->wire_len,
                                    sizeof(rig->wire) - rig->wire_len, MSG_DONTWAIT)) >= 0) {
        rig->ended = n == 0;
        rig->wire_len += (size_t)n;
        peer_opens(rig);
    }
}

static uint64_t outside(void *context)
{
    struct rig *rig = context;

    peer_receives(rig);
    if (rig->server.conn_count == 0) {
        peer_receives(rig);
        loop_stop(rig->loop);
        return io_sim_now_ms();
    }
    if (rig->goodbye || rig->answers == REQUESTS)
        shutdown(rig->fd, SHUT_WR);
    else if (rig->answers == rig->asked && !rig->ended)
        peer_asks(rig);
    return UINT64_MAX;
}

static enum io_sim_verdict decide(void *context, enum io_sim_moment moment, enum io_kind kind,
                                  int *ret_result)
{
    (void)context, (void)moment, (void)kind, (void)ret_result;
    return IO_SIM_GO_ON;
}

static void make_keys(struct handover_tls *tls, uint16_t version, uint8_t cipher)
{
    static const uint8_t one[48] = {1}, two[48] = {2};
    size_t len = cipher == TLS_CIPHER_AES_256_GCM ? 48 : 32;

    if (version == TLS_VERSION_1_3) {
        assert_int_equal(keys_from_secret(cipher, one, len, &tls->rx), 0);
        assert_int_equal(keys_from_secret(cipher, two, len, &tls->tx), 0);
    } else {
        keys_from_master(cipher, one, one, two, &tls->rx, &tls->tx);
    }
}

/* A connection from the first request to its end; `sequence` is that of the server's first record.
 */
static void run(struct rig *rig, uint16_t version, uint8_t cipher, ktls_support support,
                uint64_t sequence, bool shuffle)
{
    static const struct handover nobody;
    struct handover h = nobody;
    const struct io_sim_options sim = {
        .seed = cipher, .shuffle = shuffle, .context = rig, .decide = decide, .outside = outside};
    const struct loop_options options = {
        .backend = &io_sim_backend, .recv_buffers = 4, .recv_buffer_bytes = 64};
    int fds[2];

    memset(body, 'x', sizeof(body));
    body[sizeof(body) - 1] = '!';
    io_sim_configure(&sim);
    assert_int_equal(loop_create(&options, &rig->loop), 0);
    server_init(&rig->server, rig->loop, &role, -1, 10);
    rig->http.handle = handle;
    rig->server.http = &rig->http;
    rig->server.ktls = support;
    h.flags = HANDOVER_TLS;
    make_keys(&h.tls, version, cipher);
    h.tls.tx.sequence = sequence;
    assert_int_equal(session_init(&rig->session, &h.tls.tx, &h.tls.rx, 0), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rig->fd = fds[1];
    assert_int_equal(conn_adopt(&rig->server, fds[0], &h, SPAN("")), 0);
    assert_int_equal(loop_run(rig->loop), 0);
    close(rig->fd);
    server_finish(&rig->server);
    loop_destroy(rig->loop);
    free(rig->http.spare);
    session_wipe(&rig->session);
    assert_true(rig->received >= rig->answers * BODY_BYTES);
}

/* --- what is found out --- */

static const ktls_support all = 7 << TLS_CIPHER_AES_128_GCM | 7 << (8 + TLS_CIPHER_AES_128_GCM);

static ktls_support probed(void)
{
    ktls_support support;

    assert_int_equal(ktls_probe(&support), 0);
    return support;
}

static void probe(void **state)
{
    ktls_support support = 1;

    (void)state;
    kernel_reset(false, false);
    assert_int_equal(ktls_probe(&support), -ENOENT);
    assert_int_equal(support, 0);
    kernel_reset(true, false);
    assert_int_equal(probed(), all);
    kernel_reset(true, true);
    assert_int_equal(probed(), all | KTLS_REKEY);
}

/* --- new keys --- */

static const uint8_t ciphers[] = {TLS_CIPHER_AES_128_GCM, TLS_CIPHER_AES_256_GCM,
                                  TLS_CIPHER_CHACHA20_POLY1305};
static const uint8_t key_update[] = {TLS_TYPE_HANDSHAKE, 24, 0, 0, 1, 0};
static const uint8_t close_notify[] = {TLS_TYPE_ALERT, TLS_ALERT_LEVEL_WARNING,
                                       TLS_ALERT_CLOSE_NOTIFY};

static void last_control_is(const uint8_t *control, size_t len)
{
    assert_int_equal(kernel.control_len, len);
    assert_memory_equal(kernel.control, control, len);
}

/* Nobody asks for anything: to the end with the keys it began with. */
static void same_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ciphers); i++)
        for (uint16_t version = TLS_VERSION_1_2; version <= TLS_VERSION_1_3; version++)
            for (int rekeys = 0; rekeys < 2; rekeys++) {
                struct rig rig = {0};

                kernel_reset(true, rekeys);
                run(&rig, version, ciphers[i], all | (rekeys ? KTLS_REKEY : 0), 3, rekeys);
                assert_int_equal(rig.answers, REQUESTS);
                assert_int_equal(rig.key_updates, 0);
                assert_int_equal(kernel.keys_taken, 1);
                assert_int_equal(kernel.first_sequence, 3);
            }
}

/* The peer asks: our KeyUpdate under the old keys, then the next ones, from record 0 on. */
static void new_keys_for_the_peer(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ciphers); i++)
        for (int shuffle = 0; shuffle < 2; shuffle++) {
            struct rig rig = {.update_before = 3};

            kernel_reset(true, true);
            run(&rig, TLS_VERSION_1_3, ciphers[i], probed(), 3, shuffle);
            assert_int_equal(rig.answers, REQUESTS);
            assert_int_equal(rig.key_updates, 1);
            assert_int_equal(kernel.first_sequence, 0);
            assert_int_equal(kernel.control_records, 1);
            last_control_is(key_update, sizeof(key_update));
        }
}

/* Nobody asks, but they are used up. */
static void new_keys_in_time(void **state)
{
    struct rig rig = {0};

    (void)state;
    kernel_reset(true, true);
    run(&rig, TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, probed(), TLS_RECORDS_REKEY - 1, false);
    assert_int_equal(rig.answers, REQUESTS);
    assert_int_equal(rig.key_updates, 1);
    assert_int_equal(kernel.first_sequence, 0);
    last_control_is(key_update, sizeof(key_update));
}

/* The kernel answers EBUSY, as the probe has found: the answer is finished, then comes the end. */
static void no_new_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ciphers); i++)
        for (int shuffle = 0; shuffle < 2; shuffle++) {
            struct rig rig = {.update_before = 3};

            kernel_reset(true, false);
            run(&rig, TLS_VERSION_1_3, ciphers[i], probed(), 3, shuffle);
            assert_int_equal(rig.answers, 3);
            assert_int_equal(rig.key_updates, 0);
            assert_true(rig.goodbye);
            assert_int_equal(kernel.control_records, 1);
            last_control_is(close_notify, sizeof(close_notify));
        }
}

/* It answers EBUSY although it did not when it was probed. The peer expects new keys already, so
 * nothing may follow that the old ones have sealed. */
static void new_keys_refused(void **state)
{
    struct rig rig = {.update_before = 3};

    (void)state;
    kernel_reset(true, false);
    run(&rig, TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, all | KTLS_REKEY, 3, false);
    assert_int_equal(rig.answers, 2);
    assert_int_equal(rig.key_updates, 1);
    assert_true(rig.ended && !rig.goodbye);
    last_control_is(key_update, sizeof(key_update));
}

static int forget(void **state)
{
    (void)state;
    kernel_reset(false, false);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe),
        cmocka_unit_test(same_keys),
        cmocka_unit_test(new_keys_for_the_peer),
        cmocka_unit_test(new_keys_in_time),
        cmocka_unit_test(no_new_keys),
        cmocka_unit_test(new_keys_refused),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
