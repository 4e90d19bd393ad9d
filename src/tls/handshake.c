#include "tls/handshake.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/list.h"
#include "tls/openssl.h"
#include "tls/provider.h"

enum state { RUNNING, DONE, FINISHED, FAILED };

struct handshake {
    struct tls_context *context;
    SSL *ssl; /* NULL after finish */
    enum state state;
    const char *reason;
    struct handshake_info info;

    struct span in; /* during a step: what OpenSSL has not read yet */
    struct buf *out;
    size_t in_total;

    struct traffic_secrets secrets; /* TLS 1.3 */
    uint64_t sent;                  /* records under the keys that the session goes on with */
};

/* --- the BIO: OpenSSL reads from `in` and writes to `out` --- */

static int bio_read(BIO *bio, char *to, int size)
{
    struct handshake *h = BIO_get_data(bio);
    size_t n = h->in.len < (size_t)size ? h->in.len : (size_t)size;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, h->in.data, n);
    h->in = span_skip(h->in, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *from, int len)
{
    struct handshake *h = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    buf_append(h->out, span_of(from, (size_t)len));
    return buf_failed(h->out) ? -1 : len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static struct {
    pthread_once_t once;
    BIO_METHOD *method;
} bios = {.once = PTHREAD_ONCE_INIT};

static void make_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "handshake");

    if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl))
        bios.method = m;
}

/* --- what OpenSSL tells on the way --- */

/* From here OpenSSL writes with these keys. */
static void server_secret_derived(struct traffic_secrets *secrets)
{
    container_of(secrets, struct handshake, secrets)->sent = 0;
}

/* Counts the records OpenSSL sends under the session's keys: tickets in TLS 1.3, Finished in
 * TLS 1.2. Headers, not messages: a large message takes several records. */
static void message_callback(int write, int version, int type, const void *data, size_t len,
                             SSL *ssl, void *arg)
{
    struct handshake *h = arg;
    uint8_t first;

    (void)version, (void)ssl;
    if (!write || len < 1 || type != SSL3_RT_HEADER)
        return;
    first = *(const uint8_t *)data;
    if (first == SSL3_RT_CHANGE_CIPHER_SPEC)
        h->sent = 0; /* TLS 1.2 changes keys here; in TLS 1.3 it comes before all secrets */
    else
        h->sent++;
}

/* --- the steps --- */

int handshake_create(struct tls_context *context, struct handshake **ret)
{
    struct handshake *h = calloc(1, sizeof(*h));
    BIO *bio = NULL;

    if (!h)
        return -ENOMEM;
    h->context = context_ref(context);
    h->secrets.server_derived = server_secret_derived;
    ERR_clear_error();
    pthread_once(&bios.once, make_bio_method);
    h->ssl = context_new_ssl(context);
    if (h->ssl && bios.method)
        bio = BIO_new(bios.method);
    if (!bio) {
        handshake_destroy(h);
        return -ENOMEM;
    }
    BIO_set_data(bio, h);
    BIO_set_init(bio, 1);
    SSL_set_bio(h->ssl, bio, bio);
    SSL_set_app_data(h->ssl, h);
    SSL_set_msg_callback(h->ssl, message_callback);
    SSL_set_msg_callback_arg(h->ssl, h);
    SSL_set_accept_state(h->ssl);
    *ret = h;
    return 0;
}

static uint8_t cipher_of(const SSL *ssl)
{
    switch (SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(ssl))) {
    case NID_aes_128_gcm:
        return TLS_CIPHER_AES_128_GCM;
    case NID_aes_256_gcm:
        return TLS_CIPHER_AES_256_GCM;
    case NID_chacha20_poly1305:
        return TLS_CIPHER_CHACHA20_POLY1305;
    default:
        return 0;
    }
}

static int fail(struct handshake *h, int error, const char *reason)
{
    h->state = FAILED;
    h->reason = reason;
    return error;
}

static int done(struct handshake *h)
{
    h->info = (struct handshake_info){
        .version = (uint16_t)SSL_version(h->ssl),
        .cipher = cipher_of(h->ssl),
        .resumed = SSL_session_reused(h->ssl),
    };
    /* OpenSSL holding bytes back, or an algorithm we do not have: neither happens with our
     * settings. */
    if (SSL_has_pending(h->ssl) || h->info.cipher == 0)
        return fail(h, -EPROTO, "unexpected state after the handshake");
    h->state = DONE;
    return HANDSHAKE_DONE;
}

static int failed(struct handshake *h)
{
    unsigned long e = ERR_peek_error(); /* the oldest is the cause, the others follow from it */
    const char *text = ERR_reason_error_string(e);
    int error = ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EPROTO;

    if (buf_failed(h->out))
        return fail(h, -ENOBUFS, "no room for the answer");
    return fail(h, error, text ? text : "handshake failure");
}

int handshake_step(struct handshake *h, struct span in, size_t *ret_consumed, struct buf *out)
{
    size_t fed = HANDSHAKE_IN_MAX - h->in_total;
    int r, error;

    assert(h->state == RUNNING);
    if (fed > in.len)
        fed = in.len;
    h->in = span_first(in, fed);
    h->out = out;
    ERR_clear_error(); /* the queue belongs to the thread, not to this connection */
    provider_listen(&h->secrets);
    r = SSL_do_handshake(h->ssl);
    provider_listen(NULL);
    error = SSL_get_error(h->ssl, r);
    *ret_consumed = fed - h->in.len;
    h->in_total += *ret_consumed;

    if (r == 1)
        r = done(h);
    else if (error != SSL_ERROR_WANT_READ)
        r = failed(h);
    else if (h->in_total == HANDSHAKE_IN_MAX)
        r = fail(h, -EPROTO, "too many bytes in the handshake");
    else
        r = HANDSHAKE_WANT_READ;
    h->in = (struct span){0};
    h->out = NULL;
    ERR_clear_error();
    return r;
}

const char *handshake_reason(const struct handshake *h)
{
    return h->reason ? h->reason : "none";
}

const struct handshake_info *handshake_info(const struct handshake *h)
{
    return &h->info;
}

static int keys_tls13(struct handshake *h, struct tls_keys *ret_client, struct tls_keys *ret_server)
{
    const struct traffic_secrets *s = &h->secrets;
    int r = keys_from_secret(h->info.cipher, s->client, s->client_len, ret_client);

    if (r == 0)
        r = keys_from_secret(h->info.cipher, s->server, s->server_len, ret_server);
    return r;
}

static int keys_tls12(struct handshake *h, struct tls_keys *ret_client, struct tls_keys *ret_server)
{
    uint8_t master[TLS_MASTER_SIZE], client[TLS_RANDOM_SIZE], server[TLS_RANDOM_SIZE];
    int r = -EIO;

    if (SSL_SESSION_get_master_key(SSL_get_session(h->ssl), master, sizeof(master)) ==
            sizeof(master) &&
        SSL_get_client_random(h->ssl, client, sizeof(client)) == sizeof(client) &&
        SSL_get_server_random(h->ssl, server, sizeof(server)) == sizeof(server)) {
        keys_from_master(h->info.cipher, master, client, server, ret_client, ret_server);
        ret_client->sequence = 1; /* the client's Finished */
        r = 0;
    }
    OPENSSL_cleanse(master, sizeof(master));
    return r;
}

/* RFC 6066 section 4: 1 to 4 stand for 2^9 to 2^12; 0 is "not negotiated". */
static uint16_t max_fragment(const SSL *ssl)
{
    uint8_t code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));

    return (uint16_t)(code == 0 ? TLS_PLAINTEXT_MAX : 256u << code);
}

int handshake_finish(struct handshake *h, struct tls_session *ret_session)
{
    struct tls_keys client = {0}, server = {0};
    int r;

    assert(h->state == DONE);
    r = h->info.version == TLS_VERSION_1_3 ? keys_tls13(h, &client, &server)
                                           : keys_tls12(h, &client, &server);
    server.sequence = h->sent;
    if (r == 0)
        r = session_init(ret_session, &client, &server, max_fragment(h->ssl));
    keys_wipe(&client);
    keys_wipe(&server);
    SSL_free(h->ssl);
    h->ssl = NULL;
    h->state = FINISHED;
    OPENSSL_cleanse(&h->secrets, sizeof(h->secrets));
    return r;
}

void handshake_destroy(struct handshake *h)
{
    if (!h)
        return;
    SSL_free(h->ssl);
    context_unref(h->context);
    OPENSSL_cleanse(h, sizeof(*h));
    free(h);
}

bool handshake_is_http(struct span first_bytes)
{
    size_t method_len = span_find(first_bytes, ' ');

    /* A method is capital letters; a TLS record begins with 22, and with 0x80 in its oldest form.
     */
    for (size_t i = 0; i < method_len; i++)
        if (first_bytes.data[i] < 'A' || first_bytes.data[i] > 'Z')
            return false;
    return method_len > 0 && method_len <= 16;
}
