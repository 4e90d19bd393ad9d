#include "files/copied.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "files/etag.h"

enum { FIRST_CAPACITY = 256 };

/* --- how fine a time stamp is --- */

/* Nobody tells, but what is coarser than a nanosecond shows. Whole seconds may be those of vfat,
 * which knows every other one only. */
static int64_t grain_ns(const struct timespec *t)
{
    static const long grains[] = {10 * 1000 * 1000, 1000 * 1000, 1000, 100};

    if (t->tv_nsec == 0)
        return 2 * INT64_C(1000000000);
    for (size_t i = 0; i < sizeof(grains) / sizeof(grains[0]); i++)
        if (t->tv_nsec % grains[i] == 0)
            return grains[i];
    return 1;
}

bool copied_rested(const struct copied *c, const struct stat *st)
{
    const struct timespec *t = &st->st_ctim;

    if (t->tv_sec < c->since.tv_sec - 3 || t->tv_sec > c->since.tv_sec)
        return t->tv_sec < c->since.tv_sec;
    int64_t age_ns = (c->since.tv_sec - t->tv_sec) * INT64_C(1000000000) + c->since.tv_nsec;
    return age_ns - t->tv_nsec >= grain_ns(t);
}

uint64_t copied_pause_ms(const struct stat *st)
{
    struct copied now = {0};

    clock_gettime(CLOCK_REALTIME_COARSE, &now.since);
    if (!S_ISDIR(st->st_mode) && copied_rested(&now, st))
        return 0;
    return ETAG_YOUNG_MS + (st->st_ctim.tv_nsec == 0 ? ETAG_YOUNG_COARSE_MS : 0);
}

/* --- marks: 64 bits of each, in a table of which half is free --- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

/* Not the inode's number of a file: vfat and FUSE may give it another one when they have forgotten
 * it. Size and mtime of a folder are of no use, as both change with what is removed from it. */
static uint64_t mark_of(struct span path, const struct stat *st)
{
    uint64_t hash = mix(0, st->st_mode & S_IFMT);

    for (size_t i = 0; i < path.len; i++)
        hash = mix(hash, (unsigned char)path.data[i]);
    if (S_ISDIR(st->st_mode)) {
        hash = mix(hash, st->st_ino);
    } else {
        hash = mix(hash, (uint64_t)st->st_size);
        hash = mix(hash, (uint64_t)st->st_mtim.tv_sec);
        hash = mix(hash, (uint64_t)st->st_mtim.tv_nsec);
    }
    return hash ? hash : 1;
}

/* Where a mark is, or would be. */
static uint64_t *find(uint64_t *marks, size_t capacity, uint64_t mark)
{
    size_t at = (size_t)mark & (capacity - 1);

    while (marks[at] != 0 && marks[at] != mark)
        at = (at + 1) & (capacity - 1);
    return &marks[at];
}

static int grow(struct copied *c)
{
    size_t capacity = c->capacity ? 2 * c->capacity : FIRST_CAPACITY;
    uint64_t *marks = calloc(capacity, sizeof(*marks));

    if (!marks)
        return -ENOMEM;
    for (size_t i = 0; i < c->capacity; i++)
        if (c->marks[i] != 0)
            *find(marks, capacity, c->marks[i]) = c->marks[i];
    free(c->marks);
    c->marks = marks;
    c->capacity = capacity;
    return 0;
}

int copied_add(struct copied *c, struct span path, const struct stat *st)
{
    uint64_t mark = mark_of(path, st);

    if (c->count == LIMIT_COPIED_ENTRIES)
        return -EFBIG;
    int r = 2 * (c->count + 1) > c->capacity ? grow(c) : 0;
    if (r < 0)
        return r;
    uint64_t *slot = find(c->marks, c->capacity, mark);
    c->count += *slot == 0;
    *slot = mark;
    return 0;
}

bool copied_has(const struct copied *c, struct span path, const struct stat *st)
{
    bool rested = copied_rested(c, st);

    /* A folder that was renamed since, or came from elsewhere, has a ctime of then. */
    if (S_ISDIR(st->st_mode) && rested)
        return true;
    if (!S_ISDIR(st->st_mode) && !rested)
        return false;
    return c->capacity > 0 && *find(c->marks, c->capacity, mark_of(path, st)) != 0;
}

void copied_finish(struct copied *c)
{
    free(c->marks);
    *c = (struct copied){0};
}
