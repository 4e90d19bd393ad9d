/* For the TLS tests: OpenSSL as the client, the server's side ours, bytes moved by hand. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "tls/certificate.h"
#include "tls/handshake.h"

enum { PEER_BUFFER = 256 * 1024 };

struct peer {
    SSL *client;
    struct handshake *h;
    struct tls_session s; /* after peer_connect() */
    bool open;            /* s is set */
    struct buf out;       /* ours to the client, not delivered yet */
    uint8_t *in;          /* the client's to us, not taken yet */
    size_t in_len;
    char *got; /* application data from the client */
    size_t got_len;
    int last; /* what handshake_step() or session_open() returned last */
    struct session_event event;
};

static inline int64_t peer_boottime(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec + 1;
}

static inline struct span peer_rsa_key(void)
{
    static char pem[4096];
    static size_t len;

    if (len == 0) {
        EVP_PKEY *key = EVP_RSA_gen(2048);
        BIO *bio = BIO_new(BIO_s_mem());

        assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
        len = (size_t)BIO_read(bio, pem, sizeof(pem));
        BIO_free(bio);
        EVP_PKEY_free(key);
    }
    return span_of(pem, len);
}

/* A context with a fresh certificate; `rsa` or ECDSA. With ticket keys. */
static inline struct tls_context *peer_context(bool rsa)
{
    struct tls_context *context = NULL;
    struct ticket_keys keys = {0};
    struct buf cert, key;
    const char *why = NULL;

    buf_init_growing(&cert, 16384);
    buf_init_growing(&key, 16384);
    assert_int_equal(certificate_make(rsa ? peer_rsa_key() : SPAN(""), SPAN("localhost"),
                                      time(NULL), &cert, &key),
                     0);
    assert_int_equal(context_create(buf_span(&cert), buf_span(&key), &context, &why), 0);
    assert_int_equal(ticket_keys_rotate(&keys, peer_boottime()), 0);
    context_set_ticket_keys(context, &keys);
    buf_finish(&cert);
    buf_finish(&key);
    return context;
}

/* A client that takes any certificate; `suites` NULL: all; `version` 0: any. */
static inline SSL *peer_client(int version, const char *suites)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *client;

    client = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
    if (version) {
        SSL_set_min_proto_version(client, version);
        SSL_set_max_proto_version(client, version);
    }
    if (suites && version == TLS1_3_VERSION)
        assert_int_equal(SSL_set_ciphersuites(client, suites), 1);
    if (suites && version == TLS1_2_VERSION)
        assert_int_equal(SSL_set_cipher_list(client, suites), 1);
    return client;
}

static inline void peer_init(struct peer *p, struct tls_context *context, SSL *client)
{
    memset(p, 0, sizeof(*p));
    p->client = client;
    p->in = malloc(PEER_BUFFER);
    p->got = malloc(PEER_BUFFER);
    assert_non_null(p->in);
    assert_non_null(p->got);
    buf_init_growing(&p->out, PEER_BUFFER);
    assert_int_equal(handshake_create(context, &p->h), 0);
}

static inline void peer_finish(struct peer *p)
{
    SSL_free(p->client);
    handshake_destroy(p->h);
    if (p->open)
        session_wipe(&p->s);
    buf_finish(&p->out);
    free(p->in);
    free(p->got);
}

/* Delivers what we have for the client, and takes what the client has for us. */
static inline void peer_move(struct peer *p)
{
    int n;

    if (p->out.len > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(p->client), p->out.data, (int)p->out.len),
                         (int)p->out.len);
    p->out.len = 0;
    n = BIO_read(SSL_get_wbio(p->client), p->in + p->in_len, (int)(PEER_BUFFER - p->in_len));
    if (n > 0)
        p->in_len += (size_t)n;
}

static inline void peer_take(struct peer *p, size_t n)
{
    memmove(p->in, p->in + n, p->in_len - n);
    p->in_len -= n;
}

/* Feeds all that came in, `step` bytes at a time; stops at the handshake's end. */
static inline int peer_feed(struct peer *p, size_t step)
{
    size_t consumed;

    do {
        size_t n = p->in_len < step ? p->in_len : step;

        p->last = handshake_step(p->h, span_of(p->in, n), &consumed, &p->out);
        assert_true(consumed <= n);
        if (p->last == HANDSHAKE_WANT_READ)
            assert_int_equal(consumed, n);
        peer_take(p, consumed);
    } while (p->last == HANDSHAKE_WANT_READ && p->in_len > 0);
    return p->last;
}

/* Shakes hands to the end, each flight fed `step` bytes at a time. Returns DONE or an error. */
static inline int peer_connect(struct peer *p, size_t step)
{
    int r = HANDSHAKE_WANT_READ;

    for (int i = 0; i < 10 && r == HANDSHAKE_WANT_READ; i++) {
        SSL_do_handshake(p->client);
        peer_move(p);
        r = peer_feed(p, step);
        peer_move(p);
    }
    if (r == HANDSHAKE_DONE) {
        assert_int_equal(SSL_do_handshake(p->client), 1);
        assert_int_equal(handshake_finish(p->h, &p->s), 0);
        p->open = true;
    }
    return r;
}

/* Opens all complete records that the client sent. Data collects in `got`; stops at an error or the
 * end. */
static inline int peer_open(struct peer *p)
{
    peer_move(p);
    for (;;) {
        p->last = session_open(&p->s, p->in, p->in_len, &p->event);
        if (p->last <= 0)
            return p->last;
        if (p->event.kind == SESSION_DATA) {
            assert_true(p->got_len + p->event.data.len <= PEER_BUFFER);
            memcpy(p->got + p->got_len, p->event.data.data, p->event.data.len);
            p->got_len += p->event.data.len;
        }
        peer_take(p, (size_t)p->last);
        if (p->event.kind == SESSION_CLOSED || p->event.kind == SESSION_ALERT)
            return 1;
        if (p->s.key_update_owed) {
            uint8_t reply[SESSION_MESSAGE_MAX];
            int n = session_key_update(&p->s, false, reply);

            assert_true(n > 0);
            buf_append(&p->out, span_of(reply, (size_t)n));
        }
    }
}

/* Seals `data` into as many records as it takes. */
static inline void peer_send(struct peer *p, const char *data, size_t len)
{
    static uint8_t record[TLS_RECORD_MAX];

    while (len > 0) {
        size_t n = len < p->s.max_fragment ? len : p->s.max_fragment;
        int sealed;

        memcpy(record + record_prefix(&p->s.tx), data, n);
        sealed = record_seal(&p->s.tx, TLS_TYPE_APPLICATION_DATA, record, n);
        assert_int_equal(sealed, record_prefix(&p->s.tx) + n + record_suffix(&p->s.tx));
        buf_append(&p->out, span_of(record, (size_t)sealed));
        data += n;
        len -= n;
    }
}

/* The client reads exactly `len` bytes and finds `data`. */
static inline void peer_expect(struct peer *p, const char *data, size_t len)
{
    char *text = malloc(len + 1);
    size_t n = 0;

    assert_non_null(text);
    peer_move(p);
    while (n < len) {
        int r = SSL_read(p->client, text + n, (int)(len - n));

        if (r <= 0)
            fail_msg("the client cannot read: %s", ERR_error_string(ERR_peek_error(), NULL));
        n += (size_t)r;
    }
    assert_memory_equal(text, data, len);
    free(text);
}

/* A message each way, `len` bytes. */
static inline void peer_echo(struct peer *p, size_t len)
{
    char *data = malloc(len);

    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31 + len);
    p->got_len = 0;
    assert_int_equal(SSL_write(p->client, data, (int)len), (int)len);
    assert_int_equal(peer_open(p), 0);
    assert_int_equal(p->got_len, len);
    assert_memory_equal(p->got, data, len);
    peer_send(p, data, len);
    peer_expect(p, data, len);
    free(data);
}
