/* SHA256_Init() and its like are "deprecated" in favour of EVP, which is what we avoid. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls/hkdf.h"

#include <assert.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/buf.h"

struct hash {
    enum hkdf_hash kind;
    union {
        SHA256_CTX sha256;
        SHA512_CTX sha512;
    };
};

static void hash_begin(struct hash *h, enum hkdf_hash kind)
{
    h->kind = kind;
    if (kind == HKDF_SHA256)
        SHA256_Init(&h->sha256);
    else
        SHA384_Init(&h->sha512);
}

static void hash_add(struct hash *h, struct span data)
{
    if (data.len == 0)
        return;
    if (h->kind == HKDF_SHA256)
        SHA256_Update(&h->sha256, data.data, data.len);
    else
        SHA384_Update(&h->sha512, data.data, data.len);
}

/* Wipes its state too: OpenSSL does so for SHA-256 only. */
static void hash_end(struct hash *h, uint8_t *ret)
{
    if (h->kind == HKDF_SHA256)
        SHA256_Final(ret, &h->sha256);
    else
        SHA384_Final(ret, &h->sha512);
    OPENSSL_cleanse(h, sizeof(*h));
}

size_t hkdf_size(enum hkdf_hash hash)
{
    return hash == HKDF_SHA256 ? SHA256_DIGEST_LENGTH : SHA384_DIGEST_LENGTH;
}

static size_t block_size(enum hkdf_hash hash)
{
    return hash == HKDF_SHA256 ? SHA256_CBLOCK : SHA512_CBLOCK;
}

void hkdf_digest(enum hkdf_hash hash, struct span data, uint8_t *ret)
{
    struct hash h;

    hash_begin(&h, hash);
    hash_add(&h, data);
    hash_end(&h, ret);
}

static void hash_padded_key(struct hash *h, struct span key, uint8_t pad)
{
    uint8_t block[SHA512_CBLOCK];
    size_t size = block_size(h->kind);

    assert(key.len <= size);
    memset(block, pad, size);
    for (size_t i = 0; i < key.len; i++)
        block[i] ^= (uint8_t)key.data[i];
    hash_add(h, span_of(block, size));
    OPENSSL_cleanse(block, size);
}

void hkdf_hmac(enum hkdf_hash hash, struct span key, struct span first, struct span second,
               uint8_t *ret)
{
    uint8_t inner[HKDF_SIZE_MAX];
    struct hash h;

    hash_begin(&h, hash);
    hash_padded_key(&h, key, 0x36);
    hash_add(&h, first);
    hash_add(&h, second);
    hash_end(&h, inner);

    hash_begin(&h, hash);
    hash_padded_key(&h, key, 0x5c);
    hash_add(&h, span_of(inner, hkdf_size(hash)));
    hash_end(&h, ret);
    OPENSSL_cleanse(inner, sizeof(inner));
}

void hkdf_extract(enum hkdf_hash hash, struct span salt, struct span input, uint8_t *ret)
{
    hkdf_hmac(hash, salt, input, (struct span){0}, ret);
}

/* T(n) = HMAC(secret, T(n - 1) | info | n) */
static void expand(enum hkdf_hash hash, struct span secret, struct span info, uint8_t *ret,
                   size_t len)
{
    uint8_t block[HKDF_SIZE_MAX + HKDF_INFO_MAX + 1];
    size_t size = hkdf_size(hash), previous = 0;

    assert(info.data && len <= 255 * size && info.len <= HKDF_INFO_MAX);
    for (uint8_t n = 1; len > 0; n++) {
        uint8_t out[HKDF_SIZE_MAX];
        size_t here = len < size ? len : size;

        memcpy(block + previous, info.data, info.len);
        block[previous + info.len] = n;
        hkdf_hmac(hash, secret, span_of(block, previous + info.len + 1), (struct span){0}, out);
        memcpy(ret, out, here);
        memcpy(block, out, size);
        OPENSSL_cleanse(out, sizeof(out));
        previous = size;
        ret += here;
        len -= here;
    }
    OPENSSL_cleanse(block, sizeof(block));
}

void hkdf_expand_label(enum hkdf_hash hash, struct span secret, struct span prefix,
                       struct span label, struct span context, uint8_t *ret, size_t len)
{
    char memory[HKDF_INFO_MAX];
    struct buf info;

    /* struct { uint16 length; opaque label<7..255>; opaque context<0..255>; } */
    assert(prefix.len + label.len <= 255 && context.len <= 255);
    buf_init_fixed(&info, memory, sizeof(memory));
    buf_append_char(&info, (char)(len >> 8));
    buf_append_char(&info, (char)len);
    buf_append_char(&info, (char)(prefix.len + label.len));
    buf_append(&info, prefix);
    buf_append(&info, label);
    buf_append_char(&info, (char)context.len);
    buf_append(&info, context);
    expand(hash, secret, buf_span(&info), ret, len);
}
