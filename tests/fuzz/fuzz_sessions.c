/* The text of the session store: whatever was read is consistent, within the limits, and printed
 * and read again the same. */
#include <assert.h>
#include <errno.h>

#include "auth/session.h"
#include "auth/users.h"

enum { NOW = 1700000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_store(struct session_store *store)
{
    size_t count = 0;

    for (struct list *node = store->by_use.next; node != &store->by_use; node = node->next) {
        const struct session *s = container_of(node, struct session, by_use);

        assert(users_name_valid(span_str(s->user)));
        assert(s->created_s <= s->used_s);
        count++;
    }
    assert(count == store->count && count <= LIMIT_SESSIONS);
}

static void check_round_trip(const struct session_store *store)
{
    struct session_store copy;
    struct buf text, again;

    buf_init_growing(&text, LIMIT_SESSIONS_FILE_BYTES);
    buf_init_growing(&again, LIMIT_SESSIONS_FILE_BYTES);
    assert(session_store_init(&copy) == 0);
    session_store_print(store, &text);
    assert(!buf_failed(&text));
    assert(session_store_parse(&copy, buf_span(&text), NOW) == 0);
    assert(copy.count == store->count);
    session_store_print(&copy, &again);
    assert(span_equal(buf_span(&text), buf_span(&again)));
    session_store_finish(&copy);
    buf_finish(&text);
    buf_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session_store store;

    assert(session_store_init(&store) == 0);
    int r = session_store_parse(&store, span_of(data, size), NOW);
    assert(r >= 0 || (r == -EBADMSG && store.count == 0));
    check_store(&store);
    check_round_trip(&store);

    while (store.count > 0) { /* everything can be found and ended */
        struct session *s = container_of(store.by_use.next, struct session, by_use);
        uint8_t digest[DIGEST_BYTES];

        memcpy(digest, s->digest, sizeof(digest));
        assert(session_find(&store, digest, NOW));
        assert(session_end(&store, digest) && !session_end(&store, digest));
    }
    session_store_finish(&store);
    return 0;
}
