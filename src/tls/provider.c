#include "tls/provider.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>

enum {
    /* What is mixed in at each stage: a PSK, or a shared secret (64 bytes with ML-KEM). */
    INPUT_MAX = 128,
    LABEL_MAX = 64,
};

static __thread struct traffic_secrets *listener;

void provider_listen(struct traffic_secrets *secrets)
{
    listener = secrets;
}

/* --- the parameters of one derivation --- */

struct bytes {
    bool given;
    uint8_t len;
    uint8_t data[INPUT_MAX];
};

struct derivation {
    int mode;
    enum hkdf_hash hash;
    struct bytes key, salt, prefix, label, context;
};

static struct span span_of_bytes(const struct bytes *b)
{
    return span_of(b->data, b->len);
}

static int take_bytes(const OSSL_PARAM *p, struct bytes *ret)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data_size > sizeof(ret->data))
        return 0;
    ret->given = true;
    ret->len = (uint8_t)p->data_size;
    if (p->data_size > 0)
        memcpy(ret->data, p->data, p->data_size);
    return 1;
}

static int take_hash(const OSSL_PARAM *p, enum hkdf_hash *ret)
{
    const char *name;

    if (!OSSL_PARAM_get_utf8_string_ptr(p, &name))
        return 0;
    if (!strcasecmp(name, "SHA256") || !strcasecmp(name, "SHA2-256"))
        *ret = HKDF_SHA256;
    else if (!strcasecmp(name, "SHA384") || !strcasecmp(name, "SHA2-384"))
        *ret = HKDF_SHA384;
    else
        return 0;
    return 1;
}

/* "mode" is a number for libssl, and may be a name for others. */
static int take_mode(const OSSL_PARAM *p, int *ret)
{
    const char *name;

    if (p->data_type != OSSL_PARAM_UTF8_STRING)
        return OSSL_PARAM_get_int(p, ret);
    if (!OSSL_PARAM_get_utf8_string_ptr(p, &name))
        return 0;
    *ret = strcasecmp(name, "EXTRACT_ONLY") == 0 ? EVP_KDF_HKDF_MODE_EXTRACT_ONLY
                                                 : EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    return 1;
}

static int take_parameters(void *state, const OSSL_PARAM params[])
{
    struct derivation *d = state;
    int good = 1;

    for (const OSSL_PARAM *p = params; p && p->key && good; p++) {
        if (!strcmp(p->key, OSSL_KDF_PARAM_MODE))
            good = take_mode(p, &d->mode);
        else if (!strcmp(p->key, OSSL_KDF_PARAM_DIGEST))
            good = take_hash(p, &d->hash);
        else if (!strcmp(p->key, OSSL_KDF_PARAM_KEY))
            good = take_bytes(p, &d->key);
        else if (!strcmp(p->key, OSSL_KDF_PARAM_SALT))
            good = take_bytes(p, &d->salt);
        else if (!strcmp(p->key, OSSL_KDF_PARAM_PREFIX))
            good = take_bytes(p, &d->prefix);
        else if (!strcmp(p->key, OSSL_KDF_PARAM_LABEL))
            good = take_bytes(p, &d->label);
        else if (!strcmp(p->key, OSSL_KDF_PARAM_DATA))
            good = take_bytes(p, &d->context);
    }
    return good;
}

/* --- deriving --- */

/* From one stage of the key schedule to the next: extracts from the input (a PSK or the shared
 * secret; zeros where there is none) with the last stage's secret as salt, which is first run
 * through Derive-Secret(., "derived", ""). */
static void next_stage(const struct derivation *d, uint8_t *ret)
{
    static const uint8_t zeros[HKDF_SIZE_MAX];
    uint8_t empty[HKDF_SIZE_MAX], salt[HKDF_SIZE_MAX];
    size_t size = hkdf_size(d->hash);
    size_t salt_len = 0;

    if (d->salt.given) {
        hkdf_digest(d->hash, (struct span){0}, empty);
        hkdf_expand_label(d->hash, span_of_bytes(&d->salt), span_of_bytes(&d->prefix),
                          span_of_bytes(&d->label), span_of(empty, size), salt, size);
        salt_len = size;
    }
    hkdf_extract(d->hash, span_of(salt, salt_len),
                 d->key.given ? span_of_bytes(&d->key) : span_of(zeros, size), ret);
    OPENSSL_cleanse(salt, sizeof(salt));
}

static void tell(const struct derivation *d, const uint8_t *secret, size_t len)
{
    struct span label = span_of_bytes(&d->label);

    if (span_equal(label, SPAN("c ap traffic"))) {
        memcpy(listener->client, secret, len);
        listener->client_len = (uint8_t)len;
    } else if (span_equal(label, SPAN("s ap traffic"))) {
        memcpy(listener->server, secret, len);
        listener->server_len = (uint8_t)len;
        listener->server_derived(listener);
    }
}

static bool can_derive(const struct derivation *d, size_t len)
{
    size_t size = hkdf_size(d->hash);

    if (d->salt.len > size || d->prefix.len + d->label.len > LABEL_MAX)
        return false;
    if (d->mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY)
        return len == size;
    return d->mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY && d->key.len <= size && len > 0 &&
           len <= 255 * size;
}

static int derive(void *state, unsigned char *ret, size_t len, const OSSL_PARAM params[])
{
    struct derivation *d = state;

    if (!take_parameters(d, params) || !can_derive(d, len))
        return 0;
    if (d->mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY) {
        next_stage(d, ret);
        return 1;
    }
    hkdf_expand_label(d->hash, span_of_bytes(&d->key), span_of_bytes(&d->prefix),
                      span_of_bytes(&d->label), span_of_bytes(&d->context), ret, len);
    if (listener && len <= HKDF_SIZE_MAX)
        tell(d, ret, len);
    return 1;
}

/* --- what OpenSSL calls --- */

static void *derivation_new(void *provider)
{
    (void)provider;
    return calloc(1, sizeof(struct derivation));
}

static void derivation_reset(void *state)
{
    OPENSSL_cleanse(state, sizeof(struct derivation));
}

static void derivation_free(void *state)
{
    if (state)
        derivation_reset(state);
    free(state);
}

static const OSSL_PARAM *settable_parameters(void *state, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_MODE, NULL, 0),
        OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PREFIX, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_LABEL, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_DATA, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)state, (void)provider;
    return known;
}

static const OSSL_ALGORITHM *algorithms(void *provider, int operation, int *ret_no_cache)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_KDF_NEWCTX, (void (*)(void))derivation_new},
        {OSSL_FUNC_KDF_FREECTX, (void (*)(void))derivation_free},
        {OSSL_FUNC_KDF_RESET, (void (*)(void))derivation_reset},
        {OSSL_FUNC_KDF_DERIVE, (void (*)(void))derive},
        {OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, (void (*)(void))settable_parameters},
        {OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))take_parameters},
        {0, NULL},
    };
    static const OSSL_ALGORITHM kdfs[] = {
        {OSSL_KDF_NAME_TLS1_3_KDF, "provider=fastfile", functions, "TLS 1.3 key derivation"},
        {NULL, NULL, NULL, NULL},
    };

    (void)provider;
    *ret_no_cache = 0;
    return operation == OSSL_OP_KDF ? kdfs : NULL;
}

static int provider_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                          const OSSL_DISPATCH **ret_functions, void **ret_provider)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))algorithms},
        {0, NULL},
    };

    (void)core;
    *ret_functions = functions;
    *ret_provider = (void *)(uintptr_t)handle;
    return 1;
}

static struct {
    pthread_once_t once;
    OSSL_PROVIDER *theirs, *ours; /* never unloaded */
} providers = {.once = PTHREAD_ONCE_INIT};

static void load(void)
{
    /* Asking for one by name keeps OpenSSL from taking its own by itself. */
    providers.theirs = OSSL_PROVIDER_load(NULL, "default");
    if (OSSL_PROVIDER_add_builtin(NULL, "fastfile", provider_start) == 1)
        providers.ours = OSSL_PROVIDER_load(NULL, "fastfile");
}

int provider_load(void)
{
    pthread_once(&providers.once, load);
    return providers.theirs && providers.ours ? 0 : -ENOTSUP;
}
