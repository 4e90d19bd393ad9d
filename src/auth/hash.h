/* Hashes of content, piece by piece: what senders and receivers of files compare. */
#pragma once

#include "base/span.h"

enum hash_algorithm { HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_SHA512, HASH_ALGORITHMS };

enum { HASH_BYTES_MAX = 64 };

struct hash {
    void *context; /* NULL: not begun */
};

/* How long such a hash is. */
size_t hash_bytes(enum hash_algorithm algorithm);

/* Begins one. Returns 0, or -ENOMEM also for an algorithm that this OpenSSL may not use. It is
 * given back with hash_finish(). */
int hash_init(struct hash *hash, enum hash_algorithm algorithm);

/* Returns 0 or -EIO. */
int hash_update(struct hash *hash, struct span bytes);

/* Writes hash_bytes() bytes; nothing may be added afterwards. Returns 0 or -EIO. */
int hash_result(struct hash *hash, uint8_t ret_hash[HASH_BYTES_MAX]);

/* Harmless on one that was not begun. */
void hash_finish(struct hash *hash);
