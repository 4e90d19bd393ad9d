/* Changes: whether locks forbid them, and that no lock comes while they are made. */
#include <assert.h>
#include <errno.h>

#include "files/locks_inner.h"

/* What is being asked for. */
struct question {
    struct locks *locks;
    const struct lock_shown *shown;
    const struct lock_user *user;            /* NULL: has no locks */
    const struct lock *own[LIMIT_IF_TOKENS]; /* those of its user that it has shown */
    unsigned own_count;
    struct buf *blocked;
    bool is_blocked;
    bool enough; /* has been found */
};

static bool has_shown(const struct lock_shown *shown, const struct lock *lock)
{
    for (unsigned i = 0; i < shown->count; i++)
        if (span_equal(shown->tokens[i], span_of(lock->token, LOCK_TOKEN_BYTES)))
            return true;
    return false;
}

static void find_own(struct question *q)
{
    q->user = locks_find_user(q->locks, q->shown->user);
    if (!q->user || q->shown->any_own)
        return;
    for (struct list *node = q->user->locks.next; node != &q->user->locks; node = node->next) {
        const struct kept_lock *k = container_of(node, struct kept_lock, in_user);
        if (q->own_count < LIMIT_IF_TOKENS && has_shown(q->shown, &k->lock))
            q->own[q->own_count++] = &k->lock;
    }
}

/* One of them is enough (RFC 4918 section 7.4). */
static bool own_covers(const struct question *q, struct span path)
{
    for (unsigned i = 0; i < q->own_count; i++)
        if (lock_covers(q->own[i], path))
            return true;
    if (!q->user || !q->shown->any_own)
        return false;
    for (struct list *node = q->user->locks.next; node != &q->user->locks; node = node->next)
        if (lock_covers(&container_of(node, struct kept_lock, in_user)->lock, path))
            return true;
    return false;
}

static void block(struct question *q, struct span path)
{
    q->is_blocked = true;
    q->enough = !lock_note(q->blocked, path);
}

static void ask(struct question *q, struct span path)
{
    struct lock_cover cover;
    struct kept_lock *k;

    if (q->enough || own_covers(q, path))
        return;
    lock_cover_init(&cover, q->locks, path);
    while (!q->enough && (k = lock_cover_next(&cover)))
        block(q, k->lock.path);
}

static bool own_covers_below(const struct question *q, struct span path)
{
    for (unsigned i = 0; i < q->own_count; i++)
        if (q->own[i]->is_infinite && lock_covers(q->own[i], path))
            return true;
    return false;
}

static void ask_below(struct question *q, struct span path)
{
    const struct list *table = &q->locks->table;

    if (own_covers_below(q, path))
        return;
    for (struct list *node = table->next; !q->enough && node != table; node = node->next) {
        const struct kept_lock *k = container_of(node, struct kept_lock, in_table);
        if (lock_is_below(k->lock.path, path) && locks_is_first(q->locks, k) &&
            !own_covers(q, k->lock.path))
            block(q, k->lock.path);
    }
}

static void ask_for(struct question *q, const struct lock_claim *claim)
{
    struct span parent = lock_parent(claim->path);

    if (claim->touch & TOUCH_STATE)
        ask(q, claim->path);
    if (claim->touch & TOUCH_NAME && parent.data)
        ask(q, parent);
    if (claim->touch & TOUCH_BELOW)
        ask_below(q, claim->path);
}

/* Whether one of them takes along what the other one works in. */
static bool are_apart(const struct lock_claim *a, const struct lock_claim *b)
{
    if (!(a->touch & b->touch & TOUCH_BELOW) || !((a->touch | b->touch) & TOUCH_MOVED))
        return true;
    return !span_equal(a->path, b->path) && !lock_is_below(a->path, b->path) &&
           !lock_is_below(b->path, a->path);
}

static bool is_apart(const struct locks *locks, const struct lock_claim *claim)
{
    for (struct list *node = locks->claims.next; node != &locks->claims; node = node->next)
        if (!are_apart(container_of(node, struct lock_claim, link), claim))
            return false;
    return true;
}

int locks_claim(struct locks *locks, struct lock_claim *claims, unsigned count,
                const struct lock_shown *shown, bool only_ask, uint64_t now_ms, struct buf *blocked)
{
    struct question q = {.locks = locks, .shown = shown, .blocked = blocked};

    locks_enter(locks, now_ms);
    if (locks->count > 0) {
        find_own(&q);
        for (unsigned i = 0; i < count; i++)
            ask_for(&q, &claims[i]);
    }
    int r = q.is_blocked ? 423 : 0;
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = is_apart(locks, &claims[i]) ? 0 : -EEXIST;
    for (unsigned i = 0; r == 0 && !only_ask && i < count; i++)
        list_append(&locks->claims, &claims[i].link);
    locks_leave(locks);
    return r;
}

/* Ends the locks of a path, or of what is below it, or both. Returns whether there were any. */
static bool end(struct locks *locks, struct span path, bool itself, bool below)
{
    bool any = false;

    for (struct list *node = locks->table.next, *after; node != &locks->table; node = after) {
        struct kept_lock *k = container_of(node, struct kept_lock, in_table);
        after = node->next;
        if ((itself && span_equal(k->lock.path, path)) ||
            (below && lock_is_below(k->lock.path, path))) {
            locks_remove(locks, k);
            locks->version++;
            any = true;
        }
    }
    return any;
}

bool locks_unclaim(struct locks *locks, struct lock_claim *claims, unsigned count, bool done)
{
    bool any = false;

    pthread_mutex_lock(&locks->mutex);
    for (unsigned i = 0; i < count; i++) {
        unsigned touch = done ? claims[i].touch & (TOUCH_BELOW | TOUCH_GONE) : 0;
        list_remove(&claims[i].link);
        if (touch)
            any |= end(locks, claims[i].path, touch & TOUCH_GONE, touch & TOUCH_BELOW);
    }
    locks_leave(locks);
    return any;
}

void locks_list(struct locks *locks, struct span path, struct buf *out)
{
    pthread_mutex_lock(&locks->mutex);
    for (struct list *node = locks->table.next; node != &locks->table; node = node->next) {
        const struct kept_lock *k = container_of(node, struct kept_lock, in_table);
        if ((span_equal(k->lock.path, path) || lock_is_below(k->lock.path, path)) &&
            locks_is_first(locks, k)) {
            buf_append(out, k->lock.path);
            buf_append_char(out, '\0');
        }
    }
    locks_leave(locks);
}

bool locks_forget(struct locks *locks, struct span path)
{
    pthread_mutex_lock(&locks->mutex);
    bool any = end(locks, path, true, false);
    locks_leave(locks);
    return any;
}
