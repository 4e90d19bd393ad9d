/* SHA-256 and HMAC-SHA-256 for credentials, and comparison that takes the same time for all
 * contents.
 *
 * Nothing here allocates, fails, keeps state or needs a start-up call, so it works in any thread
 * and in any sandbox. The only file of src/auth that knows OpenSSL is digest.c.
 */
#pragma once

#include "base/span.h"

enum { DIGEST_BYTES = 32 };

struct digest_key {
    uint8_t bytes[DIGEST_BYTES];
};

/* SHA-256 of `a` followed by `b`. */
void digest_sha256(struct span a, struct span b, uint8_t ret_digest[DIGEST_BYTES]);

/* A random key. Returns 0 or -errno. */
int digest_key_init(struct digest_key *ret_key);

/* HMAC-SHA-256 (RFC 2104) of one byte that says what is meant (so that equal bytes of different
 * meaning have different results) and `s`. */
void digest_hmac(const struct digest_key *key, uint8_t domain, struct span s,
                 uint8_t ret_mac[DIGEST_BYTES]);

/* The first eight bytes of digest_hmac(): a short name for something a stranger must not be able to
 * find a collision for. */
uint64_t digest_hmac_u64(const struct digest_key *key, uint8_t domain, struct span s);

/* Compares without telling by its duration where the difference is. */
bool digest_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES]);
bool digest_equal_bytes(struct span a, struct span b);

/* 64 lower-case hexadecimal digits, and back: -EINVAL unless `s` is exactly that. */
void digest_to_hex(const uint8_t digest[DIGEST_BYTES], char ret_hex[2 * DIGEST_BYTES]);
int digest_from_hex(struct span s, uint8_t ret_digest[DIGEST_BYTES]);
