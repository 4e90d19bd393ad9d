/* Bytes on their way out, laid out so that they can be sealed where they lie.
 *
 * A chunk holds payload in records of a fixed size with room in front of and behind each for what
 * TLS adds. Text is appended and files are read straight into their records; sealing then makes one
 * contiguous run of records that goes out in one send. Without TLS there is no room between records
 * and the payload is the run.
 *
 * Chunks come from a pool that the server of a thread owns.
 */
#pragma once

#include <sys/uio.h>

#include "base/span.h"
#include "tls/session.h"

struct chunk {
    struct chunk *next_free;
    size_t records;        /* how many fit */
    size_t payload;        /* bytes so far */
    size_t record_payload; /* of a full record */
    size_t prefix, suffix; /* room around each payload */
    uint8_t memory[];
};

enum chunk_size { CHUNK_SMALL, CHUNK_MEDIUM, CHUNK_LARGE, CHUNK_SIZES };

enum {
    CHUNK_SMALL_RECORDS = 1,
    CHUNK_MEDIUM_RECORDS = 4,
    CHUNK_LARGE_RECORDS = 16,
    /* Free chunks a thread keeps, per size: 2, 1 and 2 MiB. */
    CHUNK_SMALL_POOLED = 128,
    CHUNK_MEDIUM_POOLED = 16,
    CHUNK_LARGE_POOLED = 8,
    /* Large ones that a thread's connections have at once; whoever comes then makes do with medium
     * ones, so that a thousand slow readers do not hold a quarter of a GiB. */
    CHUNK_LARGE_MOST = 32,
    CHUNK_IOVECS = CHUNK_LARGE_RECORDS + 1,
};

struct chunk_pool {
    struct chunk *free[CHUNK_SIZES];
    unsigned free_count[CHUNK_SIZES];
    unsigned free_least[CHUNK_SIZES]; /* since the last rest: so many were not needed */
    unsigned used[CHUNK_SIZES];
};

/* An empty chunk laid out for `session` (NULL: no TLS); NULL when memory is short. */
struct chunk *chunk_take(struct chunk_pool *pool, enum chunk_size size,
                         const struct tls_session *session);
void chunk_give_back(struct chunk_pool *pool, struct chunk *c);
void chunk_pool_finish(struct chunk_pool *pool);

enum chunk_size chunk_size_of(const struct chunk *c);

/* Whether another large one may be taken. */
static inline bool chunk_pool_has_large(const struct chunk_pool *pool)
{
    return pool->used[CHUNK_LARGE] < CHUNK_LARGE_MOST;
}

/* Frees what has not been needed since the last call. Returns whether there was nothing. */
bool chunk_pool_rest(struct chunk_pool *pool);

size_t chunk_room(const struct chunk *c);

/* Appends as much of `s` as there is room for and returns how much that was. */
size_t chunk_append(struct chunk *c, struct span s);

/* Appends the payload of `from`, for which there must be room, and empties it. */
void chunk_move(struct chunk *c, struct chunk *from);

/* The places of the next `len` payload bytes (at most chunk_room()), for a read to fill: returns
 * how many of iov[CHUNK_IOVECS] are used. The bytes count after chunk_commit(). */
unsigned chunk_iovecs(const struct chunk *c, size_t len, struct iovec *iov);
void chunk_commit(struct chunk *c, size_t len);

/* Seals the payload in place (NULL: nothing to seal) and returns the bytes to send in `ret_data`
 * and `ret_len`. Returns 0 or -errno as record_seal(). The chunk must be emptied before it is
 * filled again. */
int chunk_seal(struct chunk *c, struct tls_session *session, uint8_t **ret_data, size_t *ret_len);

void chunk_empty(struct chunk *c);
