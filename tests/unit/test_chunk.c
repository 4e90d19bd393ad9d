/* Chunks: their sizes and layout, the pool with its limits, and memory that is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "net/chunk.h"

/* The linker lets chunk.c's malloc() come here (meson.build). */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static bool memory_is_short;

void *__wrap_malloc(size_t size)
{
    return memory_is_short ? NULL : __real_malloc(size);
}

static struct tls_session session_of(uint16_t version, uint8_t cipher, uint16_t max_fragment)
{
    struct tls_keys keys = {
        .version = version, .cipher = cipher, .secret_len = version == TLS_VERSION_1_3 ? 32 : 0};
    struct tls_session s;

    assert_int_equal(session_init(&s, &keys, &keys, max_fragment), 0);
    return s;
}

static void fill(struct chunk *c, size_t len)
{
    static char bytes[CHUNK_LARGE_RECORDS * TLS_PLAINTEXT_MAX];

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(i % 251);
    assert_int_equal(chunk_append(c, span_of(bytes, len)), len);
}

static void sizes(void **state)
{
    static const size_t records[CHUNK_SIZES] = {1, 4, 16};
    struct tls_session small = session_of(TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, 512);
    struct chunk_pool pool = {0};

    (void)state;
    for (enum chunk_size size = CHUNK_SMALL; size < CHUNK_SIZES; size++) {
        struct chunk *c = chunk_take(&pool, size, NULL);
        assert_non_null(c);
        assert_int_equal(chunk_size_of(c), size);
        assert_int_equal(chunk_room(c), records[size] * TLS_PLAINTEXT_MAX);
        fill(c, chunk_room(c));
        assert_int_equal(chunk_room(c), 0);
        assert_int_equal(chunk_append(c, SPAN("x")), 0);
        chunk_give_back(&pool, c);

        /* The same memory, laid out for a peer that takes small records only. */
        assert_ptr_equal(chunk_take(&pool, size, &small), c);
        assert_int_equal(chunk_size_of(c), size);
        assert_int_equal(chunk_room(c), records[size] * 512);
        chunk_give_back(&pool, c);
    }
    chunk_pool_finish(&pool);
    session_wipe(&small);
}

/* What was appended and what was read into it, sealed where it lies and opened again. */
static void sealed_in_place(void **state)
{
    static const struct {
        uint16_t version, max_fragment;
    } cases[] = {{TLS_VERSION_1_3, 0}, {TLS_VERSION_1_3, 1024}, {TLS_VERSION_1_2, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_session s =
            session_of(cases[i].version, TLS_CIPHER_AES_128_GCM, cases[i].max_fragment);
        struct chunk_pool pool = {0};
        struct chunk *c = chunk_take(&pool, CHUNK_MEDIUM, &s);
        struct iovec iov[CHUNK_IOVECS];
        size_t len, payload = 0, at = c->record_payload / 2;
        uint8_t *data;

        fill(c, at);
        unsigned count = chunk_iovecs(c, c->record_payload, iov);
        assert_int_equal(count, 2); /* the rest of one record, and half of the next */
        for (unsigned n = 0; n < count; n++)
            for (size_t k = 0; k < iov[n].iov_len; k++)
                ((uint8_t *)iov[n].iov_base)[k] = (uint8_t)(at++ % 251);
        assert_int_equal(c->payload, c->record_payload / 2);
        chunk_commit(c, c->record_payload);
        assert_int_equal(c->payload, at);

        assert_int_equal(chunk_seal(c, &s, &data, &len), 0);
        for (size_t done = 0; done < len;) {
            struct session_event event;
            int r = session_open(&s, data + done, len - done, &event);
            assert_true(r > 0 && event.kind == SESSION_DATA);
            for (size_t k = 0; k < event.data.len; k++)
                assert_int_equal((uint8_t)event.data.data[k], payload++ % 251);
            done += (size_t)r;
        }
        assert_int_equal(payload, at);
        chunk_empty(c);
        assert_int_equal(chunk_room(c), CHUNK_MEDIUM_RECORDS * c->record_payload);
        chunk_give_back(&pool, c);
        chunk_pool_finish(&pool);
        session_wipe(&s);
    }
}

static void moved_into_another_layout(void **state)
{
    struct tls_session s = session_of(TLS_VERSION_1_3, TLS_CIPHER_AES_128_GCM, 512);
    struct chunk_pool pool = {0};
    struct chunk *from = chunk_take(&pool, CHUNK_MEDIUM, &s);
    struct chunk *to = chunk_take(&pool, CHUNK_LARGE, NULL);
    uint8_t *data;
    size_t len;

    (void)state;
    fill(from, 3 * 512 + 7);
    chunk_move(to, from);
    assert_int_equal(from->payload, 0);
    assert_int_equal(chunk_seal(to, NULL, &data, &len), 0);
    assert_int_equal(len, 3 * 512 + 7);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], i % 251);
    chunk_give_back(&pool, from);
    chunk_give_back(&pool, to);
    chunk_pool_finish(&pool);
    session_wipe(&s);
}

/* The cap is the caller's to ask for; chunk_take() itself would go on. */
static void large_ones_are_counted(void **state)
{
    struct chunk_pool pool = {0};
    struct chunk *taken[CHUNK_LARGE_MOST];

    (void)state;
    for (unsigned i = 0; i < CHUNK_LARGE_MOST; i++) {
        assert_true(chunk_pool_has_large(&pool));
        taken[i] = chunk_take(&pool, CHUNK_LARGE, NULL);
        assert_non_null(taken[i]);
    }
    assert_false(chunk_pool_has_large(&pool));
    struct chunk *medium = chunk_take(&pool, CHUNK_MEDIUM, NULL);
    chunk_give_back(&pool, medium);
    assert_false(chunk_pool_has_large(&pool)); /* they are counted apart */
    chunk_give_back(&pool, taken[0]);
    assert_true(chunk_pool_has_large(&pool)); /* free, whether it is kept or not */
    taken[0] = chunk_take(&pool, CHUNK_LARGE, NULL);
    assert_false(chunk_pool_has_large(&pool));
    for (unsigned i = 0; i < CHUNK_LARGE_MOST; i++)
        chunk_give_back(&pool, taken[i]);
    assert_int_equal(pool.used[CHUNK_LARGE], 0);
    assert_int_equal(pool.free_count[CHUNK_LARGE], CHUNK_LARGE_POOLED);
    chunk_pool_finish(&pool);
}

static void no_more_kept_than_pooled(void **state)
{
    static const unsigned pooled[CHUNK_SIZES] = {CHUNK_SMALL_POOLED, CHUNK_MEDIUM_POOLED,
                                                 CHUNK_LARGE_POOLED};
    struct chunk *taken[CHUNK_SMALL_POOLED + 1];
    struct chunk_pool pool = {0};

    (void)state;
    for (enum chunk_size size = CHUNK_SMALL; size < CHUNK_SIZES; size++) {
        for (unsigned i = 0; i <= pooled[size]; i++)
            taken[i] = chunk_take(&pool, size, NULL);
        assert_int_equal(pool.used[size], pooled[size] + 1);
        for (unsigned i = 0; i <= pooled[size]; i++)
            chunk_give_back(&pool, taken[i]);
        assert_int_equal(pool.used[size], 0);
        assert_int_equal(pool.free_count[size], pooled[size]);
    }
    chunk_pool_finish(&pool);
    for (enum chunk_size size = CHUNK_SMALL; size < CHUNK_SIZES; size++)
        assert_int_equal(pool.free_count[size], 0);
}

/* What was not needed between two rests goes, what was stays. */
static void rest(void **state)
{
    struct chunk_pool pool = {0};
    struct chunk *taken[3];

    (void)state;
    assert_true(chunk_pool_rest(&pool));
    for (unsigned i = 0; i < 3; i++)
        taken[i] = chunk_take(&pool, CHUNK_SMALL, NULL);
    for (unsigned i = 0; i < 3; i++)
        chunk_give_back(&pool, taken[i]);
    assert_false(chunk_pool_rest(&pool)); /* all three were needed since the beginning */
    assert_int_equal(pool.free_count[CHUNK_SMALL], 3);

    taken[0] = chunk_take(&pool, CHUNK_SMALL, NULL);
    chunk_give_back(&pool, taken[0]);
    assert_false(chunk_pool_rest(&pool));
    assert_int_equal(pool.free_count[CHUNK_SMALL], 1);

    assert_false(chunk_pool_rest(&pool)); /* the last one goes */
    assert_int_equal(pool.free_count[CHUNK_SMALL], 0);
    assert_true(chunk_pool_rest(&pool));
}

static void without_memory(void **state)
{
    struct chunk_pool pool = {0};

    (void)state;
    struct chunk *kept = chunk_take(&pool, CHUNK_LARGE, NULL);
    chunk_give_back(&pool, kept);
    memory_is_short = true;
    for (enum chunk_size size = CHUNK_SMALL; size < CHUNK_LARGE; size++) {
        assert_null(chunk_take(&pool, size, NULL));
        assert_int_equal(pool.used[size], 0); /* or the cap would be reached by nobody */
    }
    assert_ptr_equal(chunk_take(&pool, CHUNK_LARGE, NULL), kept);
    assert_null(chunk_take(&pool, CHUNK_LARGE, NULL));
    assert_int_equal(pool.used[CHUNK_LARGE], 1);
    memory_is_short = false;
    chunk_give_back(&pool, kept);
    chunk_pool_finish(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(sealed_in_place),
        cmocka_unit_test(moved_into_another_layout),
        cmocka_unit_test(large_ones_are_counted),
        cmocka_unit_test(no_more_kept_than_pooled),
        cmocka_unit_test(rest),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
