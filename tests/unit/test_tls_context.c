/* What a context accepts, prefers and refuses; ticket keys; the warm-up. */
#include <errno.h>

#include "tls_peer.h"

struct made {
    struct buf cert, key;
};

static struct made ecdsa, rsa;
static struct tls_context *context;

static void make(struct made *m, struct span old_key)
{
    buf_init_growing(&m->cert, 16384);
    buf_init_growing(&m->key, 16384);
    assert_int_equal(certificate_make(old_key, SPAN("localhost"), time(NULL), &m->cert, &m->key),
                     0);
}

static int set_up(void **state)
{
    (void)state;
    make(&ecdsa, SPAN(""));
    make(&rsa, peer_rsa_key());
    context = peer_context(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    context_unref(context);
    buf_finish(&ecdsa.cert);
    buf_finish(&ecdsa.key);
    buf_finish(&rsa.cert);
    buf_finish(&rsa.key);
    return 0;
}

static void assert_refused(struct span cert, struct span key, const char *text)
{
    struct tls_context *c = NULL;
    const char *why = NULL;

    assert_int_equal(context_create(cert, key, &c, &why), -EINVAL);
    assert_null(c);
    assert_non_null(why);
    if (!strstr(why, text))
        fail_msg("\"%s\" instead of \"%s\"", why, text);
}

static void certificates(void **state)
{
    static const char encrypted[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                    "MAA=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    struct span cert = buf_span(&ecdsa.cert), key = buf_span(&ecdsa.key);
    struct buf chain;
    struct tls_context *c;
    const char *why;

    (void)state;
    assert_refused(SPAN(""), key, "no certificate");
    assert_refused(key, key, "no certificate");
    assert_refused(cert, SPAN(""), "no private key");
    assert_refused(cert, SPAN("rubbish"), "no private key");
    assert_refused(cert, span_str(encrypted), "no private key");
    assert_refused(cert, buf_span(&rsa.key), "");
    assert_refused(span_first(cert, cert.len / 2), key, "no certificate");

    buf_init_growing(&chain, 65536);
    buf_append(&chain, cert);
    buf_append(&chain, buf_span(&rsa.cert));
    assert_int_equal(context_create(buf_span(&chain), key, &c, &why), 0);
    context_unref(context_ref(c));
    context_unref(c);
    assert_refused(span_first(buf_span(&chain), chain.len - 100), key, "damaged");
    buf_finish(&chain);
}

/* The chain is sent in full. */
static void chain_sent(void **state)
{
    struct buf chain;
    struct tls_context *c;
    const char *why;
    struct peer p;

    (void)state;
    buf_init_growing(&chain, 65536);
    buf_append(&chain, buf_span(&ecdsa.cert));
    for (int i = 0; i < 20; i++) /* more than one record of certificates */
        buf_append(&chain, buf_span(&rsa.cert));
    assert_int_equal(context_create(buf_span(&chain), buf_span(&ecdsa.key), &c, &why), 0);
    peer_init(&p, c, peer_client(0, NULL));
    assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
    assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(p.client)), 21);
    peer_echo(&p, 100);
    peer_finish(&p);
    context_unref(c);
    buf_finish(&chain);
}

static int connect_alpn(struct span protocols, struct peer *p)
{
    peer_init(p, context, peer_client(0, NULL));
    if (protocols.len > 0)
        SSL_set_alpn_protos(p->client, (const unsigned char *)protocols.data,
                            (unsigned)protocols.len);
    return peer_connect(p, PEER_BUFFER);
}

static void alpn(void **state)
{
    static const struct {
        struct span offer;
        const char *chosen; /* NULL: refused */
    } cases[] = {
        {SPAN(""), ""},
        {SPAN("\x08http/1.1"), "http/1.1"},
        {SPAN("\x02h2\x08http/1.1"), "http/1.1"},
        {SPAN("\x08http/1.0\x08http/1.1"), "http/1.1"},
        {SPAN("\x02h2"), NULL},
        {SPAN("\x08http/1.0\x02h2\x09http/1.12"), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned char *chosen;
        unsigned len;
        struct peer p;
        int r = connect_alpn(cases[i].offer, &p);

        if (cases[i].chosen) {
            assert_int_equal(r, HANDSHAKE_DONE);
            SSL_get0_alpn_selected(p.client, &chosen, &len);
            assert_int_equal(len, strlen(cases[i].chosen));
            if (len)
                assert_memory_equal(chosen, cases[i].chosen, len);
        } else {
            assert_int_equal(r, -EPROTO);
            assert_string_equal(handshake_reason(p.h), "no application protocol");
            assert_int_equal(SSL_do_handshake(p.client), -1);
            assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
                             SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
            ERR_clear_error();
        }
        peer_finish(&p);
    }
}

static uint8_t agreed_cipher(int version, const char *offer)
{
    struct peer p;
    uint8_t cipher;

    peer_init(&p, context, peer_client(version, offer));
    assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
    cipher = handshake_info(p.h)->cipher;
    peer_finish(&p);
    return cipher;
}

static void preference(void **state)
{
    (void)state;
    assert_int_equal(agreed_cipher(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384:"
                                                   "TLS_CHACHA20_POLY1305_SHA256:"
                                                   "TLS_AES_128_GCM_SHA256"),
                     TLS_CIPHER_AES_128_GCM);
    assert_int_equal(agreed_cipher(TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256:"
                                                   "TLS_AES_128_GCM_SHA256"),
                     TLS_CIPHER_CHACHA20_POLY1305);
    assert_int_equal(agreed_cipher(TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384:"
                                                   "ECDHE-ECDSA-CHACHA20-POLY1305"),
                     TLS_CIPHER_AES_256_GCM);
    assert_int_equal(agreed_cipher(TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305:"
                                                   "ECDHE-ECDSA-AES256-GCM-SHA384"),
                     TLS_CIPHER_CHACHA20_POLY1305);
    assert_int_equal(agreed_cipher(0, NULL), TLS_CIPHER_AES_128_GCM);
}

static void rotation(void **state)
{
    struct ticket_keys keys = {0}, before;

    (void)state;
    assert_int_equal(ticket_keys_rotate(&keys, 100), 0);
    assert_int_equal(keys.current.created_s, 100);
    assert_int_equal(keys.previous.created_s, 0);
    before = keys;
    assert_int_equal(ticket_keys_rotate(&keys, 200), 0);
    assert_memory_equal(&keys.previous, &before.current, sizeof(before.current));
    assert_memory_not_equal(keys.current.name, before.current.name, sizeof(before.current.name));
    assert_memory_not_equal(keys.current.aes, before.current.aes, sizeof(before.current.aes));
    assert_memory_not_equal(keys.current.hmac, before.current.hmac, sizeof(before.current.hmac));
}

static void warm_up(void **state)
{
    const struct made *made[] = {&ecdsa, &rsa};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_context *c;
        const char *why;
        struct peer p;

        assert_int_equal(
            context_create(buf_span(&made[i]->cert), buf_span(&made[i]->key), &c, &why), 0);
        assert_int_equal(context_warm_up(c), 0);
        /* The warm-up's ticket keys are gone: it had none and has none. */
        peer_init(&p, c, peer_client(TLS1_3_VERSION, NULL));
        assert_int_equal(peer_connect(&p, PEER_BUFFER), HANDSHAKE_DONE);
        assert_int_equal(p.s.tx.keys.sequence, 0);
        peer_finish(&p);
        context_unref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates), cmocka_unit_test(chain_sent), cmocka_unit_test(alpn),
        cmocka_unit_test(preference),   cmocka_unit_test(rotation),   cmocka_unit_test(warm_up),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
