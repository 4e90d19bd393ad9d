#include "auth/throttle.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

struct throttle_entry {
    uint64_t failed_ms;     /* the last failure */
    uint64_t forgiven_ms;   /* failures were forgotten up to here */
    uint64_t held_until_ms; /* no try before */
    uint64_t wrong[LIMIT_THROTTLE_WRONG];
    uint16_t failures;
    uint16_t pending; /* tries under way */
    uint8_t next_wrong;
};

struct throttle_table {
    unsigned free, hold_s, forget_s;
    uint64_t keys[LIMIT_THROTTLE_ENTRIES]; /* 0: no entry; apart, so that a look-up reads 32 KiB */
    struct throttle_entry entries[LIMIT_THROTTLE_ENTRIES];
};

/* Beyond this many failures above the free ones the wait does not grow (2^10 s > every maximum),
 * and counting on would only delay forgiveness. */
enum { MAX_EXCESS = 10 };

static struct throttle_table *make_table(unsigned free_failures, unsigned hold_s, unsigned forget_s)
{
    struct throttle_table *table = calloc(1, sizeof(*table)); /* pages are touched when used */

    if (table) {
        table->free = free_failures;
        table->hold_s = hold_s;
        table->forget_s = forget_s;
    }
    return table;
}

int throttle_init(struct throttle *t)
{
    *t = (struct throttle){0};
    int r = digest_key_init(&t->key);
    if (r < 0)
        return r;
    t->sources = make_table(LIMIT_THROTTLE_FREE, LIMIT_THROTTLE_HOLD_S, LIMIT_THROTTLE_FORGET_S);
    t->accounts = make_table(LIMIT_THROTTLE_ACCOUNT_FREE, LIMIT_THROTTLE_ACCOUNT_HOLD_S,
                             LIMIT_THROTTLE_ACCOUNT_FORGET_S);
    if (t->sources && t->accounts)
        return 0;
    throttle_finish(t);
    return -ENOMEM;
}

void throttle_finish(struct throttle *t)
{
    free(t->sources);
    free(t->accounts);
    explicit_bzero(t, sizeof(*t));
}

/* --- names --- */

static uint64_t name_of(const struct throttle *t, uint8_t domain, struct span s)
{
    uint64_t name = digest_hmac_u64(&t->key, domain, s);

    return name ? name : 1; /* 0 means "none" in the tables */
}

static uint64_t source_of(const struct throttle *t, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;

    if (peer->ss_family == AF_INET)
        return name_of(t, '4', span_of(&v4->sin_addr, 4));
    if (peer->ss_family != AF_INET6)
        return name_of(t, 'x', (struct span){0}); /* local sockets: all one */
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return name_of(t, '4', span_of(&v6->sin6_addr.s6_addr[12], 4));
    return name_of(t, '6', span_of(&v6->sin6_addr, 8)); /* a /64 is one customer's */
}

struct throttle_attempt throttle_attempt(const struct throttle *t,
                                         const struct sockaddr_storage *peer, struct span user,
                                         struct span credential)
{
    uint64_t both[2] = {source_of(t, peer), name_of(t, 'u', user)};

    return (struct throttle_attempt){
        .source = both[0],
        .account = both[1],
        .pair = name_of(t, 'p', span_of(both, sizeof(both))),
        .password = name_of(t, 'w', credential),
    };
}

/* --- tables --- */

static void forgive(const struct throttle_table *table, struct throttle_entry *e, uint64_t now_ms)
{
    uint64_t step_ms = table->forget_s * UINT64_C(1000);
    uint64_t steps = now_ms > e->forgiven_ms ? (now_ms - e->forgiven_ms) / step_ms : 0;

    e->failures = steps < e->failures ? (uint16_t)(e->failures - steps) : 0;
    e->forgiven_ms += steps * step_ms;
}

static struct throttle_entry *find(struct throttle_table *table, uint64_t key)
{
    for (size_t i = 0; i < LIMIT_THROTTLE_ENTRIES; i++)
        if (table->keys[i] == key)
            return &table->entries[i];
    return NULL;
}

/* The slot for a new entry: an empty one, or else the one whose failures matter least. */
static size_t find_room(struct throttle_table *table, uint64_t now_ms)
{
    size_t best = LIMIT_THROTTLE_ENTRIES;

    for (size_t i = 0; i < LIMIT_THROTTLE_ENTRIES; i++) {
        struct throttle_entry *e = &table->entries[i], *b = &table->entries[best];

        if (!table->keys[i])
            return i;
        forgive(table, e, now_ms);
        if (e->pending > 0)
            continue;
        if (best == LIMIT_THROTTLE_ENTRIES || e->failures < b->failures ||
            (e->failures == b->failures && e->failed_ms < b->failed_ms))
            best = i;
    }
    /* The caller has fewer tries under way than there are entries. */
    assert(best < LIMIT_THROTTLE_ENTRIES);
    return best;
}

static struct throttle_entry *find_or_make(struct throttle_table *table, uint64_t key,
                                           uint64_t now_ms)
{
    struct throttle_entry *e = find(table, key);

    if (e)
        return e;
    size_t at = find_room(table, now_ms);
    table->keys[at] = key;
    table->entries[at] = (struct throttle_entry){.failed_ms = now_ms, .forgiven_ms = now_ms};
    return &table->entries[at];
}

/* 0: may try; > 0: seconds to wait; -EBUSY: as many under way as may fail without waiting. */
static int wait_s(const struct throttle_table *table, struct throttle_entry *e, uint64_t now_ms)
{
    if (!e)
        return 0;
    forgive(table, e, now_ms);
    if (e->held_until_ms > now_ms)
        return (int)((e->held_until_ms - now_ms + 999) / 1000);
    return e->pending > 0 && e->failures + e->pending >= (int)table->free ? -EBUSY : 0;
}

static bool is_known_wrong(const struct throttle_entry *e, uint64_t password)
{
    for (size_t i = 0; i < LIMIT_THROTTLE_WRONG; i++)
        if (e->wrong[i] == password)
            return true;
    return false;
}

/* Ends a try; an entry with nothing to remember makes room. */
static struct throttle_entry *end_pending(struct throttle_table *table, uint64_t key)
{
    struct throttle_entry *e = find(table, key);

    assert(e && e->pending > 0);
    e->pending--;
    return e;
}

static void drop_if_blank(struct throttle_table *table, struct throttle_entry *e, uint64_t now_ms)
{
    forgive(table, e, now_ms);
    if (e->failures == 0 && e->pending == 0)
        table->keys[e - table->entries] = 0;
}

static void count_failure(const struct throttle_table *table, struct throttle_entry *e,
                          uint64_t now_ms)
{
    forgive(table, e, now_ms);
    if (e->failures == 0)
        e->forgiven_ms = now_ms;
    if (e->failures < table->free + MAX_EXCESS)
        e->failures++;
    e->failed_ms = now_ms;
    if (e->failures >= table->free) {
        unsigned hold_s = 1u << (e->failures - table->free);

        e->held_until_ms = now_ms + (hold_s < table->hold_s ? hold_s : table->hold_s) * 1000u;
    }
}

/* --- tries --- */

static uint64_t *known_slot(struct throttle *t, const struct throttle_attempt *a)
{
    return &t->known[a->pair % LIMIT_THROTTLE_KNOWN];
}

int throttle_check(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms)
{
    struct throttle_entry *source = find(t->sources, a->source);

    if (source && is_known_wrong(source, a->password))
        return -EALREADY;
    int r = wait_s(t->sources, source, now_ms);
    if (r == 0 && *known_slot(t, a) != a->pair)
        r = wait_s(t->accounts, find(t->accounts, a->account), now_ms);
    if (r != 0)
        return r;
    find_or_make(t->sources, a->source, now_ms)->pending++;
    find_or_make(t->accounts, a->account, now_ms)->pending++;
    return 0;
}

void throttle_failure(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms)
{
    struct throttle_entry *source = end_pending(t->sources, a->source);

    count_failure(t->sources, source, now_ms);
    count_failure(t->accounts, end_pending(t->accounts, a->account), now_ms);
    source->wrong[source->next_wrong] = a->password;
    source->next_wrong = (uint8_t)((source->next_wrong + 1) % LIMIT_THROTTLE_WRONG);
}

void throttle_success(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms)
{
    *known_slot(t, a) = a->pair;
    throttle_abandon(t, a, now_ms);
}

void throttle_abandon(struct throttle *t, const struct throttle_attempt *a, uint64_t now_ms)
{
    drop_if_blank(t->sources, end_pending(t->sources, a->source), now_ms);
    drop_if_blank(t->accounts, end_pending(t->accounts, a->account), now_ms);
}

unsigned throttle_pending(const struct throttle *t, const struct throttle_attempt *a)
{
    const struct throttle_entry *source = find(t->sources, a->source);

    return source ? source->pending : 0;
}

void throttle_forget_wrong(struct throttle *t)
{
    for (size_t i = 0; i < LIMIT_THROTTLE_ENTRIES; i++)
        if (t->sources->keys[i])
            memset(t->sources->entries[i].wrong, 0, sizeof(t->sources->entries[i].wrong));
}
