#include "files/locks.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "files/locks_inner.h"

/* --- the table --- */

int locks_create(struct locks **ret_locks)
{
    struct locks *locks = calloc(1, sizeof(*locks));
    uint64_t random[2];

    if (!locks)
        return -ENOMEM;
    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        free(locks);
        return -EIO;
    }
    pthread_mutex_init(&locks->mutex, NULL);
    locks->hash_start = random[0];
    locks->hash_factor = random[1] | 1;
    locks->next_end_ms = UINT64_MAX;
    list_init(&locks->table);
    list_init(&locks->users);
    list_init(&locks->claims);
    for (size_t i = 0; i < LOCK_BUCKETS; i++)
        list_init(&locks->buckets[i]);
    *ret_locks = locks;
    return 0;
}

static void remove_user(struct lock_user *user)
{
    list_remove(&user->link);
    free(user);
}

void locks_remove(struct locks *locks, struct kept_lock *k)
{
    list_remove(&k->in_table);
    list_remove(&k->in_bucket);
    list_remove(&k->in_user);
    locks->count--;
    locks->bytes -= k->size;
    k->user->bytes -= k->size;
    if (--k->user->count == 0)
        remove_user(k->user);
    free(k);
}

void locks_destroy(struct locks *locks)
{
    struct list *node;

    if (!locks)
        return;
    assert(list_empty(&locks->claims));
    while ((node = locks->table.next) != &locks->table)
        locks_remove(locks, container_of(node, struct kept_lock, in_table));
    pthread_mutex_destroy(&locks->mutex);
    free(locks);
}

bool locks_any(const struct locks *locks)
{
    return locks->count > 0;
}

void locks_enter(struct locks *locks, uint64_t now_ms)
{
    uint64_t next = UINT64_MAX;

    pthread_mutex_lock(&locks->mutex);
    if (now_ms < locks->next_end_ms)
        return;
    for (struct list *node = locks->table.next, *after; node != &locks->table; node = after) {
        struct kept_lock *k = container_of(node, struct kept_lock, in_table);
        after = node->next;
        if (k->lock.ends_ms <= now_ms)
            locks_remove(locks, k);
        else if (k->lock.ends_ms < next)
            next = k->lock.ends_ms;
    }
    locks->next_end_ms = next;
}

void locks_leave(struct locks *locks)
{
    pthread_mutex_unlock(&locks->mutex);
}

struct lock_user *locks_find_user(struct locks *locks, struct span name)
{
    for (struct list *node = locks->users.next; node != &locks->users; node = node->next) {
        struct lock_user *user = container_of(node, struct lock_user, link);
        if (span_equal(span_of(user->name, user->name_len), name))
            return user;
    }
    return NULL;
}

static struct lock_user *add_user(struct locks *locks, struct span name)
{
    struct lock_user *user = malloc(sizeof(*user) + name.len);

    if (!user)
        return NULL;
    *user = (struct lock_user){.name_len = name.len};
    if (name.len > 0)
        memcpy(user->name, name.data, name.len);
    list_init(&user->locks);
    list_append(&locks->users, &user->link);
    return user;
}

/* --- making locks --- */

/* A random UUID (RFC 9562 section 5.4); its end is a number too, so that none comes twice whatever
 * chance is worth. */
static int make_token(struct locks *locks, char out[LOCK_TOKEN_BYTES + 1])
{
    uint8_t b[16];
    uint64_t count = ++locks->tokens;

    if (getrandom(b, sizeof(b), 0) != sizeof(b))
        return -EIO;
    b[6] = (uint8_t)(0x40 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    for (size_t i = 0; i < 6; i++)
        b[15 - i] ^= (uint8_t)(count >> 8 * i);
    snprintf(out, LOCK_TOKEN_BYTES + 1,
             "opaquelocktoken:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
    return 0;
}

static uint64_t end_of(uint32_t seconds, uint64_t now_ms)
{
    if (seconds == 0)
        seconds = LIMIT_LOCK_DEFAULT_S;
    if (seconds < LIMIT_LOCK_LEAST_S)
        seconds = LIMIT_LOCK_LEAST_S;
    if (seconds > LIMIT_LOCK_S)
        seconds = LIMIT_LOCK_S;
    return now_ms + seconds * UINT64_C(1000);
}

static bool exclude(const struct lock *a, const struct lock *b)
{
    return !a->is_shared || !b->is_shared;
}

/* Whether there are locks that forbid this one (RFC 4918 section 6.1). */
static bool find_conflicts(struct locks *locks, const struct lock *wish, struct buf *conflicts)
{
    struct lock_cover cover;
    struct kept_lock *k;
    bool found = false, more = true;

    lock_cover_init(&cover, locks, wish->path);
    while (more && (k = lock_cover_next(&cover)))
        if (exclude(wish, &k->lock)) {
            found = true;
            more = lock_note(conflicts, k->lock.path);
        }
    if (!wish->is_infinite)
        return found;
    for (struct list *node = locks->table.next; more && node != &locks->table; node = node->next) {
        k = container_of(node, struct kept_lock, in_table);
        if (exclude(wish, &k->lock) && lock_is_below(k->lock.path, wish->path)) {
            found = true;
            more = !locks_is_first(locks, k) || lock_note(conflicts, k->lock.path);
        }
    }
    return found;
}

/* Whether a change is being made to what the lock would cover, or adds a name to its folder or
 * takes one from it. */
static bool is_claimed(const struct locks *locks, const struct lock *wish)
{
    for (struct list *node = locks->claims.next; node != &locks->claims; node = node->next) {
        const struct lock_claim *claim = container_of(node, struct lock_claim, link);
        struct span parent = lock_parent(claim->path);
        if (lock_covers(wish, claim->path) ||
            (claim->touch & TOUCH_BELOW && lock_is_below(wish->path, claim->path)) ||
            (claim->touch & TOUCH_NAME && parent.data && span_equal(wish->path, parent)))
            return true;
    }
    return false;
}

static bool has_room(struct locks *locks, const struct lock *wish, size_t size)
{
    const struct lock_user *user = locks_find_user(locks, wish->user);
    struct lock_cover cover;
    struct kept_lock *k;
    unsigned of_name = 0;

    if (locks->count >= LIMIT_LOCKS || locks->bytes + size > LIMIT_LOCK_BYTES)
        return false;
    if (user &&
        (user->count >= LIMIT_LOCKS_PER_USER || user->bytes + size > LIMIT_LOCK_BYTES_PER_USER))
        return false;
    lock_cover_init(&cover, locks, wish->path);
    while ((k = lock_cover_next(&cover)))
        of_name += k->lock.path.len == wish->path.len;
    return of_name < LIMIT_LOCKS_PER_NAME;
}

/* Returns 0, 507 or -ENOMEM. */
static int add(struct locks *locks, const struct lock *lock)
{
    size_t size = sizeof(struct kept_lock) + lock->path.len + lock->owner.len;

    if (!has_room(locks, lock, size))
        return 507;
    struct lock_user *user = locks_find_user(locks, lock->user);
    struct kept_lock *k = malloc(size);
    if (k && !user)
        user = add_user(locks, lock->user);
    if (!user) {
        free(k);
        return -ENOMEM;
    }
    if (!k)
        return -ENOMEM;
    *k = (struct kept_lock){.lock = *lock, .user = user, .size = size};
    struct buf bytes;
    buf_init_fixed(&bytes, k->bytes, lock->path.len + lock->owner.len);
    buf_append(&bytes, lock->path);
    buf_append(&bytes, lock->owner);
    k->lock.path = span_of(k->bytes, lock->path.len);
    k->lock.owner = span_of(k->bytes + lock->path.len, lock->owner.len);
    k->lock.user = span_of(user->name, user->name_len);
    k->hash = locks_hash(locks, lock->path);
    list_append(&locks->table, &k->in_table);
    list_append(locks_bucket(locks, k->hash), &k->in_bucket);
    list_append(&user->locks, &k->in_user);
    locks->count++;
    locks->version++;
    locks->bytes += size;
    user->count++;
    user->bytes += size;
    if (lock->ends_ms < locks->next_end_ms)
        locks->next_end_ms = lock->ends_ms;
    return 0;
}

int locks_grant(struct locks *locks, struct lock *wish, uint32_t seconds, uint64_t now_ms,
                struct buf *conflicts)
{
    struct lock lock = *wish;

    assert(lock.path.len < LIMIT_PATH_BYTES && lock.owner.len <= LIMIT_LOCK_OWNER_BYTES);
    int r = make_token(locks, lock.token);
    if (r < 0)
        return r;
    lock.ends_ms = end_of(seconds, now_ms);
    locks_enter(locks, now_ms);
    if (find_conflicts(locks, &lock, conflicts))
        r = 423;
    else
        r = is_claimed(locks, &lock) ? -EBUSY : add(locks, &lock);
    locks_leave(locks);
    if (r == 0) {
        memcpy(wish->token, lock.token, sizeof(lock.token));
        wish->ends_ms = lock.ends_ms;
    }
    return r;
}

/* --- finding them --- */

static struct kept_lock *find(struct locks *locks, struct span token, struct span path)
{
    struct lock_cover cover;
    struct kept_lock *k;

    lock_cover_init(&cover, locks, path);
    do
        k = lock_cover_next(&cover);
    while (k && !span_equal(span_of(k->lock.token, LOCK_TOKEN_BYTES), token));
    return k;
}

/* Returns 0, -ENOENT or -EPERM. */
static int find_own(struct locks *locks, struct span token, struct span user, struct span path,
                    struct kept_lock **ret_lock)
{
    struct kept_lock *k = find(locks, token, path);

    if (!k)
        return -ENOENT;
    *ret_lock = k;
    return span_equal(k->lock.user, user) ? 0 : -EPERM;
}

int locks_refresh(struct locks *locks, struct span token, struct span user, struct span path,
                  uint32_t seconds, uint64_t now_ms)
{
    struct kept_lock *k;

    locks_enter(locks, now_ms);
    int r = find_own(locks, token, user, path, &k);
    if (r == 0) {
        k->lock.ends_ms = end_of(seconds, now_ms);
        if (k->lock.ends_ms < locks->next_end_ms)
            locks->next_end_ms = k->lock.ends_ms;
        locks->version++;
    }
    locks_leave(locks);
    return r;
}

int locks_release(struct locks *locks, struct span token, struct span user, struct span path,
                  uint64_t now_ms)
{
    struct kept_lock *k;

    locks_enter(locks, now_ms);
    int r = find_own(locks, token, user, path, &k);
    if (r == 0) {
        locks_remove(locks, k);
        locks->version++;
    }
    locks_leave(locks);
    return r;
}

/* A second that has begun counts: none is shown without any. Nor with more than there can be, as
 * `now_ms` may be older than the lock. */
static uint32_t seconds_left(const struct lock *lock, uint64_t now_ms)
{
    uint64_t seconds = (lock->ends_ms - now_ms + 999) / 1000;

    return seconds < LIMIT_LOCK_S ? (uint32_t)seconds : LIMIT_LOCK_S;
}

void locks_show(struct locks *locks, struct span path, uint64_t now_ms, locks_each_fn *show,
                void *context)
{
    struct lock_cover cover;
    struct kept_lock *k;

    locks_enter(locks, now_ms);
    lock_cover_init(&cover, locks, path);
    while ((k = lock_cover_next(&cover)))
        show(context, &k->lock, seconds_left(&k->lock, now_ms));
    locks_leave(locks);
}

bool locks_covers(struct locks *locks, struct span token, struct span path, bool as_new,
                  uint64_t now_ms)
{
    struct span parent = lock_parent(path);

    locks_enter(locks, now_ms);
    bool found = find(locks, token, path) || (as_new && parent.data && find(locks, token, parent));
    locks_leave(locks);
    return found;
}

/* --- keeping them --- */

uint64_t locks_version(const struct locks *locks)
{
    return locks->version;
}

uint64_t locks_each(struct locks *locks, uint64_t now_ms, locks_each_fn *each, void *context)
{
    locks_enter(locks, now_ms);
    for (struct list *node = locks->table.next; node != &locks->table; node = node->next) {
        const struct kept_lock *k = container_of(node, struct kept_lock, in_table);
        each(context, &k->lock, seconds_left(&k->lock, now_ms));
    }
    uint64_t version = locks->version;
    locks_leave(locks);
    return version;
}

static bool is_hex_with_dashes(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' : !hex)
            return false;
    }
    return true;
}

static bool is_token(const char token[LOCK_TOKEN_BYTES + 1])
{
    const struct span beginning = SPAN("opaquelocktoken:"), s = span_of(token, LOCK_TOKEN_BYTES);

    return token[LOCK_TOKEN_BYTES] == '\0' && span_starts_with(s, beginning) &&
           is_hex_with_dashes(span_skip(s, beginning.len));
}

/* Names with a slash between each two. */
static bool is_path(struct span s)
{
    if (s.len >= LIMIT_PATH_BYTES || span_find(s, '\0') < s.len)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '/' && (i == 0 || i + 1 == s.len || s.data[i + 1] == '/'))
            return false;
    return true;
}

int locks_restore(struct locks *locks, const struct lock *lock, uint32_t seconds_left,
                  uint64_t now_ms)
{
    struct lock kept = *lock;

    if (!is_token(lock->token) || !is_path(lock->path) || lock->user.len > LIMIT_USER_NAME_BYTES ||
        lock->owner.len > LIMIT_LOCK_OWNER_BYTES || seconds_left == 0 ||
        seconds_left > LIMIT_LOCK_S)
        return -EINVAL;
    kept.ends_ms = now_ms + seconds_left * UINT64_C(1000);
    locks_enter(locks, now_ms);
    bool is_there = find(locks, span_of(kept.token, LOCK_TOKEN_BYTES), kept.path) ||
                    find_conflicts(locks, &kept, NULL);
    int r = is_there ? -EINVAL : add(locks, &kept);
    locks_leave(locks);
    return r > 0 ? -EINVAL : r;
}
