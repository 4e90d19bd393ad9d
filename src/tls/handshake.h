/* The server's TLS handshake: OpenSSL on the caller's bytes, and its keys when it is through.
 *
 * No I/O: bytes from the client go in, bytes for the client come out, and nothing suspends. OpenSSL
 * sees not one byte beyond the client's Finished, so what follows stays with the caller. It needs
 * up to 16 KiB of stack (measured: 13 with OpenSSL 3.0 and RSA). A handshake belongs to one thread
 * at a time; the caller owns it and ends it with handshake_destroy().
 */
#pragma once

#include "base/buf.h"
#include "tls/context.h"
#include "tls/session.h"

struct handshake;

enum {
    HANDSHAKE_WANT_READ = 0,
    HANDSHAKE_DONE = 1,
};

enum {
    /* Bytes from the client in one handshake. A ClientHello with post-quantum shares has 2 KiB;
     * OpenSSL alone would buffer 128 KiB. */
    HANDSHAKE_IN_MAX = 32 * 1024,
};

/* What was agreed on, for the log. Valid after HANDSHAKE_DONE. */
struct handshake_info {
    uint16_t version; /* TLS_VERSION_… */
    uint8_t cipher;   /* enum tls_cipher */
    bool resumed;
};

/* Holds a reference to `context`. Returns 0 or -ENOMEM. */
int handshake_create(struct tls_context *context, struct handshake **ret);

/* Feeds `in` (may be empty) and appends to `out` what must be sent, also on failure (an alert).
 * Returns HANDSHAKE_WANT_READ (all of `in` was consumed), HANDSHAKE_DONE (the rest of `in` belongs
 * to the session), or -EPROTO (the peer), -ENOBUFS (`out` is full), -ENOMEM. After DONE or an error
 * it must not be called again. */
int handshake_step(struct handshake *h, struct span in, size_t *ret_consumed, struct buf *out);

/* Why it failed: a short constant text such as "no shared cipher" or "http request". */
const char *handshake_reason(const struct handshake *h);

const struct handshake_info *handshake_info(const struct handshake *h);

/* After HANDSHAKE_DONE: fills the session and frees OpenSSL's object (42 KiB). Everything in `out`
 * must reach the client before what the session seals. Returns 0 or -errno. */
int handshake_finish(struct handshake *h, struct tls_session *ret_session);

/* At any time; NULL is fine. */
void handshake_destroy(struct handshake *h);

/* Whether the first bytes are a plain HTTP request, to be answered with a plain 400. */
bool handshake_is_http(struct span first_bytes);
