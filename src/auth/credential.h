/* What a request shows to be let in: extracted by gate and home, verified by the monitor.
 *
 * A credential travels inside the message that carries its connection; it holds no pointers. Home
 * keeps only its digest: a later request with the same digest is the same person. Pure: no I/O, no
 * allocation.
 */
#pragma once

#include "auth/digest.h"
#include "base/limits.h"
#include "base/span.h"

enum credential_kind {
    CREDENTIAL_NONE,
    CREDENTIAL_BASIC,   /* "user:password" (RFC 7617, decoded) */
    CREDENTIAL_SESSION, /* the token of our cookie */
    CREDENTIAL_LOGIN,   /* "user:password" of the login form: a good one opens a session */
};

enum {
    /* 32 random bytes as base64url without padding. */
    CREDENTIAL_TOKEN_CHARS = 43,
};

struct credential {
    uint8_t kind;
    uint16_t len;
    /* LOGIN: the digest of the session that came with the form; it ends when the login succeeds.
     * Otherwise, or without one, all zero. */
    uint8_t previous[DIGEST_BYTES];
    char bytes[LIMIT_CREDENTIAL_BYTES];
};

/* The credential of a request with the Authorization field `authorization` and the cookie value
 * `session_token` (data NULL where absent). Authorization wins. A cookie that cannot be a token of
 * ours is no credential: the answer is the login page, not an error. Returns 0, or -EINVAL for an
 * Authorization that is not well-formed Basic: another scheme, base64 outside RFC 4648 (padding may
 * be missing), no colon, control bytes, more than fits. */
int credential_from_fields(struct span authorization, struct span session_token,
                           struct credential *ret_credential);

/* The credential of a login form. Returns 0, or -EINVAL for a name with a colon, control bytes, or
 * more than fits. */
int credential_from_login(struct span user, struct span password, struct span session_token,
                          struct credential *ret_credential);

/* Whether `c` is what the functions above make: for the monitor, which got it from elsewhere. */
bool credential_valid(const struct credential *c);

/* The two halves of a BASIC or LOGIN credential that is valid. */
struct span credential_user(const struct credential *c);
struct span credential_password(const struct credential *c);

/* SHA-256 over kind and bytes; all zero for NONE. A LOGIN is never digested: its connection goes on
 * under the digest of the session it opened. Compare with digest_equal(). */
void credential_digest(const struct credential *c, uint8_t ret_digest[DIGEST_BYTES]);

void credential_wipe(struct credential *c);

/* Whether `password` can be part of a credential of `user`: no control bytes, and short enough. */
bool credential_password_valid(struct span user, struct span password);

/* Decodes base64 (RFC 4648 section 4): no blanks, no bits left over, padding complete or absent.
 * Returns the number of bytes, or -EINVAL, or -ENOBUFS where they do not fit into `size`. */
int base64_decode(struct span s, char *out, size_t size);
