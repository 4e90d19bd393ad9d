#include "tls/context.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base/cleanup.h"
#include "tls/handshake.h"
#include "tls/openssl.h"
#include "tls/provider.h"

struct tls_context {
    SSL_CTX *ssl;
    EVP_CIPHER *ticket_cipher; /* looked up once, not for each ticket */
    atomic_uint references;
    pthread_mutex_t lock; /* of tickets: every ring's thread reads, one writes every few hours */
    struct ticket_keys tickets;
};

/* AES-128 first: with AES instructions it is the fastest, and its margin is ample. A client that
 * prefers ChaCha20 (it has no AES instructions) gets it: SSL_OP_PRIORITIZE_CHACHA. */
static const char suites_tls13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char suites_tls12[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                   "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                   "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/* --- tickets --- */

static int64_t boottime_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

int ticket_keys_rotate(struct ticket_keys *keys, int64_t now_s)
{
    struct ticket_key fresh = {.created_s = now_s};

    assert(now_s >= 1);
    if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 ||
        RAND_priv_bytes(fresh.aes, sizeof(fresh.aes)) != 1 ||
        RAND_priv_bytes(fresh.hmac, sizeof(fresh.hmac)) != 1)
        return -EIO;
    keys->previous = keys->current;
    keys->current = fresh;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return 0;
}

static bool ticket_key_alive(const struct ticket_key *key)
{
    return key->created_s > 0 && boottime_s() - key->created_s < TICKET_RETIRE_S;
}

static struct ticket_keys ticket_keys_copy(struct tls_context *c)
{
    struct ticket_keys keys;

    pthread_mutex_lock(&c->lock);
    keys = c->tickets;
    pthread_mutex_unlock(&c->lock);
    return keys;
}

void context_set_ticket_keys(struct tls_context *c, const struct ticket_keys *keys)
{
    pthread_mutex_lock(&c->lock);
    c->tickets = *keys;
    pthread_mutex_unlock(&c->lock);
}

/* The ticket format of RFC 5077 section 4: AES-256-CBC, then HMAC-SHA-256. */
static bool ticket_key_apply(const struct tls_context *c, const struct ticket_key *key,
                             unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                             int encrypt)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->hmac, sizeof(key->hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex(cipher, c->ticket_cipher, NULL, key->aes, iv, encrypt) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL's callback: 1 takes the key, 2 takes it and renews the ticket, 0 knows no key, -1 fails.
 */
static int ticket_callback(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                           EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_keys keys = ticket_keys_copy(c);
    const struct ticket_key *key = &keys.current;
    int result = 1;

    if (encrypt) {
        memcpy(name, key->name, TICKET_NAME_SIZE);
        if (RAND_bytes(iv, TICKET_IV_SIZE) != 1)
            result = -1;
    } else if (memcmp(name, key->name, TICKET_NAME_SIZE) != 0) {
        key = &keys.previous;
        result = memcmp(name, key->name, TICKET_NAME_SIZE) == 0 ? 2 : 0;
    }
    if (result > 0 && !ticket_key_alive(key))
        result = 0;
    if (result > 0 && !ticket_key_apply(c, key, iv, cipher, mac, encrypt))
        result = -1;
    OPENSSL_cleanse(&keys, sizeof(keys));
    return result;
}

SSL *context_new_ssl(struct tls_context *c)
{
    SSL *ssl = SSL_new(c->ssl);
    struct ticket_keys keys = ticket_keys_copy(c);

    if (ssl && !ticket_key_alive(&keys.current)) {
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(
            ssl, 0); /* in TLS 1.3 NO_TICKET alone means tickets with a server-side cache */
    }
    OPENSSL_cleanse(&keys, sizeof(keys));
    return ssl;
}

/* --- settings --- */

/* http/1.1 where it is offered. A client that offers only others could not talk to us: RFC 7301
 * section 3.2 wants no_application_protocol then. One without ALPN speaks HTTP/1.1 anyway. */
static int alpn_callback(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                         const unsigned char *offered, unsigned len, void *arg)
{
    static const struct span ours = SPAN("http/1.1");

    (void)ssl;
    (void)arg;
    for (unsigned i = 0; i < len; i += 1u + offered[i]) { /* OpenSSL has checked the list's form */
        if (span_equal(span_of(offered + i + 1, offered[i]), ours)) {
            *ret = offered + i + 1;
            *ret_len = (unsigned char)ours.len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool set_groups(SSL_CTX *ssl)
{
    if (SSL_CTX_set1_groups_list(ssl, "X25519MLKEM768:X25519:P-256") == 1)
        return true;
    ERR_clear_error(); /* before OpenSSL 3.5 */
    return SSL_CTX_set1_groups_list(ssl, "X25519:P-256") == 1;
}

/* Everything is set here, since Debian's openssl.cnf may say anything. */
static bool configure(struct tls_context *c)
{
    static const unsigned char id[] = "fastfile";
    SSL_CTX *ssl = c->ssl;
    uint64_t options = SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                       SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;

#ifdef SSL_OP_NO_TX_CERTIFICATE_COMPRESSION /* OpenSSL 3.2: certificates are small, code is not */
    options |= SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION;
#endif
    SSL_CTX_set_options(ssl, options);
    SSL_CTX_clear_options(ssl, SSL_OP_ENABLE_KTLS | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                                   SSL_OP_NO_TICKET);
    SSL_CTX_set_security_level(ssl, 2); /* Debian's default: RSA from 2048 bits, no SHA-1 */
    /* The chain is what the file holds: OpenSSL would look for more of it in every handshake. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ssl, 0); /* not one byte beyond the client's Finished */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);

    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ssl, TICKET_ROTATE_S);
    SSL_CTX_set_max_early_data(ssl, 0);
    SSL_CTX_set_recv_max_early_data(ssl, 0);
    SSL_CTX_set_app_data(ssl, c);
    SSL_CTX_set_alpn_select_cb(ssl, alpn_callback, NULL);

    /* One ticket instead of two: each resumption brings the next one. Chromium uses a ticket once
     * and opens up to six connections together; those without one shake hands in full, and then
     * have theirs. */
    return SSL_CTX_set_num_tickets(ssl, 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_callback) == 1 &&
           SSL_CTX_set_session_id_context(ssl, id, sizeof(id) - 1) == 1 &&
           SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, suites_tls13) == 1 &&
           SSL_CTX_set_cipher_list(ssl, suites_tls12) == 1 && set_groups(ssl);
}

/* --- certificate and key --- */

static void cleanup_bio(BIO **bio)
{
    BIO_free(*bio);
}

/* An encrypted key must not make OpenSSL ask on the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static const char *openssl_why(const char *otherwise)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text ? text : otherwise;
}

/* Returns NULL, or why not. */
static const char *load_chain(SSL_CTX *ssl, struct span pem)
{
    _cleanup_(cleanup_bio) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
    unsigned long e;
    int r;

    if (!x)
        return "no certificate in PEM form";
    r = SSL_CTX_use_certificate(ssl, x);
    X509_free(x);
    if (r != 1)
        return openssl_why("the certificate cannot be used");

    while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
        if (SSL_CTX_add0_chain_cert(ssl, x) != 1) {
            X509_free(x);
            return openssl_why("an issuer's certificate cannot be used");
        }
    }
    e = ERR_peek_last_error();
    if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
        return "a certificate of the chain is damaged";
    ERR_clear_error(); /* the end of the text */
    return NULL;
}

static const char *load_key(SSL_CTX *ssl, struct span pem)
{
    _cleanup_(cleanup_bio) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    int r;

    if (!key)
        return "no private key in PEM form, or one with a password";
    r = SSL_CTX_use_PrivateKey(ssl, key);
    EVP_PKEY_free(key);
    if (r != 1 || SSL_CTX_check_private_key(ssl) != 1)
        return openssl_why("the private key does not belong to the certificate");
    return NULL;
}

int context_create(struct span chain_pem, struct span key_pem, struct tls_context **ret,
                   const char **ret_why)
{
    struct tls_context *c = calloc(1, sizeof(*c));
    const char *why;

    *ret_why = "out of memory";
    if (!c)
        return -ENOMEM;
    atomic_init(&c->references, 1);
    pthread_mutex_init(&c->lock, NULL);
    ERR_clear_error();
    if (provider_load() == 0)
        c->ssl = SSL_CTX_new_ex(NULL, PROVIDER_QUERY, TLS_server_method());
    c->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!c->ticket_cipher || !c->ssl || !configure(c)) {
        *ret_why = openssl_why("OpenSSL does not start");
        context_unref(c);
        return -ENOMEM;
    }
    why = chain_pem.len > INT_MAX || key_pem.len > INT_MAX ? "too large" : NULL;
    if (!why)
        why = load_chain(c->ssl, chain_pem);
    if (!why)
        why = load_key(c->ssl, key_pem);
    ERR_clear_error();
    if (why) {
        *ret_why = why;
        context_unref(c);
        return -EINVAL;
    }
    *ret = c;
    return 0;
}

struct tls_context *context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

void context_unref(struct tls_context *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(c->ssl);
    EVP_CIPHER_free(c->ticket_cipher);
    pthread_mutex_destroy(&c->lock);
    OPENSSL_cleanse(c, sizeof(*c));
    free(c);
}

/* --- warm-up --- */

static void cleanup_handshake(struct handshake **h)
{
    handshake_destroy(*h);
}

static void cleanup_ssl(SSL **ssl)
{
    SSL_free(*ssl);
}

static void cleanup_ssl_ctx(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

static void cleanup_session(SSL_SESSION **session)
{
    SSL_SESSION_free(*session);
}

/* One flight each way. Returns what handshake_step() returned. */
static int exchange_flights(SSL *client, struct handshake *h)
{
    _cleanup_(buf_finish) struct buf out = {0};
    size_t consumed;
    char *sent;
    long len;
    int r;

    buf_init_growing(&out, 64 * 1024);
    SSL_do_handshake(client);
    len = BIO_get_mem_data(SSL_get_wbio(client), &sent);
    r = handshake_step(h, span_of(sent, (size_t)len), &consumed, &out);
    (void)BIO_reset(SSL_get_wbio(client));
    if (out.len > 0 && BIO_write(SSL_get_rbio(client), out.data, (int)out.len) != (int)out.len)
        return -ENOMEM;
    return r;
}

/* A byte to the client with our record layer, and back: whether both agree on keys and sequence. */
static int exchange_records(SSL *client, struct tls_session *s)
{
    uint8_t record[TLS_PREFIX_MAX + 1 + TLS_SUFFIX_MAX];
    struct session_event event;
    char got = 0, *sent;
    long len;
    int n;

    record[record_prefix(&s->tx)] = 'x';
    n = record_seal(&s->tx, TLS_TYPE_APPLICATION_DATA, record, 1);
    if (n < 0 || BIO_write(SSL_get_rbio(client), record, n) != n ||
        SSL_read(client, &got, 1) != 1 || got != 'x' || SSL_write(client, "y", 1) != 1)
        return -EPROTO;
    len = BIO_get_mem_data(SSL_get_wbio(client), &sent);
    n = session_open(s, (uint8_t *)sent, (size_t)len, &event);
    return n > 0 && event.kind == SESSION_DATA && *event.data.data == 'y' ? 0 : -EPROTO;
}

/* Shakes hands as both sides and exchanges a record; `*session` is resumed if set, and replaced. */
static int talk_to_self(struct tls_context *c, SSL *client, SSL_SESSION **session)
{
    _cleanup_(cleanup_handshake) struct handshake *h = NULL;
    struct tls_session s;
    bool resumed = *session != NULL;
    int r = handshake_create(c, &h);

    if (r < 0)
        return r;
    if (*session && SSL_set_session(client, *session) != 1)
        return -EPROTO;
    do {
        r = exchange_flights(client, h);
    } while (r == HANDSHAKE_WANT_READ);
    if (r != HANDSHAKE_DONE || SSL_do_handshake(client) != 1 ||
        handshake_info(h)->resumed != resumed)
        return r < 0 ? r : -EPROTO;
    r = handshake_finish(h, &s);
    if (r < 0)
        return r;
    r = exchange_records(client, &s);
    session_wipe(&s);
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(client);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN); /* or freeing it spoils the session */
    return r;
}

static SSL *new_client(SSL_CTX *ctx, int version, const char *suites)
{
    SSL *client = SSL_new(ctx);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    if (!client || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(client);
        return NULL;
    }
    SSL_set_bio(client, in, out);
    SSL_set_connect_state(client);
    SSL_set_min_proto_version(client, version);
    SSL_set_max_proto_version(client, version);
    if (version == TLS1_3_VERSION)
        SSL_set_ciphersuites(client, suites);
    else
        SSL_set_cipher_list(client, suites);
    return client;
}

static int warm_up_suite(struct tls_context *c, SSL_CTX *ctx, int version, const char *suites)
{
    _cleanup_(cleanup_session) SSL_SESSION *session = NULL;
    int r = 0;

    for (int resume = 0; resume < 2 && r == 0; resume++) {
        _cleanup_(cleanup_ssl) SSL *client = new_client(ctx, version, suites);

        r = client ? talk_to_self(c, client, &session) : -ENOMEM;
    }
    return r;
}

int context_warm_up(struct tls_context *c)
{
    static const struct {
        int version;
        const char *names;
    } suites[] = {
        {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
        {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
        {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"},
        {TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"},
        {TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"},
    };
    _cleanup_(cleanup_ssl_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct ticket_keys kept = ticket_keys_copy(c), own = {0};
    int r = record_warm_up();

    tzset(); /* checking a certificate's dates opens /etc/localtime the first time */
    if (r == 0)
        r = ticket_keys_rotate(&own, boottime_s() + 1);
    if (r == 0 && !ctx)
        r = -ENOMEM;
    context_set_ticket_keys(c, &own);
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]) && r == 0; i++)
        r = warm_up_suite(c, ctx, suites[i].version, suites[i].names);
    context_set_ticket_keys(c, &kept);
    OPENSSL_cleanse(&kept, sizeof(kept));
    OPENSSL_cleanse(&own, sizeof(own));
    ERR_clear_error();
    return r;
}
