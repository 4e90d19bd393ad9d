/* The one-shot and EVP interfaces allocate a context (and look the algorithm up) for each call, and
 * so can fail in the middle of a request. The low-level one does neither; OpenSSL 3 marks it as
 * deprecated because it passes providers by, which is what is wanted here. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "auth/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <unistd.h>

_Static_assert((int)DIGEST_BYTES == (int)SHA256_DIGEST_LENGTH, "SHA-256");

void digest_sha256(struct span a, struct span b, uint8_t ret_digest[DIGEST_BYTES])
{
    SHA256_CTX sha;

    SHA256_Init(&sha);
    SHA256_Update(&sha, a.data, a.len);
    SHA256_Update(&sha, b.data, b.len);
    SHA256_Final(ret_digest, &sha); /* wipes the context */
}

int digest_key_init(struct digest_key *ret_key)
{
    return getentropy(ret_key->bytes, sizeof(ret_key->bytes)) < 0 ? -errno : 0;
}

/* Begins a hash with the key's block XOR `pad`. */
static void start_padded(SHA256_CTX *sha, const struct digest_key *key, uint8_t pad)
{
    uint8_t block[SHA256_CBLOCK];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = i < DIGEST_BYTES ? (uint8_t)(key->bytes[i] ^ pad) : pad;
    SHA256_Init(sha);
    SHA256_Update(sha, block, sizeof(block));
    OPENSSL_cleanse(block, sizeof(block));
}

void digest_hmac(const struct digest_key *key, uint8_t domain, struct span s,
                 uint8_t ret_mac[DIGEST_BYTES])
{
    SHA256_CTX sha;
    uint8_t inner[DIGEST_BYTES];

    start_padded(&sha, key, 0x36);
    SHA256_Update(&sha, &domain, 1);
    SHA256_Update(&sha, s.data, s.len);
    SHA256_Final(inner, &sha);

    start_padded(&sha, key, 0x5c);
    SHA256_Update(&sha, inner, sizeof(inner));
    SHA256_Final(ret_mac, &sha);
}

uint64_t digest_hmac_u64(const struct digest_key *key, uint8_t domain, struct span s)
{
    uint8_t mac[DIGEST_BYTES];
    uint64_t first;

    digest_hmac(key, domain, s, mac);
    memcpy(&first, mac, sizeof(first));
    return first;
}

bool digest_equal(const uint8_t a[DIGEST_BYTES], const uint8_t b[DIGEST_BYTES])
{
    return CRYPTO_memcmp(a, b, DIGEST_BYTES) == 0;
}

bool digest_equal_bytes(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.data, b.data, a.len) == 0;
}

void digest_to_hex(const uint8_t digest[DIGEST_BYTES], char ret_hex[2 * DIGEST_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int digest_from_hex(struct span s, uint8_t ret_digest[DIGEST_BYTES])
{
    uint8_t digest[DIGEST_BYTES];

    if (s.len != sizeof(digest) * 2)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(digest); i++) {
        int high = hex_value(s.data[2 * i]), low = hex_value(s.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return -EINVAL;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(ret_digest, digest, sizeof(digest));
    return 0;
}
