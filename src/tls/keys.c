#include "tls/keys.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "base/buf.h"
#include "base/cleanup.h"

static const struct cipher {
    const char *name;
    const char
        *digest; /* of the key schedule: RFC 8446 appendix B.4, and the same names in TLS 1.2 */
    uint8_t key_size;
    uint8_t secret_size; /* the digest's size */
    uint8_t tls12_iv_size;
} ciphers[] = {
    [TLS_CIPHER_AES_128_GCM] = {"AES-128-GCM", "SHA256", 16, 32, TLS_SALT_SIZE},
    [TLS_CIPHER_AES_256_GCM] = {"AES-256-GCM", "SHA384", 32, 48, TLS_SALT_SIZE},
    [TLS_CIPHER_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", "SHA256", 32, 32, TLS_IV_SIZE},
};

/* Looking an algorithm up takes locks and may load code, so it happens once. Never freed. */
static struct {
    pthread_once_t once;
    EVP_KDF *hkdf, *prf;
} kdfs = {.once = PTHREAD_ONCE_INIT};

static void fetch(void)
{
    kdfs.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    kdfs.prf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
}

int keys_warm_up(void)
{
    pthread_once(&kdfs.once, fetch);
    return kdfs.hkdf && kdfs.prf ? 0 : -ENOTSUP;
}

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

static void cleanup_kdf_ctx(EVP_KDF_CTX **ctx)
{
    EVP_KDF_CTX_free(*ctx); /* wipes its copy of the secret */
}

static int derive(EVP_KDF *kdf, const OSSL_PARAM *params, uint8_t *ret, size_t len)
{
    _cleanup_(cleanup_kdf_ctx) EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

    if (!ctx)
        return -ENOMEM;
    return EVP_KDF_derive(ctx, ret, len, params) == 1 ? 0 : -EIO;
}

int keys_expand_label(uint8_t cipher, const uint8_t *secret, size_t secret_len, const char *label,
                      uint8_t *ret, size_t len)
{
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char bytes[32];
    struct buf info;
    int r = keys_warm_up();

    if (r < 0)
        return r;
    /* struct { uint16 length; opaque label<7..255> = "tls13 " + Label; opaque context<0..255>; } */
    buf_init_fixed(&info, bytes, sizeof(bytes));
    buf_append_char(&info, (char)(len >> 8));
    buf_append_char(&info, (char)len);
    buf_append_char(&info, (char)(6 + strlen(label)));
    buf_append_str(&info, "tls13 ");
    buf_append_str(&info, label);
    buf_append_char(&info, 0);
    assert(!buf_failed(&info));

    /* The constructors take pointers to non-const; a derivation only reads them. */
    return derive(
        kdfs.hkdf,
        (const OSSL_PARAM[]){
            OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                             (char *)cipher_find(cipher)->digest, 0),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_len),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data, info.len),
            OSSL_PARAM_construct_end(),
        },
        ret, len);
}

int keys_from_secret(uint8_t cipher, const uint8_t *secret, size_t len, struct tls_keys *ret)
{
    struct tls_keys k = {.version = TLS_VERSION_1_3, .cipher = cipher};
    int r;

    if (len != cipher_find(cipher)->secret_size)
        return -EINVAL;
    k.secret_len = (uint8_t)len;
    memcpy(k.secret, secret, len);

    r = keys_expand_label(cipher, secret, len, "key", k.key, cipher_key_size(cipher));
    if (r == 0)
        r = keys_expand_label(cipher, secret, len, "iv", k.iv, sizeof(k.iv));
    if (r == 0)
        *ret = k;
    keys_wipe(&k);
    return r;
}

int keys_update(struct tls_keys *k)
{
    uint8_t next[TLS_SECRET_MAX];
    int r;

    assert(k->version == TLS_VERSION_1_3);
    r = keys_expand_label(k->cipher, k->secret, k->secret_len, "traffic upd", next, k->secret_len);
    if (r == 0)
        r = keys_from_secret(k->cipher, next, k->secret_len, k);
    OPENSSL_cleanse(next, sizeof(next));
    return r;
}

/* key_block = PRF(master_secret, "key expansion", server_random + client_random) */
static int key_block(const struct cipher *c, const uint8_t *master, const uint8_t *client_random,
                     const uint8_t *server_random, uint8_t *ret, size_t len)
{
    static const char label[] = "key expansion";
    uint8_t seed[sizeof(label) - 1 + 2 * TLS_RANDOM_SIZE];
    uint8_t *randoms = seed + sizeof(label) - 1;
    int r = keys_warm_up();

    if (r < 0)
        return r;
    memcpy(seed, label, sizeof(label) - 1);
    memcpy(randoms, server_random, TLS_RANDOM_SIZE);
    memcpy(randoms + TLS_RANDOM_SIZE, client_random, TLS_RANDOM_SIZE);

    return derive(kdfs.prf,
                  (const OSSL_PARAM[]){
                      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)c->digest, 0),
                      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)master,
                                                        TLS_MASTER_SIZE),
                      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
                      OSSL_PARAM_construct_end(),
                  },
                  ret, len);
}

int keys_from_master(uint8_t cipher, const uint8_t master[TLS_MASTER_SIZE],
                     const uint8_t client_random[TLS_RANDOM_SIZE],
                     const uint8_t server_random[TLS_RANDOM_SIZE], struct tls_keys *ret_client,
                     struct tls_keys *ret_server)
{
    const struct cipher *c = cipher_find(cipher);
    uint8_t block[2 * (TLS_KEY_MAX + TLS_IV_SIZE)];
    const uint8_t *keys = block, *ivs = block + 2 * (size_t)c->key_size;
    size_t len = 2 * ((size_t)c->key_size + c->tls12_iv_size);
    int r = key_block(c, master, client_random, server_random, block, len);

    if (r == 0) {
        /* AEAD suites have no MAC keys: both keys, then both IVs, the client's first. */
        *ret_client = (struct tls_keys){.version = TLS_VERSION_1_2, .cipher = cipher};
        *ret_server = *ret_client;
        memcpy(ret_client->key, keys, c->key_size);
        memcpy(ret_server->key, keys + c->key_size, c->key_size);
        memcpy(ret_client->iv, ivs, c->tls12_iv_size);
        memcpy(ret_server->iv, ivs + c->tls12_iv_size, c->tls12_iv_size);
    }
    OPENSSL_cleanse(block, sizeof(block));
    return r;
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
