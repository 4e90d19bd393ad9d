#include "auth/hash.h"

#include <errno.h>
#include <pthread.h>

#include <openssl/evp.h>

/* Looked for once: EVP_sha256() and the like make each beginning look again. */
static EVP_MD *algorithms[HASH_ALGORITHMS];
static pthread_once_t looked = PTHREAD_ONCE_INIT;

static void look(void)
{
    static const char *const names[HASH_ALGORITHMS] = {"MD5", "SHA1", "SHA256", "SHA512"};

    for (unsigned i = 0; i < HASH_ALGORITHMS; i++)
        algorithms[i] = EVP_MD_fetch(NULL, names[i], NULL);
}

size_t hash_bytes(enum hash_algorithm algorithm)
{
    static const size_t bytes[HASH_ALGORITHMS] = {16, 20, 32, 64};

    return bytes[algorithm];
}

int hash_init(struct hash *hash, enum hash_algorithm algorithm)
{
    hash->context = NULL;
    pthread_once(&looked, look);
    EVP_MD_CTX *context = algorithms[algorithm] ? EVP_MD_CTX_new() : NULL;
    if (!context)
        return -ENOMEM;
    if (EVP_DigestInit_ex(context, algorithms[algorithm], NULL) != 1) {
        EVP_MD_CTX_free(context);
        return -ENOMEM;
    }
    hash->context = context;
    return 0;
}

int hash_update(struct hash *hash, struct span bytes)
{
    return EVP_DigestUpdate(hash->context, bytes.data, bytes.len) == 1 ? 0 : -EIO;
}

int hash_result(struct hash *hash, uint8_t ret_hash[HASH_BYTES_MAX])
{
    return EVP_DigestFinal_ex(hash->context, ret_hash, NULL) == 1 ? 0 : -EIO;
}

void hash_finish(struct hash *hash)
{
    EVP_MD_CTX_free(hash->context);
    hash->context = NULL;
}
