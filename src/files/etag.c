#include "files/etag.h"

#include <pthread.h>
#include <stdatomic.h>

/* States of files that we made, the last ones: after ETAG_YOUNG_MS they need no proof any more. */
enum { OWN_STATES = 256 };

struct own_state {
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};

static struct {
    pthread_mutex_t mutex;
    unsigned next;
    struct own_state states[OWN_STATES];
} own = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* States whose bytes are those of an earlier one, each in its place by its numbers. */
struct kept_state {
    struct own_state now;
    struct timespec shown; /* the ctime of the earlier one */
};

static struct {
    pthread_mutex_t mutex;
    _Atomic int64_t oldest_s; /* no ctime before that was ever remembered */
    struct kept_state states[ETAG_KEPT_STATES];
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER, .oldest_s = INT64_MAX};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static struct own_state state_of(const struct stat *st)
{
    return (struct own_state){st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool same_state(const struct own_state *a, const struct stat *b)
{
    return a->ino == b->st_ino && a->size == b->st_size && same_time(&a->mtime, &b->st_mtim) &&
           same_time(&a->ctime, &b->st_ctim);
}

void etag_note_own(const struct stat *st)
{
    pthread_mutex_lock(&own.mutex);
    own.states[own.next] = state_of(st);
    own.next = (own.next + 1) % OWN_STATES;
    pthread_mutex_unlock(&own.mutex);
}

static bool is_own(const struct stat *st)
{
    bool found = false;

    pthread_mutex_lock(&own.mutex);
    for (unsigned i = 0; i < OWN_STATES && !found; i++)
        found = same_state(&own.states[i], st);
    pthread_mutex_unlock(&own.mutex);
    return found;
}

static struct kept_state *place_of(const struct stat *st)
{
    uint64_t hash = (uint64_t)st->st_ino * 0x9e3779b97f4a7c15u ^ (uint64_t)st->st_ctim.tv_nsec ^
                    (uint64_t)st->st_ctim.tv_sec << 30;

    return &kept.states[hash * 0x9e3779b97f4a7c15u >> 32 & (ETAG_KEPT_STATES - 1)];
}

/* The ctime that its tag has. */
static struct timespec shown_ctime(const struct stat *st)
{
    struct timespec shown = st->st_ctim;

    if (st->st_ctim.tv_sec < atomic_load_explicit(&kept.oldest_s, memory_order_relaxed))
        return shown;
    pthread_mutex_lock(&kept.mutex);
    const struct kept_state *s = place_of(st);
    if (same_state(&s->now, st))
        shown = s->shown;
    pthread_mutex_unlock(&kept.mutex);
    return shown;
}

void etag_keep(const struct stat *before, const struct stat *after, const struct timespec *now)
{
    if (before->st_ino != after->st_ino || before->st_dev != after->st_dev ||
        before->st_size != after->st_size || !same_time(&before->st_mtim, &after->st_mtim) ||
        same_time(&before->st_ctim, &after->st_ctim) || etag_is_young(before, now))
        return;
    struct timespec shown = shown_ctime(before);
    pthread_mutex_lock(&kept.mutex);
    *place_of(after) = (struct kept_state){state_of(after), shown};
    if (after->st_ctim.tv_sec < atomic_load_explicit(&kept.oldest_s, memory_order_relaxed))
        atomic_store_explicit(&kept.oldest_s, after->st_ctim.tv_sec, memory_order_relaxed);
    pthread_mutex_unlock(&kept.mutex);
    /* Whoever writes to it from now on leaves an mtime of now, which this one is not. */
    etag_note_own(after);
}

static int64_t age_ms(const struct timespec *now, const struct timespec *then)
{
    return (now->tv_sec - then->tv_sec) * 1000 + (now->tv_nsec - then->tv_nsec) / 1000000;
}

static char *put_hex(char *at, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    int shift = 60;

    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *at++ = digits[value >> shift & 15];
    return at;
}

bool etag_is_young(const struct stat *st, const struct timespec *now)
{
    /* A ctime in the future (the clock was set back) proves nothing either. */
    int64_t young_ms = st->st_ctim.tv_nsec == 0 ? ETAG_YOUNG_COARSE_MS : ETAG_YOUNG_MS;

    return age_ms(now, &st->st_ctim) < young_ms && !is_own(st);
}

struct span etag_format(const struct stat *st, const struct timespec *now, char out[ETAG_BYTES])
{
    struct timespec ctime = shown_ctime(st);
    char *at = out;

    if (etag_is_young(st, now)) {
        *at++ = 'W';
        *at++ = '/';
    }
    *at++ = '"';
    at = put_hex(at, st->st_ino);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_size);
    *at++ = '-';
    at = put_hex(at, (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec);
    *at++ = '-';
    at = put_hex(at, (uint64_t)ctime.tv_sec * 1000000000u + (uint64_t)ctime.tv_nsec);
    *at++ = '"';
    return span_of(out, (size_t)(at - out));
}
