/* A session after its handshake: alerts, KeyUpdate, bounds. Both ends are ours here;
 * test_tls_handshake has OpenSSL at the other end. */
#include <errno.h>

#include "tls/session.h"
#include "tls_peer.h"

struct ends {
    struct tls_session server, client;
    struct session_event event;
};

static uint8_t record[TLS_RECORD_MAX];

static void make(struct ends *e, uint16_t version)
{
    static const uint8_t one[48] = {1}, two[48] = {2};
    struct tls_keys up, down;

    if (version == TLS_VERSION_1_3) {
        assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, one, 32, &up), 0);
        assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, two, 32, &down), 0);
    } else {
        keys_from_master(TLS_CIPHER_AES_128_GCM, one, one, two, &up, &down);
    }
    assert_int_equal(session_init(&e->server, &up, &down, 0), 0);
    assert_int_equal(session_init(&e->client, &down, &up, 0), 0);
}

static void finish(struct ends *e)
{
    session_wipe(&e->server);
    session_wipe(&e->client);
}

/* The client sends a record of this type; returns what the server's session_open() says. */
static int send(struct ends *e, uint8_t type, const void *payload, size_t len)
{
    int n;

    memcpy(record + record_prefix(&e->client.tx), payload, len);
    n = record_seal(&e->client.tx, type, record, len);
    assert_true(n > 0);
    return session_open(&e->server, record, (size_t)n, &e->event);
}

static void assert_data_flows(struct ends *e)
{
    assert_true(send(e, TLS_TYPE_APPLICATION_DATA, "hello", 5) > 0);
    assert_int_equal(e->event.kind, SESSION_DATA);
    assert_int_equal(e->event.data.len, 5);
    assert_memory_equal(e->event.data.data, "hello", 5);
}

static void key_update_refused(void **state)
{
    static const struct {
        const char *message;
        size_t len;
        int expected;
    } cases[] = {
        {"\x18\0\0\1\0", 5, 0},
        {"\x18\0\0\1\1", 5, 0},
        {"\x18\0\0\1\2", 5, -TLS_ALERT_ILLEGAL_PARAMETER},
        {"\x18\0\0\2\0", 5, -TLS_ALERT_DECODE_ERROR},
        {"\x18\0\0\1", 4, -TLS_ALERT_UNEXPECTED_MESSAGE},                /* a fragment */
        {"\x18\0\0\1\0\x18\0\0\1\0", 10, -TLS_ALERT_UNEXPECTED_MESSAGE}, /* spans a key change */
        {"\1\0\0\1\0", 5, -TLS_ALERT_UNEXPECTED_MESSAGE},                /* ClientHello */
        {"", 0, -TLS_ALERT_UNEXPECTED_MESSAGE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ends e;
        int r;

        make(&e, TLS_VERSION_1_3);
        assert_data_flows(&e);
        r = send(&e, TLS_TYPE_HANDSHAKE, cases[i].message, cases[i].len);
        if (cases[i].expected == 0)
            assert_true(r > 0);
        else
            assert_int_equal(r, cases[i].expected);
        finish(&e);
    }
}

static void key_update_both_ways(void **state)
{
    uint8_t out[SESSION_MESSAGE_MAX];
    struct session_event event;
    struct ends e;
    int n;

    (void)state;
    make(&e, TLS_VERSION_1_3);
    for (int i = 0; i < 20; i++) {
        bool request = i % 2;

        n = session_key_update(&e.client, request, out);
        assert_in_range(n, 1, SESSION_MESSAGE_MAX);
        assert_int_equal(session_open(&e.server, out, (size_t)n, &e.event), n);
        assert_int_equal(e.event.kind, request ? SESSION_REPLY_KEY_UPDATE : SESSION_NOTHING);
        assert_int_equal(e.server.key_update_owed, request);
        if (request) {
            n = session_key_update(&e.server, false, out);
            assert_int_equal(session_open(&e.client, out, (size_t)n, &event), n);
            assert_int_equal(event.kind, SESSION_NOTHING);
        }
        assert_false(e.server.key_update_owed);
        assert_data_flows(&e);
        session_rest(&e.server);
        assert_int_equal(e.server.rx.keys.sequence, 1);
    }
    finish(&e);
}

/* SESSION_BARREN_MAX records that carry nothing are borne, one more is not; data earns new ones. */
static void storm(struct ends *e, uint8_t type, const char *message, size_t len)
{
    static const char data[SESSION_BARREN_BYTES];
    uint8_t out[SESSION_MESSAGE_MAX];
    int n;

    for (int i = 0; i < SESSION_BARREN_MAX + 10; i++) { /* one earned for every one spent */
        if (type == TLS_TYPE_HANDSHAKE) {
            n = session_key_update(&e->client, false, out);
            assert_int_equal(session_open(&e->server, out, (size_t)n, &e->event), n);
        } else {
            assert_true(send(e, type, message, len) > 0);
        }
        assert_int_equal(e->event.kind, SESSION_NOTHING);
        assert_true(send(e, TLS_TYPE_APPLICATION_DATA, data, sizeof(data) / 2) > 0);
        assert_true(send(e, TLS_TYPE_APPLICATION_DATA, data, sizeof(data) / 2) > 0);
    }
    assert_int_equal(e->server.barren, 0);
    for (int i = 0; i <= SESSION_BARREN_MAX; i++) {
        if (type == TLS_TYPE_HANDSHAKE) {
            n = session_key_update(&e->client, i % 2, out);
            n = session_open(&e->server, out, (size_t)n, &e->event);
        } else {
            n = send(e, type, message, len);
        }
        if (i < SESSION_BARREN_MAX)
            assert_true(n > 0);
        else
            assert_int_equal(n, -TLS_ALERT_UNEXPECTED_MESSAGE);
    }
}

static void storms_bounded(void **state)
{
    struct ends e;

    (void)state;
    make(&e, TLS_VERSION_1_3);
    storm(&e, TLS_TYPE_HANDSHAKE, "", 0);
    finish(&e);
    for (uint16_t version = TLS_VERSION_1_2; version <= TLS_VERSION_1_3; version++) {
        make(&e, version);
        storm(&e, TLS_TYPE_APPLICATION_DATA, "", 0);
        finish(&e);
        make(&e, version);
        storm(&e, TLS_TYPE_ALERT, "\1\x5a", 2); /* user_canceled */
        finish(&e);
    }
}

static void alerts_received(void **state)
{
    struct ends e;

    (void)state;
    for (uint16_t version = TLS_VERSION_1_2; version <= TLS_VERSION_1_3; version++) {
        make(&e, version);
        assert_true(send(&e, TLS_TYPE_ALERT, "\1\0", 2) > 0);
        assert_int_equal(e.event.kind, SESSION_CLOSED);
        assert_true(e.server.close_received);
        /* What follows is not even looked at. */
        assert_int_equal(session_open(&e.server, record, 3, &e.event), 3);
        assert_int_equal(e.event.kind, SESSION_CLOSED);
        assert_int_equal(session_open(&e.server, record, 0, &e.event), 0);
        assert_true(session_alert(&e.server, 1, 0, record) > 0);
        finish(&e);

        make(&e, version);
        assert_true(send(&e, TLS_TYPE_ALERT, "\2\x2e", 2) > 0);
        assert_int_equal(e.event.kind, SESSION_ALERT);
        assert_int_equal(e.event.alert, 46);
        assert_int_equal(session_alert(&e.server, 1, 0, record), 0); /* no answer */
        finish(&e);

        for (size_t len = 0; len < 6; len++) {
            if (len == 2)
                continue;
            make(&e, version);
            assert_int_equal(send(&e, TLS_TYPE_ALERT, "\1\0\1\0\1\0", len),
                             -TLS_ALERT_DECODE_ERROR);
            finish(&e);
        }
    }
    /* A warning is one in TLS 1.2 only. */
    make(&e, TLS_VERSION_1_2);
    assert_true(send(&e, TLS_TYPE_ALERT, "\1\x64", 2) > 0);
    assert_int_equal(e.event.kind, SESSION_NOTHING);
    assert_data_flows(&e);
    finish(&e);
    make(&e, TLS_VERSION_1_3);
    assert_true(send(&e, TLS_TYPE_ALERT, "\1\x64", 2) > 0);
    assert_int_equal(e.event.kind, SESSION_ALERT);
    finish(&e);
}

static void alerts_sent(void **state)
{
    struct session_event event;
    uint8_t out[SESSION_MESSAGE_MAX];
    struct ends e;
    int n;

    (void)state;
    for (uint16_t version = TLS_VERSION_1_2; version <= TLS_VERSION_1_3; version++) {
        make(&e, version);
        n = session_alert(&e.server, TLS_ALERT_LEVEL_FATAL, TLS_ALERT_BAD_RECORD_MAC, out);
        assert_int_equal(session_open(&e.client, out, (size_t)n, &event), n);
        assert_int_equal(event.kind, SESSION_ALERT);
        assert_int_equal(event.alert, TLS_ALERT_BAD_RECORD_MAC);
        assert_true(e.server.close_sent);
        assert_int_equal(session_alert(&e.server, 1, 0, out), 0);
        finish(&e);
    }
}

static void renegotiation_refused(void **state)
{
    static const char *const messages[] = {"\1\0\0\0", "\0\0\0\0", "\x18\0\0\1\0"};
    uint8_t out[SESSION_MESSAGE_MAX];
    struct ends e;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        make(&e, TLS_VERSION_1_2);
        assert_int_equal(send(&e, TLS_TYPE_HANDSHAKE, messages[i], 5),
                         -TLS_ALERT_UNEXPECTED_MESSAGE);
        finish(&e);
    }
    make(&e, TLS_VERSION_1_2);
    assert_int_equal(session_key_update(&e.server, false, out), -ENOTSUP);
    finish(&e);
}

static void max_fragment(void **state)
{
    static const char data[513];
    struct ends e;

    (void)state;
    make(&e, TLS_VERSION_1_3);
    e.server.max_fragment = 512;
    assert_true(send(&e, TLS_TYPE_APPLICATION_DATA, data, 512) > 0);
    assert_int_equal(send(&e, TLS_TYPE_APPLICATION_DATA, data, 513), -TLS_ALERT_RECORD_OVERFLOW);
    finish(&e);
}

/* Only data goes to another place, and it is where the event says. */
static void opened_elsewhere(void **state)
{
    static const char data[100] = "where";
    uint8_t out[200], message[SESSION_MESSAGE_MAX];
    struct ends e;

    (void)state;
    for (uint16_t version = TLS_VERSION_1_2; version <= TLS_VERSION_1_3; version++) {
        make(&e, version);
        for (size_t room = 99; room <= 102; room++) {
            struct tls_direction *tx = &e.client.tx;
            memcpy(record + record_prefix(tx), data, sizeof(data));
            int n = record_seal(tx, TLS_TYPE_APPLICATION_DATA, record, sizeof(data));
            assert_int_equal(session_open_to(&e.server, record, (size_t)n, out, room, &e.event), n);
            assert_int_equal(e.event.kind, SESSION_DATA);
            assert_int_equal(e.event.data.len, sizeof(data));
            assert_memory_equal(e.event.data.data, data, sizeof(data));
            bool fits = room >= sizeof(data) + (version == TLS_VERSION_1_3);
            assert_int_equal((const uint8_t *)e.event.data.data == out, fits);
        }
        if (version == TLS_VERSION_1_3) {
            int n = session_key_update(&e.client, true, message);
            assert_int_equal(
                session_open_to(&e.server, message, (size_t)n, out, sizeof(out), &e.event), n);
            assert_int_equal(e.event.kind, SESSION_REPLY_KEY_UPDATE);
            assert_null(e.event.data.data);
        }
        assert_data_flows(&e);
        int n = session_alert(&e.client, TLS_ALERT_LEVEL_WARNING, TLS_ALERT_CLOSE_NOTIFY, message);
        assert_int_equal(session_open_to(&e.server, message, (size_t)n, out, sizeof(out), &e.event),
                         n);
        assert_int_equal(e.event.kind, SESSION_CLOSED);
        assert_null(e.event.data.data);
        finish(&e);
    }
    /* The length that was agreed on holds there too. */
    make(&e, TLS_VERSION_1_3);
    e.server.max_fragment = 99;
    memcpy(record + record_prefix(&e.client.tx), data, sizeof(data));
    int n = record_seal(&e.client.tx, TLS_TYPE_APPLICATION_DATA, record, sizeof(data));
    assert_int_equal(session_open_to(&e.server, record, (size_t)n, out, sizeof(out), &e.event),
                     -TLS_ALERT_RECORD_OVERFLOW);
    finish(&e);
}

static void init_checks(void **state)
{
    struct tls_session s;
    struct tls_keys keys, bad;
    struct ends e;

    (void)state;
    make(&e, TLS_VERSION_1_3);
    keys = bad = e.server.rx.keys;
    assert_int_equal(session_init(&s, &keys, &keys, 0), 0);
    assert_int_equal(s.max_fragment, TLS_PLAINTEXT_MAX);
    assert_int_equal(session_init(&s, &keys, &keys, TLS_PLAINTEXT_MAX + 1), -EINVAL);
    bad.cipher = 9;
    assert_int_equal(session_init(&s, &bad, &keys, 0), -EINVAL);
    assert_int_equal(session_init(&s, &keys, &bad, 0), -EINVAL);
    finish(&e);
    make(&e, TLS_VERSION_1_2);
    bad = e.server.rx.keys;
    assert_int_equal(session_init(&s, &keys, &bad, 0), -EINVAL); /* mixed versions */
    finish(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_update_refused), cmocka_unit_test(key_update_both_ways),
        cmocka_unit_test(storms_bounded),     cmocka_unit_test(alerts_received),
        cmocka_unit_test(alerts_sent),        cmocka_unit_test(renegotiation_refused),
        cmocka_unit_test(max_fragment),       cmocka_unit_test(init_checks),
        cmocka_unit_test(opened_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
