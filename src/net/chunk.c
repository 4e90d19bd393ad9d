#include "net/chunk.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

static const size_t records_of[CHUNK_SIZES] = {CHUNK_SMALL_RECORDS, CHUNK_MEDIUM_RECORDS,
                                               CHUNK_LARGE_RECORDS};
static const unsigned pooled_of[CHUNK_SIZES] = {CHUNK_SMALL_POOLED, CHUNK_MEDIUM_POOLED,
                                                CHUNK_LARGE_POOLED};

enum chunk_size chunk_size_of(const struct chunk *c)
{
    enum chunk_size size = CHUNK_SMALL;

    while (size < CHUNK_LARGE && records_of[size] != c->records)
        size++;
    return size;
}

struct chunk *chunk_take(struct chunk_pool *pool, enum chunk_size size,
                         const struct tls_session *session)
{
    struct chunk *c = pool->free[size];

    if (c) {
        pool->free[size] = c->next_free;
        if (--pool->free_count[size] < pool->free_least[size])
            pool->free_least[size] = pool->free_count[size];
    } else {
        size_t record = TLS_PREFIX_MAX + TLS_PLAINTEXT_MAX + TLS_SUFFIX_MAX;
        c = malloc(sizeof(*c) + records_of[size] * record);
        if (!c)
            return NULL;
        c->records = records_of[size];
    }
    pool->used[size]++;
    c->payload = 0;
    c->record_payload = session ? session->max_fragment : TLS_PLAINTEXT_MAX;
    c->prefix = session ? record_prefix(&session->tx) : 0;
    c->suffix = session ? record_suffix(&session->tx) : 0;
    return c;
}

void chunk_give_back(struct chunk_pool *pool, struct chunk *c)
{
    enum chunk_size size = chunk_size_of(c);

    pool->used[size]--;
    if (pool->free_count[size] >= pooled_of[size]) {
        free(c);
        return;
    }
    c->next_free = pool->free[size];
    pool->free[size] = c;
    pool->free_count[size]++;
}

static void free_some(struct chunk_pool *pool, int size, unsigned count)
{
    for (; count > 0 && pool->free[size]; count--) {
        struct chunk *c = pool->free[size];
        pool->free[size] = c->next_free;
        pool->free_count[size]--;
        free(c);
    }
}

void chunk_pool_finish(struct chunk_pool *pool)
{
    for (int size = 0; size < CHUNK_SIZES; size++)
        free_some(pool, size, UINT_MAX);
}

bool chunk_pool_rest(struct chunk_pool *pool)
{
    bool rested = true;

    for (int size = 0; size < CHUNK_SIZES; size++) {
        rested &= pool->free_least[size] == 0;
        free_some(pool, size, pool->free_least[size]);
        pool->free_least[size] = pool->free_count[size];
        rested &= pool->free_count[size] == 0;
    }
    return rested;
}

static uint8_t *payload_at(const struct chunk *c, size_t offset)
{
    size_t stride = c->prefix + c->record_payload + c->suffix;

    return (uint8_t *)(uintptr_t)c->memory + offset / c->record_payload * stride + c->prefix +
           offset % c->record_payload;
}

size_t chunk_room(const struct chunk *c)
{
    return c->records * c->record_payload - c->payload;
}

size_t chunk_append(struct chunk *c, struct span s)
{
    size_t done = 0;

    if (s.len > chunk_room(c))
        s.len = chunk_room(c);
    while (done < s.len) {
        size_t here = c->record_payload - c->payload % c->record_payload;
        if (here > s.len - done)
            here = s.len - done;
        memcpy(payload_at(c, c->payload), s.data + done, here);
        c->payload += here;
        done += here;
    }
    return done;
}

void chunk_move(struct chunk *c, struct chunk *from)
{
    assert(from->payload <= chunk_room(c));
    for (size_t done = 0, here; done < from->payload; done += here) {
        here = from->payload - done;
        if (here > from->record_payload)
            here = from->record_payload;
        chunk_append(c, span_of(payload_at(from, done), here));
    }
    from->payload = 0;
}

unsigned chunk_iovecs(const struct chunk *c, size_t len, struct iovec *iov)
{
    unsigned count = 0;
    size_t at = c->payload;

    assert(len <= chunk_room(c));
    while (len > 0) {
        size_t here = c->record_payload - at % c->record_payload;
        if (here > len)
            here = len;
        assert(count < CHUNK_IOVECS);
        iov[count++] = (struct iovec){payload_at(c, at), here};
        at += here;
        len -= here;
    }
    return count;
}

void chunk_commit(struct chunk *c, size_t len)
{
    assert(len <= chunk_room(c));
    c->payload += len;
}

int chunk_seal(struct chunk *c, struct tls_session *session, uint8_t **ret_data, size_t *ret_len)
{
    size_t stride = c->prefix + c->record_payload + c->suffix;
    size_t sealed = 0;

    *ret_data = c->memory;
    if (!session) {
        *ret_len = c->payload;
        return 0;
    }
    for (size_t done = 0; done < c->payload; done += c->record_payload) {
        size_t here = c->payload - done < c->record_payload ? c->payload - done : c->record_payload;
        int r = record_seal(&session->tx, TLS_TYPE_APPLICATION_DATA,
                            c->memory + done / c->record_payload * stride, here);
        if (r < 0)
            return r;
        sealed += (size_t)r;
    }
    *ret_len = sealed;
    return 0;
}

void chunk_empty(struct chunk *c)
{
    c->payload = 0;
}
