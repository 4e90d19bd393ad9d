/* The key schedule, against RFC 8448 and against formulas written out here a second time. */
#include <errno.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tls/keys.h"
#include "tls_peer.h"

static size_t unhex(const char *hex, uint8_t *ret)
{
    size_t n = 0;
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        ret[n++] = (uint8_t)byte;
    return n;
}

static void assert_hex(const uint8_t *data, const char *hex)
{
    uint8_t expected[256];
    size_t n = unhex(hex, expected);

    assert_memory_equal(data, expected, n);
}

/* RFC 8448 section 3. */
static const char client_secret[] =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] =
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

static void rfc8448_keys(void **state)
{
    uint8_t secret[32];
    struct tls_keys k;

    (void)state;
    unhex(client_secret, secret);
    assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, secret, 32, &k), 0);
    assert_hex(k.key, "17422dda596ed5d9acd890e3c63f5051");
    assert_hex(k.iv, "5b78923dee08579033e523d9");
    assert_true(keys_valid(&k));
    assert_int_equal(k.sequence, 0);

    unhex(server_secret, secret);
    assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, secret, 32, &k), 0);
    assert_hex(k.key, "9f02283b6c9c07efc26bb9f2ac92e356");
    assert_hex(k.iv, "cf782b88dd83549aadf1e984");
    for (size_t i = 16; i < TLS_KEY_MAX; i++)
        assert_int_equal(k.key[i], 0);
}

/* HKDF-Expand of one block, written out. */
static void expand_label(const EVP_MD *md, const uint8_t *secret, const char *label, uint8_t *ret,
                         size_t len)
{
    uint8_t info[64] = {(uint8_t)(len >> 8), (uint8_t)len, (uint8_t)(6 + strlen(label))};
    uint8_t block[EVP_MAX_MD_SIZE];
    size_t n = 3;

    n += (size_t)snprintf((char *)info + 3, sizeof(info) - 3, "tls13 %s", label);
    info[n++] = 0; /* context */
    info[n++] = 1; /* counter */
    HMAC(md, secret, EVP_MD_get_size(md), info, n, block, NULL);
    memcpy(ret, block, len);
}

static void key_update(void **state)
{
    static const struct {
        uint8_t cipher;
        const EVP_MD *(*md)(void);
        size_t key_len;
    } cases[] = {
        {TLS_CIPHER_AES_128_GCM, EVP_sha256, 16},
        {TLS_CIPHER_AES_256_GCM, EVP_sha384, 32},
        {TLS_CIPHER_CHACHA20_POLY1305, EVP_sha256, 32},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t len = (size_t)EVP_MD_get_size(cases[i].md());
        uint8_t secret[48], next[48], key[32], iv[12];
        struct tls_keys k;

        memset(secret, 0x5a, sizeof(secret));
        assert_int_equal(keys_from_secret(cases[i].cipher, secret, len, &k), 0);
        k.sequence = 77;
        for (int generation = 0; generation < 3; generation++) {
            expand_label(cases[i].md(), secret, "traffic upd", next, len);
            expand_label(cases[i].md(), next, "key", key, cases[i].key_len);
            expand_label(cases[i].md(), next, "iv", iv, 12);
            keys_update(&k);
            assert_int_equal(k.secret_len, len);
            assert_memory_equal(k.secret, next, len);
            assert_memory_equal(k.key, key, cases[i].key_len);
            assert_memory_equal(k.iv, iv, 12);
            assert_int_equal(k.sequence, 0);
            memcpy(secret, next, len);
        }
        keys_wipe(&k);
    }
}

/* P_hash of RFC 5246 section 5, written out. */
static void p_hash(const EVP_MD *md, const uint8_t *secret, const uint8_t *seed, size_t seed_len,
                   uint8_t *ret, size_t len)
{
    size_t hash = (size_t)EVP_MD_get_size(md);
    uint8_t a[256], block[EVP_MAX_MD_SIZE];

    HMAC(md, secret, 48, seed, seed_len, a, NULL);
    while (len > 0) {
        size_t n = len < hash ? len : hash;

        memcpy(a + hash, seed, seed_len);
        HMAC(md, secret, 48, a, hash + seed_len, block, NULL);
        memcpy(ret, block, n);
        ret += n;
        len -= n;
        HMAC(md, secret, 48, a, hash, block, NULL);
        memcpy(a, block, hash);
    }
}

static void key_block(void **state)
{
    uint8_t master[48], client_random[32], server_random[32], seed[13 + 64], block[88];
    struct tls_keys client, server;

    (void)state;
    memset(master, 1, sizeof(master));
    memset(client_random, 2, sizeof(client_random));
    memset(server_random, 3, sizeof(server_random));
    memcpy(seed, "key expansion", 13);
    memcpy(seed + 13, server_random, 32);
    memcpy(seed + 45, client_random, 32);

    p_hash(EVP_sha256(), master, seed, sizeof(seed), block, 40);
    keys_from_master(TLS_CIPHER_AES_128_GCM, master, client_random, server_random, &client,
                     &server);
    assert_memory_equal(client.key, block, 16);
    assert_memory_equal(server.key, block + 16, 16);
    assert_memory_equal(client.iv, block + 32, 4);
    assert_memory_equal(server.iv, block + 36, 4);
    assert_true(keys_valid(&client));
    assert_true(keys_nonce_explicit(&client));

    p_hash(EVP_sha384(), master, seed, sizeof(seed), block, 72);
    keys_from_master(TLS_CIPHER_AES_256_GCM, master, client_random, server_random, &client,
                     &server);
    assert_memory_equal(client.key, block, 32);
    assert_memory_equal(server.iv, block + 68, 4);

    p_hash(EVP_sha256(), master, seed, sizeof(seed), block, 88);
    keys_from_master(TLS_CIPHER_CHACHA20_POLY1305, master, client_random, server_random, &client,
                     &server);
    assert_memory_equal(server.key, block + 32, 32);
    assert_memory_equal(client.iv, block + 64, 12);
    assert_memory_equal(server.iv, block + 76, 12);
    assert_false(keys_nonce_explicit(&client));
}

static void validity(void **state)
{
    uint8_t secret[48] = {1};
    struct tls_keys k, good;

    (void)state;
    assert_int_equal(keys_from_secret(TLS_CIPHER_AES_256_GCM, secret, 48, &good), 0);
    assert_int_equal(keys_from_secret(TLS_CIPHER_AES_256_GCM, secret, 32, &k), -EINVAL);
    assert_int_equal(keys_from_secret(TLS_CIPHER_AES_128_GCM, secret, 48, &k), -EINVAL);
    assert_true(keys_valid(&good));
    k = good, k.cipher = 0;
    assert_false(keys_valid(&k));
    k = good, k.cipher = 4;
    assert_false(keys_valid(&k));
    k = good, k.version = 0x0302;
    assert_false(keys_valid(&k));
    k = good, k.version = TLS_VERSION_1_2; /* with a secret */
    assert_false(keys_valid(&k));
    k = good, k.secret_len = 32;
    assert_false(keys_valid(&k));
    k = good, k.cipher = TLS_CIPHER_AES_128_GCM; /* with SHA-384's secret */
    assert_false(keys_valid(&k));
    keys_wipe(&good);
    for (size_t i = 0; i < sizeof(good); i++)
        assert_int_equal(((uint8_t *)&good)[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc8448_keys),
        cmocka_unit_test(key_update),
        cmocka_unit_test(key_block),
        cmocka_unit_test(validity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
