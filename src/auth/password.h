/* Passwords: hashing with libcrypt, and making good ones.
 *
 * password_hash() and password_verify() take 20 ms and 16 MiB (yescrypt): the monitor has them done
 * by its hasher process.
 */
#pragma once

#include "auth/digest.h"
#include "base/limits.h"
#include "base/span.h"

enum {
    PASSWORD_HASH_BYTES = LIMIT_USER_HASH_BYTES,
    /* "abcde-fghij-kmnpq-rstuv" and its NUL: 20 characters of 5 bits. */
    PASSWORD_RANDOM_BYTES = 24,
    /* "abcd-efgh-…", 7 groups of 4 characters of 5 bits, and its NUL. */
    PASSWORD_APP_BYTES = 35,
};

/* Hashes with libcrypt's preferred method (yescrypt) at its default cost. Returns 0, -EINVAL (NUL
 * or longer than LIMIT_CREDENTIAL_BYTES) or another -errno. */
int password_hash(struct span password, char ret_hash[PASSWORD_HASH_BYTES]);

/* Whether `password` has that hash: 1 or 0, or -errno where it could not be computed. Compares in
 * constant time. A setting without a hash (password_dummy_setting) costs the same and never
 * matches. */
int password_verify(const char *password, const char *hash);

/* Whether libcrypt can verify this hash. Only the "$id$" methods count: a plain-text password in
 * the users file would otherwise pass as a DES hash. */
bool password_hash_supported(struct span hash);

/* What an unknown user's password is hashed with when there is no user to borrow from. */
int password_dummy_setting(char ret_setting[PASSWORD_HASH_BYTES]);

/* A password of 100 random bits that can be read out: no l and o, no 0 and 1. */
int password_random(char ret_password[PASSWORD_RANDOM_BYTES]);

/* An app password: 140 random bits in lower-case base32. */
int password_app_random(char ret_password[PASSWORD_APP_BYTES]);

/* The digest of an app password, whether typed with or without dashes and in whatever case. Returns
 * false for what does not look like one. Fast on purpose: 140 random bits need no slow hash. */
bool password_app_digest(struct span password, uint8_t ret_digest[DIGEST_BYTES]);
