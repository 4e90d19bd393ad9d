/* An OpenSSL provider of one algorithm: the key derivation of TLS 1.3, done by hkdf.h.
 *
 * It is built in, has nothing to load, and does two things for the handshake. It saves a fifth of
 * OpenSSL's work; and since every secret of the key schedule is derived here, the traffic secrets
 * need no other way out of OpenSSL (which has one, the key log, that prints them in hexadecimal).
 */
#pragma once

#include "tls/hkdf.h"

/* To be given as the property query of a SSL_CTX, which then prefers this provider's algorithm. */
#define PROVIDER_QUERY "?provider=fastfile"

/* Makes the provider known to OpenSSL, next to its own. Once per process is enough; more does no
 * harm. Any thread. Returns 0 or -errno. */
int provider_load(void);

/* *_TRAFFIC_SECRET_0 of a handshake, as they are derived (RFC 8446 section 7.1). */
struct traffic_secrets {
    uint8_t client[HKDF_SIZE_MAX], server[HKDF_SIZE_MAX];
    uint8_t client_len, server_len; /* 0: not yet */
    /* Called when the server's is there: what OpenSSL sends from now on is sealed with it. */
    void (*server_derived)(struct traffic_secrets *secrets);
};

/* Where this thread's derivations put them, until it is called with NULL. */
void provider_listen(struct traffic_secrets *secrets);
