/* What all handshakes share: certificate, key, algorithms, ticket keys. Wraps OpenSSL's SSL_CTX.
 *
 * Resumption is stateless (tickets only; RFC 5077, RFC 8446 section 2.2). No 0-RTT, no
 * renegotiation, no compression, no client certificates. A context is counted: each
 * handshake holds a reference. A thread should have a context of its own: OpenSSL counts references
 * to what is inside, and two cores that count the same ones slow each other down. A new certificate
 * is a new context.
 */
#pragma once

#include "base/span.h"

struct tls_context;

enum {
    TICKET_NAME_SIZE = 16,
    TICKET_KEY_SIZE = 32,
    TICKET_IV_SIZE = 16,
    /* A key makes tickets for half of its life and is accepted for the other half. Whoever stole
     * one could read TLS 1.2 traffic recorded while it was in use: within 12 hours nobody has it
     * any more. */
    TICKET_ROTATE_S = 6 * 3600,
    TICKET_RETIRE_S = 2 * TICKET_ROTATE_S,
};

struct ticket_key {
    uint8_t name[TICKET_NAME_SIZE];
    uint8_t aes[TICKET_KEY_SIZE];
    uint8_t hmac[TICKET_KEY_SIZE];
    int64_t created_s; /* CLOCK_BOOTTIME, which no clock setting moves; 0: no key */
};

/* Plain data: made by one process, used by all. */
struct ticket_keys {
    struct ticket_key current, previous;
};

/* Makes `previous` of `current` and a random `current`; wipes the old `previous`. `now_s` is
 * CLOCK_BOOTTIME, at least 1. To be called on zeroed keys at start and then every TICKET_ROTATE_S.
 * Returns 0 or -errno. */
int ticket_keys_rotate(struct ticket_keys *keys, int64_t now_s);

/* A context with one reference. `chain_pem` begins with the server's certificate, its issuers
 * follow; `key_pem` is its unencrypted private key (ECDSA or RSA). Returns 0 or -errno (-EINVAL for
 * what the caller gave, -ENOMEM) and a constant text for the user in `ret_why`. */
int context_create(struct span chain_pem, struct span key_pem, struct tls_context **ret,
                   const char **ret_why);
struct tls_context *context_ref(struct tls_context *c);
void context_unref(struct tls_context *c); /* NULL is fine */

/* Copies the keys. Without a current key, or with one past TICKET_RETIRE_S, no tickets are made. */
void context_set_ticket_keys(struct tls_context *c, const struct ticket_keys *keys);

/* Shakes hands with itself once for every version and cipher, and resumes, so that everything
 * OpenSSL loads or fetches on first use is there: afterwards the process may lose open(). Before
 * any thread or sandbox. Takes a few milliseconds. Returns 0 or -errno. */
int context_warm_up(struct tls_context *c);
