#include "files/scan.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/xattrs.h"

struct half {
    struct scan_batch batch;
    struct folder_entry entries[SCAN_ENTRIES];
    struct span attributes[SCAN_ENTRIES]; /* in this: */
    struct buf attribute_bytes;           /* which never grows */
};

/* There is never more than one helper at work, which goes on where the last one has stopped. */
struct scan {
    struct entry_source source;
    enum offload_lane lane;
    bool running;
    bool attributes;
    unsigned half; /* that the helper fills; the other one is the caller's */
    struct offload_aside aside;
    struct half halves[2];
    /* A batch's names are all in one of these. What the helper does not find in that of the
     * caller's batch, it reads into the other one. */
    unsigned dents_used;
    size_t dents_at, dents_end;
    char dents[2][SCAN_DENTS_BYTES];
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether there is room for one entry more. */
static bool has_room(const struct scan *s, const struct half *h)
{
    return h->batch.count < SCAN_ENTRIES &&
           (!s->attributes || h->attribute_bytes.len + LIMIT_DEAD_BYTES <= SCAN_ATTRIBUTE_BYTES);
}

/* Of the last entry. What cannot be read has none, nor has a file of which another program has a
 * lease (fcntl(2)): that is -EAGAIN. */
static int take_attribute(struct scan *s, struct half *h)
{
    struct buf *b = &h->attribute_bytes;
    struct span *attribute = &h->attributes[h->batch.count - 1];
    _cleanup_close_ int fd = entry_open(&s->source, &h->entries[h->batch.count - 1]);
    size_t start = b->len;

    *attribute = SPAN("");
    if (fd < 0)
        return fd != -EAGAIN && entry_is_shortage(fd) ? fd : 0;
    int r = xattrs_get_own(fd, b);
    if (r == 0 && b->len > start)
        *attribute = span_of(b->data + start, b->len - start);
    return entry_is_shortage(r) ? r : 0;
}

/* Returns 0 or the -errno of a shortage. */
static int take_entry(struct scan *s, struct half *h, const struct dirent64 *d)
{
    struct span name = span_str(d->d_name);
    struct folder_entry *entry = &h->entries[h->batch.count];

    if (span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")) || root_path_reserved(name))
        return 0;
    int found = entry_look(&s->source, name, d->d_type, entry);
    if (found > 0) {
        h->batch.count++;
        return s->attributes ? take_attribute(s, h) : 0;
    }
    h->batch.watchable &= (entry->flags & ENTRY_WATCHABLE) != 0;
    return entry_is_shortage(found) ? found : 0;
}

static int take_entries(struct scan *s, struct half *h)
{
    int64_t end = now_ms() + SCAN_SLICE_MS;
    int error = 0;

    while (error == 0 && s->dents_at < s->dents_end && has_room(s, h)) {
        const struct dirent64 *d = (const void *)(s->dents[s->dents_used] + s->dents_at);
        s->dents_at += d->d_reclen;
        error = take_entry(s, h, d);
        if (now_ms() >= end)
            break;
    }
    return error;
}

/* On a helper thread: one batch. */
static int read_batch(void *arg)
{
    struct scan *s = arg;
    struct half *h = &s->halves[s->half];

    clock_gettime(CLOCK_REALTIME_COARSE, &s->source.now);
    h->batch = (struct scan_batch){
        .entries = h->entries,
        .attributes = s->attributes ? h->attributes : NULL,
        .before = s->source.now,
        .watchable = true,
    };
    h->attribute_bytes.len = 0;
    if (s->dents_at == s->dents_end) {
        s->dents_used ^= 1;
        ssize_t bytes = getdents64(s->source.dir_fd, s->dents[s->dents_used], SCAN_DENTS_BYTES);
        if (bytes < 0)
            return -errno;
        s->dents_at = 0;
        s->dents_end = (size_t)bytes;
        h->batch.is_last = bytes == 0;
    }
    return take_entries(s, h);
}

static void start(struct task *t, struct scan *s)
{
    s->running = true;
    offload_begin(t, &s->aside, s->lane, read_batch, s);
}

/* Attributes are read to where they stay. */
static int make_room(struct scan *s)
{
    for (int i = 0; i < 2; i++) {
        buf_init_growing(&s->halves[i].attribute_bytes, SCAN_ATTRIBUTE_BYTES);
        if (s->attributes)
            buf_reserve(&s->halves[i].attribute_bytes, SCAN_ATTRIBUTE_BYTES);
    }
    return buf_failed(&s->halves[0].attribute_bytes) || buf_failed(&s->halves[1].attribute_bytes)
               ? -ENOMEM
               : 0;
}

static void free_scan(struct scan *s)
{
    for (int i = 0; i < 2; i++)
        buf_finish(&s->halves[i].attribute_bytes);
    free(s);
}

int scan_create(struct task *t, const struct scan_options *o, struct scan **ret_scan)
{
    if (lseek(o->dir->fd, 0, SEEK_SET) < 0)
        return -errno;
    struct scan *s = malloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->attributes = o->attributes;
    if (make_room(s) < 0) {
        free_scan(s);
        return -ENOMEM;
    }
    s->source.root_fd = o->root->fd;
    s->source.dir_fd = o->dir->fd;
    s->source.device = o->dir->st.st_dev;
    s->source.mask = o->mask;
    entry_source_init(&s->source, o->path);
    s->lane = o->dir->lane;
    s->half = 0;
    s->dents_used = 0;
    s->dents_at = s->dents_end = 0;
    start(t, s);
    *ret_scan = s;
    return 0;
}

int scan_next(struct task *t, struct scan *s, struct scan_batch *ret_batch)
{
    assert(s->running);
    s->running = false;
    int r = offload_await(t, &s->aside);
    if (r == 0)
        r = task_cancelled(t);
    if (r < 0)
        return r;
    *ret_batch = s->halves[s->half].batch;
    s->half ^= 1;
    if (!ret_batch->is_last)
        start(t, s);
    return 0;
}

void scan_destroy(struct task *t, struct scan *s)
{
    if (!s)
        return;
    if (s->running)
        offload_await(t, &s->aside);
    free_scan(s);
}
