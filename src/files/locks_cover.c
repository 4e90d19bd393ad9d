/* Paths, and which locks cover them. */
#include "files/locks_inner.h"

struct span lock_parent(struct span path)
{
    size_t len = path.len;

    if (len == 0)
        return (struct span){0};
    while (len > 0 && path.data[len - 1] != '/')
        len--;
    return span_first(path, len > 0 ? len - 1 : 0);
}

bool lock_is_below(struct span path, struct span folder)
{
    if (folder.len == 0)
        return path.len > 0;
    return path.len > folder.len && path.data[folder.len] == '/' && span_starts_with(path, folder);
}

bool lock_note(struct buf *out, struct span path)
{
    unsigned count = 0;

    if (!out)
        return false;
    for (size_t at = 0; at < out->len; count++) {
        struct span noted = span_str(out->data + at);
        if (span_equal(noted, path))
            return true;
        at += noted.len + 1;
    }
    if (count == LIMIT_FAILURES)
        return false;
    char *room = buf_reserve(out, path.len + 1);
    if (!room)
        return false;
    if (path.len > 0)
        memcpy(room, path.data, path.len);
    room[path.len] = '\0';
    out->len += path.len + 1;
    return true;
}

/* FNV-1a's way, but with numbers that nobody knows: names that fall into one place on purpose would
 * make each look-up as long as the table. */
static uint64_t hash_on(const struct locks *locks, uint64_t hash, struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.data[i]) * locks->hash_factor;
    return hash;
}

uint64_t locks_hash(const struct locks *locks, struct span path)
{
    return hash_on(locks, locks->hash_start, path);
}

struct list *locks_bucket(struct locks *locks, uint64_t hash)
{
    return &locks->buckets[(hash ^ hash >> 32) >> 16 & (LOCK_BUCKETS - 1)];
}

bool locks_is_first(struct locks *locks, const struct kept_lock *k)
{
    const struct list *bucket = locks_bucket(locks, k->hash);

    for (const struct list *node = bucket->next;; node = node->next) {
        const struct kept_lock *other = container_of(node, struct kept_lock, in_bucket);
        if (other == k || span_equal(other->lock.path, k->lock.path))
            return other == k;
    }
}

void lock_cover_init(struct lock_cover *c, struct locks *locks, struct span path)
{
    *c = (struct lock_cover){.locks = locks, .path = path, .hash = locks->hash_start};
    c->bucket = c->node = locks_bucket(locks, c->hash);
}

struct kept_lock *lock_cover_next(struct lock_cover *c)
{
    for (;;) {
        struct span folder = span_first(c->path, c->len);
        for (c->node = c->node->next; c->node != c->bucket; c->node = c->node->next) {
            struct kept_lock *k = container_of(c->node, struct kept_lock, in_bucket);
            if (k->hash == c->hash && (k->lock.is_infinite || c->len == c->path.len) &&
                span_equal(k->lock.path, folder))
                return k;
        }
        if (c->len == c->path.len) {
            c->node = c->bucket->prev; /* and again none */
            return NULL;
        }
        do
            c->len++;
        while (c->len < c->path.len && c->path.data[c->len] != '/');
        c->hash =
            hash_on(c->locks, c->hash, span_of(c->path.data + folder.len, c->len - folder.len));
        c->bucket = c->node = locks_bucket(c->locks, c->hash);
    }
}
