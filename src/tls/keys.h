/* The key schedule after the handshake: from secrets to keys (RFC 8446 section 7, RFC 5246
 * section 6.3).
 *
 * A struct tls_keys is everything one direction of a connection needs. It is plain data and may be
 * copied into a message to another process; whoever receives one checks it with keys_valid().
 * Secrets never reach a log, and whoever holds keys ends them with keys_wipe(). No I/O, and nothing
 * that could fail. Any thread may call any function.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TLS_VERSION_1_2 = 0x0303,
    TLS_VERSION_1_3 = 0x0304,
};

enum tls_cipher {
    TLS_CIPHER_AES_128_GCM = 1,
    TLS_CIPHER_AES_256_GCM,
    TLS_CIPHER_CHACHA20_POLY1305,
};

enum {
    TLS_KEY_MAX = 32,
    TLS_IV_SIZE = 12,
    TLS_SALT_SIZE = 4,    /* TLS 1.2 GCM: the implicit part of the nonce (RFC 5288 section 3) */
    TLS_SECRET_MAX = 48,  /* SHA-384 */
    TLS_MASTER_SIZE = 48, /* TLS 1.2 master secret */
    TLS_RANDOM_SIZE = 32,
};

struct tls_keys {
    uint16_t version; /* TLS_VERSION_… */
    uint8_t cipher;   /* enum tls_cipher */
    uint8_t secret_len;
    uint8_t key[TLS_KEY_MAX];       /* cipher_key_size() bytes, the rest zero */
    uint8_t iv[TLS_IV_SIZE];        /* TLS 1.2 GCM: four bytes of salt, the rest zero */
    uint8_t secret[TLS_SECRET_MAX]; /* TLS 1.3: the traffic secret, for KeyUpdate; TLS 1.2: none */
    uint64_t sequence;              /* of the next record; how many this key has protected */
};

_Static_assert(sizeof(struct tls_keys) == 104,
               "no padding: a message holds what was set, and only that");

/* 16 or 32 bytes. */
size_t cipher_key_size(uint8_t cipher);
/* "AES-128-GCM" and "TLS 1.3", for the log. */
const char *cipher_name(uint8_t cipher);
const char *version_name(uint16_t version);

/* True where GCM's nonce travels in the record: TLS 1.2 with AES (RFC 5288). */
static inline bool keys_nonce_explicit(const struct tls_keys *k)
{
    return k->version == TLS_VERSION_1_2 && k->cipher != TLS_CIPHER_CHACHA20_POLY1305;
}

/* TLS 1.3: keys of a traffic secret (32 bytes, 48 for AES-256), sequence 0. Returns 0, or -EINVAL
 * for a secret of another length. */
int keys_from_secret(uint8_t cipher, const uint8_t *secret, size_t len, struct tls_keys *ret);

/* TLS 1.3: the next generation of keys, in place (RFC 8446 section 7.2). */
void keys_update(struct tls_keys *k);

/* TLS 1.2: both directions' keys from the master secret and the randoms (RFC 5246 section 6.3),
 * sequence 0: the two Finished are counted by the caller. */
void keys_from_master(uint8_t cipher, const uint8_t master[TLS_MASTER_SIZE],
                      const uint8_t client_random[TLS_RANDOM_SIZE],
                      const uint8_t server_random[TLS_RANDOM_SIZE], struct tls_keys *ret_client,
                      struct tls_keys *ret_server);

/* Whether the fields fit together: for keys that came in a message. */
bool keys_valid(const struct tls_keys *k);

void keys_wipe(struct tls_keys *k);
