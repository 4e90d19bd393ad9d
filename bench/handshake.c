/* What the server's side of a TLS handshake costs, without sockets: src/tls with OpenSSL as the
 * client.
 *
 *     bench/handshake [ROUNDS [MILLISECONDS]]
 *
 * Prints, for each kind of handshake, the median of the rounds: CPU microseconds that the server's
 * calls took, and what of it the elliptic curves alone take. --kind full|resumed|tls12|chain leaves
 * one, without warming up, for callgrind. "chain" is full, with two more certificates to send.
 */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/certificate.h"
#include "tls/handshake.h"

enum { ROUNDS_MAX = 99 };

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "handshake: %s failed\n", what);
    exit(EXIT_FAILURE);
}

static double cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* --- one handshake
 * ------------------------------------------------------------------------------------------- */

struct kind {
    const char *name;
    int version;
    bool resumed;
    bool has_chain;
};

static const struct kind kinds[] = {
    {"full", TLS1_3_VERSION, false, false},
    {"resumed", TLS1_3_VERSION, true, false},
    {"tls12", TLS1_2_VERSION, false, false},
    {"chain", TLS1_3_VERSION, false, true},
};

/* The client does not look at the certificates, so all of the chain may be the same one. */
static struct tls_context *make_context(bool has_chain)
{
    struct tls_context *context;
    struct ticket_keys keys = {0};
    struct timespec boot;
    struct buf certificate, key;
    const char *why;

    buf_init_growing(&certificate, 16384);
    buf_init_growing(&key, 16384);
    must(certificate_make(span_str(""), span_str("localhost"), time(NULL), &certificate, &key) == 0,
         "certificate");
    const struct span one = buf_span(&certificate);
    struct buf chain;
    buf_init_growing(&chain, 65536);
    for (int i = 0; i < (has_chain ? 3 : 1); i++)
        buf_append(&chain, one);
    must(context_create(buf_span(&chain), buf_span(&key), &context, &why) == 0, "context");
    clock_gettime(CLOCK_BOOTTIME, &boot);
    must(ticket_keys_rotate(&keys, boot.tv_sec + 1) == 0, "ticket keys");
    context_set_ticket_keys(context, &keys);
    buf_finish(&chain);
    buf_finish(&certificate);
    buf_finish(&key);
    return context;
}

static SSL *new_client(SSL_CTX *ctx, const struct kind *kind, SSL_SESSION *session)
{
    SSL *client = SSL_new(ctx);

    must(client != NULL, "client");
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
    SSL_set_min_proto_version(client, kind->version);
    SSL_set_max_proto_version(client, kind->version);
    if (session)
        must(SSL_set_session(client, session) == 1, "session");
    return client;
}

/* Gives the server what the client has written, and the client what comes back. Adds what the
 * server took. */
static int step(SSL *client, struct handshake *h, struct buf *out, double *cost)
{
    char *bytes;
    size_t consumed;
    long len = BIO_get_mem_data(SSL_get_wbio(client), &bytes);

    out->len = 0;
    double began = cpu_us();
    int r = handshake_step(h, span_of(bytes, (size_t)len), &consumed, out);
    *cost += cpu_us() - began;
    (void)BIO_reset(SSL_get_wbio(client));
    if (out->len > 0)
        must(BIO_write(SSL_get_rbio(client), out->data, (int)out->len) == (int)out->len,
             "delivery");
    return r;
}

/* Returns what the server took. `session` is resumed if set, and replaced. */
static double shake_hands(struct tls_context *context, SSL_CTX *ctx, const struct kind *kind,
                          SSL_SESSION **session)
{
    SSL *client = new_client(ctx, kind, kind->resumed ? *session : NULL);
    struct handshake *h;
    struct tls_session s;
    struct buf out;
    double cost = 0, began;
    char byte;
    int r;

    buf_init_growing(&out, 64 * 1024);
    began = cpu_us();
    must(handshake_create(context, &h) == 0, "handshake");
    cost += cpu_us() - began;
    do {
        SSL_do_handshake(client);
        r = step(client, h, &out, &cost);
    } while (r == HANDSHAKE_WANT_READ);
    must(r == HANDSHAKE_DONE && SSL_do_handshake(client) == 1, "a step");
    must(handshake_info(h)->resumed == (kind->resumed && *session), "resumption");
    began = cpu_us();
    must(handshake_finish(h, &s) == 0, "the end");
    handshake_destroy(h);
    cost += cpu_us() - began;
    SSL_read(client, &byte, 1); /* takes the ticket */
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(client);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN);
    SSL_free(client);
    session_wipe(&s);
    buf_finish(&out);
    return cost;
}

/* --- what the curves take
 * ------------------------------------------------------------------------------------ */

static EVP_PKEY *x25519_key(void)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
}

static void exchange_keys(EVP_PKEY *peer)
{
    EVP_PKEY *key = x25519_key();
    EVP_PKEY_CTX *derivation = EVP_PKEY_CTX_new(key, NULL);
    unsigned char secret[32];
    size_t len = sizeof(secret);

    must(EVP_PKEY_derive_init(derivation) == 1 && EVP_PKEY_derive_set_peer(derivation, peer) == 1 &&
             EVP_PKEY_derive(derivation, secret, &len) == 1,
         "X25519");
    EVP_PKEY_CTX_free(derivation);
    EVP_PKEY_free(key);
}

static void sign(EVP_PKEY *key)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned char signature[128];
    size_t len = sizeof(signature);

    must(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
             EVP_DigestSign(md, signature, &len, (const unsigned char *)"", 0) == 1,
         "ECDSA");
    EVP_MD_CTX_free(md);
}

/* CPU microseconds of a key exchange, and a signature, as EVP does them. */
static double curves(const struct kind *kind, unsigned count)
{
    EVP_PKEY *peer = x25519_key(), *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

    double began = cpu_us();
    for (unsigned i = 0; i < count; i++) {
        exchange_keys(peer);
        if (!kind->resumed)
            sign(key);
    }
    double cost = (cpu_us() - began) / count;
    EVP_PKEY_free(peer);
    EVP_PKEY_free(key);
    return cost;
}

/* --- rounds
 * --------------------------------------------------------------------------------------------------
 */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), compare);
    return values[count / 2];
}

static double one_round(struct tls_context *context, SSL_CTX *ctx, const struct kind *kind,
                        double ms)
{
    SSL_SESSION *session = NULL;
    unsigned count = 0;
    double cost = 0;

    shake_hands(context, ctx, &(struct kind){.version = kind->version}, &session);
    for (double began = cpu_us(); cpu_us() - began < ms * 1e3; count++)
        cost += shake_hands(context, ctx, kind, &session);
    SSL_SESSION_free(session);
    return cost / count;
}

static void measure(struct tls_context *context, SSL_CTX *ctx, const struct kind *kind,
                    unsigned rounds, double ms)
{
    double costs[ROUNDS_MAX], floors[ROUNDS_MAX];

    for (unsigned i = 0; i < rounds; i++) {
        costs[i] = one_round(context, ctx, kind, ms);
        floors[i] = curves(kind, 500);
    }
    printf("%-8s %6.1f us, curves %5.1f us\n", kind->name, median(costs, rounds),
           median(floors, rounds));
}

int main(int argc, char **argv)
{
    const char *only = NULL;

    if (argc > 2 && strcmp(argv[1], "--kind") == 0) {
        only = argv[2];
        argc -= 2;
        argv += 2;
    }
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    double ms = argc > 2 ? atof(argv[2]) : 500;
    must(rounds >= 1 && rounds <= ROUNDS_MAX && ms > 0, "reading the arguments");

    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    must(ctx != NULL, "the client's context");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (only && strcmp(only, kinds[i].name) != 0)
            continue;
        struct tls_context *context = make_context(kinds[i].has_chain);
        must(only || context_warm_up(context) == 0, "warming up");
        measure(context, ctx, &kinds[i], rounds, ms);
        context_unref(context);
    }
    SSL_CTX_free(ctx);
}
