/* HKDF and the provider made of it: against published vectors, and against OpenSSL's own. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "tls/provider.h"
#include "tls_peer.h"

static void assert_hex(const uint8_t *data, const char *hex)
{
    unsigned byte;

    for (size_t i = 0; sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
        assert_int_equal(data[i], byte);
}

/* RFC 4231 section 4.2. */
static void hmac_vectors(void **state)
{
    uint8_t key[20], mac[HKDF_SIZE_MAX];

    (void)state;
    memset(key, 0x0b, sizeof(key));
    hkdf_hmac(HKDF_SHA256, span_of(key, sizeof(key)), SPAN("Hi "), SPAN("There"), mac);
    assert_hex(mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hkdf_hmac(HKDF_SHA384, span_of(key, sizeof(key)), SPAN("Hi There"), SPAN(""), mac);
    assert_hex(mac, "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6"
                    "82aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6");
}

/* RFC 8448 section 3: the early secret, and what follows from it. */
static void schedule_vectors(void **state)
{
    uint8_t zeros[32] = {0}, early[32], empty[32], derived[32];

    (void)state;
    hkdf_extract(HKDF_SHA256, SPAN(""), span_of(zeros, 32), early);
    assert_hex(early, "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a");
    hkdf_digest(HKDF_SHA256, SPAN(""), empty);
    hkdf_expand_label(HKDF_SHA256, span_of(early, 32), SPAN("tls13 "), SPAN("derived"),
                      span_of(empty, 32), derived, 32);
    assert_hex(derived, "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba");
}

struct inputs {
    int mode;
    const char *digest;
    uint8_t key[160], salt[64], context[48];
    size_t key_len, salt_len, context_len; /* SIZE_MAX: not given */
    const char *label;
};

/* Derives `len` bytes with the algorithm of one provider; returns what OpenSSL returns. */
static int derive_by(const char *query, struct inputs *in, uint8_t *ret, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", query);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[8], *p = params;

    assert_non_null(ctx);
    *p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &in->mode);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)in->digest, 0);
    if (in->key_len != SIZE_MAX)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, in->key, in->key_len);
    if (in->salt_len != SIZE_MAX)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, in->salt, in->salt_len);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (char *)"tls13 ", 6);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (char *)in->label,
                                             strlen(in->label));
    if (in->context_len != SIZE_MAX)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_DATA, in->context, in->context_len);
    *p = OSSL_PARAM_construct_end();
    int r = EVP_KDF_derive(ctx, ret, len, params);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return r;
}

static void assert_same(struct inputs *in, size_t len)
{
    uint8_t ours[300], theirs[300];

    assert_int_equal(derive_by("provider=default", in, theirs, len), 1);
    assert_int_equal(derive_by("provider=fastfile", in, ours, len), 1);
    assert_memory_equal(ours, theirs, len);
}

static void same_as_openssl(void **state)
{
    static const struct {
        const char *digest;
        size_t size;
    } hashes[] = {{"SHA256", 32}, {"SHA2-256", 32}, {"SHA384", 48}, {"SHA2-384", 48}};
    static const size_t lengths[] = {1, 12, 16, 32, 48, 49, 255};
    struct inputs in = {0};

    (void)state;
    assert_int_equal(provider_load(), 0);
    for (size_t i = 0; i < 4; i++) {
        RAND_bytes(in.key, sizeof(in.key));
        RAND_bytes(in.salt, sizeof(in.salt));
        RAND_bytes(in.context, sizeof(in.context));
        in.digest = hashes[i].digest;
        in.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
        in.label = "c hs traffic";
        in.key_len = hashes[i].size;
        in.salt_len = SIZE_MAX;
        for (size_t n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
            in.context_len = hashes[i].size;
            assert_same(&in, lengths[n]);
            in.context_len = SIZE_MAX;
            assert_same(&in, lengths[n]);
        }
        in.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
        in.label = "derived";
        for (in.key_len = 32; in.key_len <= 66; in.key_len += 34) {
            in.salt_len = hashes[i].size;
            assert_same(&in, hashes[i].size);
            in.salt_len = SIZE_MAX;
            assert_same(&in, hashes[i].size);
        }
        in.key_len = SIZE_MAX; /* no PSK, and the last stage */
        assert_same(&in, hashes[i].size);
        in.salt_len = hashes[i].size;
        assert_same(&in, hashes[i].size);
    }
}

static void impossible_parameters(void **state)
{
    uint8_t out[64];
    struct inputs good = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                          .digest = "SHA256",
                          .key_len = 32,
                          .salt_len = SIZE_MAX,
                          .context_len = SIZE_MAX,
                          .label = "key"};
    struct inputs bad;

    (void)state;
    assert_int_equal(provider_load(), 0);
    assert_int_equal(derive_by("provider=fastfile", &good, out, 16), 1);
    bad = good, bad.digest = "SHA512";
    assert_int_equal(derive_by("provider=fastfile", &bad, out, 16), 0);
    bad = good, bad.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    assert_int_equal(derive_by("provider=fastfile", &bad, out, 16), 0);
    bad = good, bad.key_len = 33;
    assert_int_equal(derive_by("provider=fastfile", &bad, out, 16), 0);
    bad = good, bad.key_len = sizeof(bad.key);
    assert_int_equal(derive_by("provider=fastfile", &bad, out, 16), 0);
    bad = good, bad.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY, bad.salt_len = 33;
    assert_int_equal(derive_by("provider=fastfile", &bad, out, 32), 0);
    bad.salt_len = 32;
    assert_int_equal(derive_by("provider=fastfile", &bad, out, 31), 0);
    bad = good,
    bad.label = "a label that is longer than any that the key schedule of TLS 1.3 will ever have";
    assert_int_equal(derive_by("provider=fastfile", &bad, out, 16), 0);
}

static unsigned told;

static void count(struct traffic_secrets *secrets)
{
    (void)secrets;
    told++;
}

static void listeners(void **state)
{
    struct traffic_secrets secrets = {.server_derived = count};
    struct inputs in = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                        .digest = "SHA384",
                        .key_len = 48,
                        .salt_len = SIZE_MAX,
                        .context_len = 48};
    static const char *const labels[] = {"c hs traffic", "s ap traffic", "exp master",
                                         "c ap traffic", "key"};
    uint8_t out[48];

    (void)state;
    provider_load();
    provider_listen(&secrets);
    for (size_t i = 0; i < 5; i++) {
        in.label = labels[i];
        assert_int_equal(derive_by("provider=fastfile", &in, out, 48), 1);
        assert_int_equal(secrets.server_len, i >= 1 ? 48 : 0);
        assert_int_equal(secrets.client_len, i >= 3 ? 48 : 0);
        if (i == 1)
            assert_memory_equal(secrets.server, out, 48);
        if (i == 3)
            assert_memory_equal(secrets.client, out, 48);
    }
    assert_int_equal(told, 1);
    provider_listen(NULL);
    memset(&secrets, 0, sizeof(secrets));
    in.label = "c ap traffic";
    assert_int_equal(derive_by("provider=fastfile", &in, out, 48), 1);
    assert_int_equal(secrets.client_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_vectors),    cmocka_unit_test(schedule_vectors),
        cmocka_unit_test(same_as_openssl), cmocka_unit_test(impossible_parameters),
        cmocka_unit_test(listeners),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
