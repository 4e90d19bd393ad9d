/* Whole handshakes with OpenSSL as the client, and the sessions that come out of them. */
#include <errno.h>

#include "tls_peer.h"

static const struct suite {
    int version;
    const char *name;
    uint8_t cipher;
    bool rsa;
} suites[] = {
    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", TLS_CIPHER_AES_128_GCM, false},
    {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", TLS_CIPHER_AES_256_GCM, false},
    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", TLS_CIPHER_CHACHA20_POLY1305, false},
    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", TLS_CIPHER_AES_128_GCM, true},
    {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", TLS_CIPHER_AES_256_GCM, true},
    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", TLS_CIPHER_CHACHA20_POLY1305, true},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", TLS_CIPHER_AES_128_GCM, false},
    {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384", TLS_CIPHER_AES_256_GCM, false},
    {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", TLS_CIPHER_CHACHA20_POLY1305, false},
    {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", TLS_CIPHER_AES_128_GCM, true},
    {TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", TLS_CIPHER_AES_256_GCM, true},
    {TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", TLS_CIPHER_CHACHA20_POLY1305, true},
};
enum { SUITES = sizeof(suites) / sizeof(suites[0]) };

static struct tls_context *contexts[2]; /* ECDSA, RSA */

static int set_up(void **state)
{
    (void)state;
    contexts[0] = peer_context(false);
    contexts[1] = peer_context(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    context_unref(contexts[0]);
    context_unref(contexts[1]);
    return 0;
}

static void start(struct peer *p, const struct suite *suite)
{
    peer_init(p, contexts[suite->rsa], peer_client(suite->version, suite->name));
}

/* Every suite, with data both ways; the first byte comes alone, and so on. */
static void every_suite(void **state)
{
    static const size_t steps[] = {PEER_BUFFER, 1, 2, 5, 100};

    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            const struct handshake_info *info;
            struct peer p;

            start(&p, &suites[i]);
            assert_int_equal(peer_connect(&p, steps[j]), HANDSHAKE_DONE);
            info = handshake_info(p.h);
            assert_int_equal(info->version, suites[i].version);
            assert_int_equal(info->cipher, suites[i].cipher);
            assert_false(info->resumed);
            /* One ticket in TLS 1.3, Finished in TLS 1.2. */
            assert_int_equal(p.s.tx.keys.sequence, 1);
            assert_int_equal(p.s.rx.keys.sequence, suites[i].version == TLS1_3_VERSION ? 0 : 1);
            peer_echo(&p, 1);
            peer_echo(&p, 100000);
            session_rest(&p.s);
            peer_echo(&p, 16384);
            peer_echo(&p, 16385);
            peer_finish(&p);
        }
    }
}

/* The client's bytes cut in two at every place. */
static void every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i += 6) { /* one of each version */
        for (size_t cut = 1, done = 0; !done; cut++) {
            size_t consumed;
            struct peer p;

            start(&p, &suites[i]);
            done = 1;
            for (int flight = 0; flight < 2; flight++) {
                peer_move(&p);
                SSL_do_handshake(p.client);
                peer_move(&p);
                if (cut < p.in_len) {
                    done = 0;
                    assert_int_equal(handshake_step(p.h, span_of(p.in, cut), &consumed, &p.out), 0);
                    assert_int_equal(consumed, cut);
                    peer_take(&p, cut);
                }
                peer_feed(&p, PEER_BUFFER);
            }
            assert_int_equal(p.last, HANDSHAKE_DONE);
            peer_move(&p);
            assert_int_equal(SSL_do_handshake(p.client), 1);
            assert_int_equal(handshake_finish(p.h, &p.s), 0);
            p.open = true;
            peer_echo(&p, 10);
            peer_finish(&p);
        }
    }
}

/* The client's Finished and its first request in one piece: the request stays with us. */
static void coalesced(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct peer p;

        if (suites[i].version != TLS1_3_VERSION)
            continue;
        start(&p, &suites[i]);
        SSL_do_handshake(p.client);
        peer_move(&p);
        assert_int_equal(peer_feed(&p, PEER_BUFFER), HANDSHAKE_WANT_READ);
        peer_move(&p);
        assert_int_equal(SSL_do_handshake(p.client), 1);
        assert_int_equal(SSL_write(p.client, request, sizeof(request)), sizeof(request));
        assert_int_equal(SSL_write(p.client, request, sizeof(request)), sizeof(request));
        peer_move(&p);
        assert_int_equal(peer_feed(&p, PEER_BUFFER), HANDSHAKE_DONE);
        assert_int_equal(p.in_len, 2 * (5 + sizeof(request) + 17));
        assert_int_equal(handshake_finish(p.h, &p.s), 0);
        p.open = true;
        assert_int_equal(peer_open(&p), 0);
        assert_int_equal(p.got_len, 2 * sizeof(request));
        assert_memory_equal(p.got, request, sizeof(request));
        peer_echo(&p, 1000);
        peer_finish(&p);
    }
}

/* TLS 1.2 in full: a browser's false start sends data before our Finished. */
static void false_start(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        static const uint8_t data[] = "\x17\3\3\0\1x";
        struct peer p;

        if (suites[i].version != TLS1_2_VERSION)
            continue;
        start(&p, &suites[i]);
        SSL_do_handshake(p.client);
        peer_move(&p);
        assert_int_equal(peer_feed(&p, PEER_BUFFER), HANDSHAKE_WANT_READ);
        peer_move(&p);
        SSL_do_handshake(p.client);
        peer_move(&p);
        memcpy(p.in + p.in_len, data, sizeof(data));
        p.in_len += sizeof(data);
        assert_int_equal(peer_feed(&p, PEER_BUFFER), HANDSHAKE_DONE);
        assert_int_equal(p.in_len, sizeof(data));
        assert_memory_equal(p.in, data, sizeof(data));
        peer_finish(&p);
    }
}

static void hello_retry_request(void **state)
{
    struct peer p;

    (void)state;
    /* The client guesses X448, which we do not have, and is asked for P-256. */
    peer_init(&p, contexts[0], peer_client(TLS1_3_VERSION, NULL));
    assert_int_equal(SSL_set1_groups_list(p.client, "X448:P-256"), 1);
    assert_int_equal(peer_connect(&p, 7), HANDSHAKE_DONE);
    assert_int_equal(SSL_get_negotiated_group(p.client), NID_X9_62_prime256v1);
    assert_int_equal(p.s.tx.keys.sequence, 1);
    peer_echo(&p, 20000);
    peer_finish(&p);

    peer_init(&p, contexts[0], peer_client(TLS1_3_VERSION, NULL));
    assert_int_equal(SSL_set1_groups_list(p.client, "X448"), 1);
    assert_int_equal(peer_connect(&p, PEER_BUFFER), -EPROTO);
    assert_string_equal(handshake_reason(p.h), "no suitable key share");
    peer_finish(&p);
}

static void groups(void **state)
{
    struct peer p;

    (void)state;
    peer_init(&p, contexts[0], peer_client(TLS1_3_VERSION, NULL));
    if (SSL_set1_groups_list(p.client, "X25519MLKEM768:X25519") == 1) { /* OpenSSL 3.5 */
        assert_int_equal(peer_connect(&p, 100), HANDSHAKE_DONE);
        assert_true(SSL_get_negotiated_group(p.client) & 0x11ec);
        peer_echo(&p, 1000);
    }
    peer_finish(&p);
    peer_init(&p, contexts[0], peer_client(TLS1_3_VERSION, NULL));
    assert_int_equal(SSL_set1_groups_list(p.client, "X25519:P-256"), 1);
    assert_int_equal(peer_connect(&p, 100), HANDSHAKE_DONE);
    assert_int_equal(SSL_get_negotiated_group(p.client), NID_X25519);
    peer_finish(&p);
}

/* Connects, resuming `*session` if there is one, and replaces it by what the client has then. */
static bool reconnect(struct tls_context *context, const struct suite *suite, SSL_SESSION **session)
{
    struct peer p;
    bool resumed;

    peer_init(&p, context, peer_client(suite->version, suite->name));
    if (*session)
        assert_int_equal(SSL_set_session(p.client, *session), 1);
    assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
    peer_echo(&p, 3000); /* the client takes TLS 1.3's ticket here */
    resumed = handshake_info(p.h)->resumed;
    assert_int_equal(resumed, SSL_session_reused(p.client));
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(p.client);
    SSL_set_shutdown(p.client,
                     SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else it cannot be resumed */
    peer_finish(&p);
    return resumed;
}

static void resumption(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct tls_context *context = contexts[suites[i].rsa];
        struct ticket_keys keys = {0};
        SSL_SESSION *session = NULL;

        assert_int_equal(ticket_keys_rotate(&keys, peer_boottime()), 0);
        context_set_ticket_keys(context, &keys);
        assert_false(reconnect(context, &suites[i], &session));
        assert_true(reconnect(context, &suites[i], &session));
        assert_true(reconnect(context, &suites[i], &session));

        /* Under the previous key: accepted, and renewed under the current one. */
        assert_int_equal(ticket_keys_rotate(&keys, peer_boottime()), 0);
        context_set_ticket_keys(context, &keys);
        assert_true(reconnect(context, &suites[i], &session));
        memset(&keys.previous, 0, sizeof(keys.previous));
        context_set_ticket_keys(context, &keys);
        assert_true(reconnect(context, &suites[i], &session));

        /* Two rotations later its key is gone. */
        assert_int_equal(ticket_keys_rotate(&keys, peer_boottime()), 0);
        assert_int_equal(ticket_keys_rotate(&keys, peer_boottime()), 0);
        context_set_ticket_keys(context, &keys);
        assert_false(reconnect(context, &suites[i], &session));

        /* A key that nobody rotated retires all the same: neither accepted nor used. */
        keys.current.created_s -= TICKET_RETIRE_S + 1;
        context_set_ticket_keys(context, &keys);
        assert_false(reconnect(context, &suites[i], &session));
        assert_false(reconnect(context, &suites[i], &session));
        SSL_SESSION_free(session);
        ticket_keys_rotate(&keys, peer_boottime());
        context_set_ticket_keys(context, &keys);
    }
}

/* TLS 1.2 resumed: the client's Finished comes last, and its request may come with it. */
static void coalesced_resumption(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";

    (void)state;
    for (size_t i = 6; i < SUITES; i++) {
        SSL_SESSION *session = NULL;
        struct peer p;

        reconnect(contexts[suites[i].rsa], &suites[i], &session);
        start(&p, &suites[i]);
        SSL_set_session(p.client, session);
        SSL_do_handshake(p.client);
        peer_move(&p);
        assert_int_equal(peer_feed(&p, PEER_BUFFER), HANDSHAKE_WANT_READ);
        peer_move(&p);
        assert_int_equal(SSL_do_handshake(p.client), 1);
        assert_int_equal(SSL_write(p.client, request, sizeof(request)), sizeof(request));
        peer_move(&p);
        assert_int_equal(peer_feed(&p, PEER_BUFFER), HANDSHAKE_DONE);
        assert_true(handshake_info(p.h)->resumed);
        assert_int_equal(handshake_finish(p.h, &p.s), 0);
        p.open = true;
        assert_int_equal(peer_open(&p), 0);
        assert_int_equal(p.got_len, sizeof(request));
        peer_echo(&p, 20000);
        SSL_SESSION_free(session);
        peer_finish(&p);
    }
}

static void without_tickets(void **state)
{
    static const struct ticket_keys none;

    (void)state;
    for (size_t i = 0; i < SUITES; i += 6) {
        struct tls_context *context = peer_context(false);
        struct peer p;

        context_set_ticket_keys(context, &none);
        peer_init(&p, context, peer_client(suites[i].version, suites[i].name));
        assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
        assert_int_equal(p.s.tx.keys.sequence, suites[i].version == TLS1_3_VERSION ? 0 : 1);
        peer_echo(&p, 3000);
        assert_false(SSL_SESSION_has_ticket(SSL_get0_session(p.client)));
        peer_finish(&p);
        context_unref(context);
    }
}

static bool asked_for_certificate;

static int client_certificate(SSL *ssl, X509 **x, EVP_PKEY **key)
{
    (void)ssl, (void)x, (void)key;
    asked_for_certificate = true;
    return 0;
}

static void no_client_certificate(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i += 6) {
        struct peer p;

        start(&p, &suites[i]);
        SSL_CTX_set_client_cert_cb(SSL_get_SSL_CTX(p.client), client_certificate);
        assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
        assert_false(asked_for_certificate);
        peer_finish(&p);
    }
}

static void max_fragment_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        for (uint8_t code = 1; code <= 4; code++) {
            size_t max = (size_t)256 << code;
            struct peer p;

            start(&p, &suites[i]);
            assert_int_equal(SSL_set_tlsext_max_fragment_length(p.client, code), 1);
            assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
            assert_int_equal(p.s.max_fragment, max);
            peer_echo(&p, 20000);
            peer_finish(&p);
        }
    }
}

static void key_update(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES && suites[i].version == TLS1_3_VERSION; i++) {
        uint8_t out[SESSION_MESSAGE_MAX];
        struct peer p;
        int n;

        start(&p, &suites[i]);
        assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
        for (int round = 0; round < 10; round++) {
            /* The client's new keys; every other time it wants ours to be new too. */
            assert_int_equal(SSL_key_update(p.client, round % 2 ? SSL_KEY_UPDATE_REQUESTED
                                                                : SSL_KEY_UPDATE_NOT_REQUESTED),
                             1);
            peer_echo(&p, 5000);
            /* Ours; the client's answer comes with its next data. */
            n = session_key_update(&p.s, round % 2, out);
            assert_true(n > 0);
            buf_append(&p.out, span_of(out, (size_t)n));
            peer_send(&p, "x", 1);
            peer_expect(&p, "x", 1);
            peer_echo(&p, 50000);
        }
        peer_finish(&p);
    }
}

static void key_update_storm(void **state)
{
    struct peer p;
    int r = 0, i;

    (void)state;
    start(&p, &suites[0]);
    assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
    for (i = 0; i < 100 && r == 0; i++) {
        SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED);
        assert_int_equal(SSL_write(p.client, "x", 1), 1);
        r = peer_open(&p);
        p.out.len = 0;
    }
    assert_int_equal(i, SESSION_BARREN_MAX + 1);
    assert_int_equal(r, -TLS_ALERT_UNEXPECTED_MESSAGE);
    peer_finish(&p);
}

static void closing(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        uint8_t out[SESSION_MESSAGE_MAX];
        struct peer p;
        char c;
        int n;

        /* The client closes first. */
        start(&p, &suites[i]);
        assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
        peer_echo(&p, 10);
        assert_int_equal(SSL_shutdown(p.client), 0);
        assert_int_equal(peer_open(&p), 1);
        assert_int_equal(p.event.kind, SESSION_CLOSED);
        n = session_alert(&p.s, TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY, out);
        assert_in_range(n, 1, SESSION_MESSAGE_MAX);
        buf_append(&p.out, span_of(out, (size_t)n));
        peer_move(&p);
        assert_int_equal(SSL_shutdown(p.client), 1);
        peer_finish(&p);

        /* We close with an alert. */
        start(&p, &suites[i]);
        assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
        n = session_alert(&p.s, TLS_ALERT_LEVEL_FATAL, TLS_ALERT_INTERNAL_ERROR, out);
        buf_append(&p.out, span_of(out, (size_t)n));
        peer_move(&p);
        assert_true(SSL_read(p.client, &c, 1) <= 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
                         SSL_AD_REASON_OFFSET + TLS_ALERT_INTERNAL_ERROR);
        ERR_clear_error();
        peer_finish(&p);
    }
}

/* TLS 1.2: a client that renegotiates is cut off. */
static void renegotiation(void **state)
{
    struct peer p;

    (void)state;
    start(&p, &suites[6]);
    assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
    peer_echo(&p, 10);
    assert_int_equal(SSL_renegotiate(p.client), 1);
    SSL_do_handshake(p.client);
    assert_int_equal(peer_open(&p), -TLS_ALERT_UNEXPECTED_MESSAGE);
    peer_finish(&p);
}

static void failures(void **state)
{
    static const struct span garbage[] = {
        SPAN("GET / HTTP/1.1\r\nHost: nas\r\n\r\n"),
        SPAN("\x16\3\1\0\4\2\0\0\0"),   /* ServerHello */
        SPAN("\x15\3\1\0\2\2\x28"),     /* an alert */
        SPAN("\x17\3\3\0\4aaaa"),       /* data */
        SPAN("\x16\3\1\xff\xff\1\1\1"), /* a record of 64 KiB */
        SPAN("SSH-2.0-OpenSSH_9.2\r\n"),
    };
    struct peer p;

    (void)state;
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        size_t consumed;

        peer_init(&p, contexts[0], peer_client(0, NULL));
        assert_int_equal(handshake_step(p.h, garbage[i], &consumed, &p.out), -EPROTO);
        if (i == 0)
            assert_string_equal(handshake_reason(p.h), "http request");
        assert_true(strlen(handshake_reason(p.h)) > 4);
        peer_finish(&p);
    }

    /* The client gets an alert for its unusable offer. */
    peer_init(&p, contexts[0], peer_client(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA"));
    assert_int_equal(peer_connect(&p, PEER_BUFFER), -EPROTO);
    assert_string_equal(handshake_reason(p.h), "no shared cipher");
    assert_int_equal(SSL_do_handshake(p.client), -1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    ERR_clear_error();
    peer_finish(&p);

    peer_init(&p, contexts[0], peer_client(0, NULL));
    SSL_set_min_proto_version(p.client, TLS1_VERSION);
    SSL_set_max_proto_version(p.client, TLS1_1_VERSION);
    SSL_set_security_level(p.client, 0);
    assert_int_equal(peer_connect(&p, PEER_BUFFER), -EPROTO);
    assert_string_equal(handshake_reason(p.h), "unsupported protocol");
    peer_finish(&p);
}

/* Any byte of the client's second flight changed: no session. */
static void tampered(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i += 6) {
        for (size_t at = 0, len = 1; at < len; at++) {
            struct peer p;

            start(&p, &suites[i]);
            SSL_do_handshake(p.client);
            peer_move(&p);
            peer_feed(&p, PEER_BUFFER);
            peer_move(&p);
            SSL_do_handshake(p.client);
            peer_move(&p);
            len = p.in_len;
            p.in[at] ^= 0x01;
            assert_int_not_equal(peer_feed(&p, PEER_BUFFER), HANDSHAKE_DONE);
            peer_finish(&p);
        }
    }
}

static void out_of_room(void **state)
{
    struct peer p;
    size_t consumed;
    char small[100];
    struct buf out;

    (void)state;
    start(&p, &suites[0]);
    SSL_do_handshake(p.client);
    peer_move(&p);
    buf_init_fixed(&out, small, sizeof(small));
    assert_int_equal(handshake_step(p.h, span_of(p.in, p.in_len), &consumed, &out), -ENOBUFS);
    peer_finish(&p);
}

/* A ClientHello that never ends. */
static void endless(void **state)
{
    static char hello[HANDSHAKE_IN_MAX + 20000];
    struct peer p;
    size_t consumed, n = 0;

    (void)state;
    for (size_t at = 0; at + 4101 <= sizeof(hello); at += 4101) {
        memcpy(hello + at, "\x16\3\1\x10\0", 5);
        if (at == 0)
            memcpy(hello + 5, "\1\1\0\0\3\3", 6); /* 64 KiB announced */
    }
    start(&p, &suites[0]);
    do {
        p.last = handshake_step(p.h, span_of(hello + n, 1000), &consumed, &p.out);
        n += consumed;
    } while (p.last == HANDSHAKE_WANT_READ);
    assert_int_equal(p.last, -EPROTO);
    assert_true(n <= HANDSHAKE_IN_MAX);
    assert_string_equal(handshake_reason(p.h), "too many bytes in the handshake");
    peer_finish(&p);
}

static void plain_http(void **state)
{
    (void)state;
    assert_true(handshake_is_http(SPAN("GET / HTTP/1.1\r\n")));
    assert_true(handshake_is_http(SPAN("G")));
    assert_true(handshake_is_http(SPAN("PROPFIND /")));
    assert_false(handshake_is_http(SPAN("")));
    assert_false(handshake_is_http(SPAN(" GET")));
    assert_false(handshake_is_http(SPAN("\x16\3\1\2\0")));
    assert_false(handshake_is_http(SPAN("get /")));
    assert_false(handshake_is_http(SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(coalesced),
        cmocka_unit_test(coalesced_resumption),
        cmocka_unit_test(false_start),
        cmocka_unit_test(hello_retry_request),
        cmocka_unit_test(groups),
        cmocka_unit_test(resumption),
        cmocka_unit_test(without_tickets),
        cmocka_unit_test(no_client_certificate),
        cmocka_unit_test(max_fragment_length),
        cmocka_unit_test(key_update),
        cmocka_unit_test(key_update_storm),
        cmocka_unit_test(closing),
        cmocka_unit_test(renegotiation),
        cmocka_unit_test(failures),
        cmocka_unit_test(tampered),
        cmocka_unit_test(out_of_room),
        cmocka_unit_test(endless),
        cmocka_unit_test(plain_http),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
