#include "tls/keys.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>

#include "tls/hkdf.h"

static const struct cipher {
    const char *name;
    enum hkdf_hash hash; /* of the key schedule, in both versions (RFC 8446 appendix B.4) */
    uint8_t key_size;
    uint8_t secret_size; /* the digest's size */
    uint8_t tls12_iv_size;
} ciphers[] = {
    [TLS_CIPHER_AES_128_GCM] = {"AES-128-GCM", HKDF_SHA256, 16, 32, TLS_SALT_SIZE},
    [TLS_CIPHER_AES_256_GCM] = {"AES-256-GCM", HKDF_SHA384, 32, 48, TLS_SALT_SIZE},
    [TLS_CIPHER_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", HKDF_SHA256, 32, 32, TLS_IV_SIZE},
};

static const struct cipher *cipher_find(uint8_t cipher)
{
    assert(cipher >= TLS_CIPHER_AES_128_GCM && cipher <= TLS_CIPHER_CHACHA20_POLY1305);
    return &ciphers[cipher];
}

size_t cipher_key_size(uint8_t cipher)
{
    return cipher_find(cipher)->key_size;
}

const char *cipher_name(uint8_t cipher)
{
    return cipher_find(cipher)->name;
}

const char *version_name(uint16_t version)
{
    return version == TLS_VERSION_1_3 ? "TLS 1.3" : "TLS 1.2";
}

static void expand(const struct cipher *c, const uint8_t *secret, const char *label, uint8_t *ret,
                   size_t len)
{
    hkdf_expand_label(c->hash, span_of(secret, c->secret_size), SPAN("tls13 "), span_str(label),
                      (struct span){0}, ret, len);
}

int keys_from_secret(uint8_t cipher, const uint8_t *secret, size_t len, struct tls_keys *ret)
{
    const struct cipher *c = cipher_find(cipher);

    if (len != c->secret_size)
        return -EINVAL;
    *ret =
        (struct tls_keys){.version = TLS_VERSION_1_3, .cipher = cipher, .secret_len = (uint8_t)len};
    memcpy(ret->secret, secret, len);
    expand(c, secret, "key", ret->key, c->key_size);
    expand(c, secret, "iv", ret->iv, sizeof(ret->iv));
    return 0;
}

void keys_update(struct tls_keys *k)
{
    uint8_t next[TLS_SECRET_MAX];

    assert(k->version == TLS_VERSION_1_3);
    expand(cipher_find(k->cipher), k->secret, "traffic upd", next, k->secret_len);
    keys_from_secret(k->cipher, next, k->secret_len, k);
    OPENSSL_cleanse(next, sizeof(next));
}

/* P_hash (RFC 5246 section 5): HMAC(A(1) + seed), HMAC(A(2) + seed), ... where A(n + 1) is
 * HMAC(A(n)), and A(0) the seed. */
static void prf(enum hkdf_hash hash, struct span secret, struct span seed, uint8_t *ret, size_t len)
{
    uint8_t a[HKDF_SIZE_MAX], next[HKDF_SIZE_MAX], block[HKDF_SIZE_MAX];
    size_t size = hkdf_size(hash);

    hkdf_hmac(hash, secret, seed, (struct span){0}, a);
    while (len > 0) {
        size_t here = len < size ? len : size;
        hkdf_hmac(hash, secret, span_of(a, size), seed, block);
        memcpy(ret, block, here);
        hkdf_hmac(hash, secret, span_of(a, size), (struct span){0}, next);
        memcpy(a, next, size);
        ret += here;
        len -= here;
    }
    OPENSSL_cleanse(block, sizeof(block));
}

/* key_block = PRF(master_secret, "key expansion", server_random + client_random) */
static void key_block(const struct cipher *c, const uint8_t *master, const uint8_t *client_random,
                      const uint8_t *server_random, uint8_t *ret, size_t len)
{
    static const char label[] = "key expansion";
    uint8_t seed[sizeof(label) - 1 + 2 * TLS_RANDOM_SIZE];
    uint8_t *randoms = seed + sizeof(label) - 1;

    memcpy(seed, label, sizeof(label) - 1);
    memcpy(randoms, server_random, TLS_RANDOM_SIZE);
    memcpy(randoms + TLS_RANDOM_SIZE, client_random, TLS_RANDOM_SIZE);
    prf(c->hash, span_of(master, TLS_MASTER_SIZE), span_of(seed, sizeof(seed)), ret, len);
}

void keys_from_master(uint8_t cipher, const uint8_t master[TLS_MASTER_SIZE],
                      const uint8_t client_random[TLS_RANDOM_SIZE],
                      const uint8_t server_random[TLS_RANDOM_SIZE], struct tls_keys *ret_client,
                      struct tls_keys *ret_server)
{
    const struct cipher *c = cipher_find(cipher);
    uint8_t block[2 * (TLS_KEY_MAX + TLS_IV_SIZE)];
    const uint8_t *keys = block, *ivs = block + 2 * (size_t)c->key_size;

    key_block(c, master, client_random, server_random, block,
              2 * ((size_t)c->key_size + c->tls12_iv_size));
    /* AEAD suites have no MAC keys: both keys, then both IVs, the client's first. */
    *ret_client = (struct tls_keys){.version = TLS_VERSION_1_2, .cipher = cipher};
    *ret_server = *ret_client;
    memcpy(ret_client->key, keys, c->key_size);
    memcpy(ret_server->key, keys + c->key_size, c->key_size);
    memcpy(ret_client->iv, ivs, c->tls12_iv_size);
    memcpy(ret_server->iv, ivs + c->tls12_iv_size, c->tls12_iv_size);
    OPENSSL_cleanse(block, sizeof(block));
}

bool keys_valid(const struct tls_keys *k)
{
    if (k->cipher < TLS_CIPHER_AES_128_GCM || k->cipher > TLS_CIPHER_CHACHA20_POLY1305)
        return false;
    if (k->version == TLS_VERSION_1_3)
        return k->secret_len == ciphers[k->cipher].secret_size;
    return k->version == TLS_VERSION_1_2 && k->secret_len == 0;
}

void keys_wipe(struct tls_keys *k)
{
    OPENSSL_cleanse(k, sizeof(*k));
}
