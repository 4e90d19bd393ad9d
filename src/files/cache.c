#include "files/cache.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "files/etag.h"

static void forget(struct cached_file *e)
{
    free(e->content);
    e->content = NULL;
    e->fields_bytes = 0;
}

static void drop(struct cached_file *e)
{
    assert(e->users == 0);
    if (e->path_bytes > 0)
        close(e->file.fd);
    forget(e);
    e->path_bytes = 0;
}

static void timer_expired(struct timer *timer)
{
    struct file_cache *cache = container_of(timer, struct file_cache, timer);
    bool any = false;

    for (size_t i = 0; i < FILE_CACHE_ENTRIES; i++) {
        struct cached_file *e = &cache->entries[i];
        if (e->path_bytes > 0 && e->users == 0 && !e->fresh)
            drop(e);
        if (e->users == 0)
            forget(e); /* also when it is asked for all the time: it is read anew */
        e->fresh = false;
        any |= e->path_bytes > 0;
    }
    if (any)
        timer_set(loop_timers(cache->loop), timer, loop_now_ms(cache->loop) + FILE_CACHE_KEEP_MS);
}

void file_cache_init(struct file_cache *cache, const struct root *root, struct loop *loop)
{
    *cache = (struct file_cache){.root = root, .loop = loop};
    timer_init(&cache->timer, timer_expired);
}

void file_cache_finish(struct file_cache *cache)
{
    timer_stop(loop_timers(cache->loop), &cache->timer);
    for (size_t i = 0; i < FILE_CACHE_ENTRIES; i++)
        drop(&cache->entries[i]);
}

/* FNV-1a: the paths are our own user's, who gains nothing from a collision. */
static struct cached_file *entry_for(struct file_cache *cache, struct span path)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < path.len; i++)
        hash = (hash ^ (unsigned char)path.data[i]) * 16777619u;
    return &cache->entries[(hash ^ hash >> 16) % FILE_CACHE_ENTRIES];
}

static bool same_time(const struct statx_timestamp *now, const struct timespec *then)
{
    return now->tv_sec == then->tv_sec && (long)now->tv_nsec == then->tv_nsec;
}

/* Whether the path still leads to the open file, and the file is as it was. */
static bool holds(const struct root *root, const struct cached_file *e)
{
    const struct stat *st = &e->file.st;
    struct statx now;

    /* AT_EMPTY_PATH has no meaning here: it is what home's system call filter lets pass. */
    return statx(root->fd, e->path, AT_NO_AUTOMOUNT | AT_EMPTY_PATH, STATX_BASIC_STATS, &now) ==
               0 &&
           now.stx_ino == st->st_ino &&
           makedev(now.stx_dev_major, now.stx_dev_minor) == st->st_dev &&
           now.stx_size == (uint64_t)st->st_size && now.stx_mode == st->st_mode &&
           now.stx_nlink == st->st_nlink && same_time(&now.stx_mtime, &st->st_mtim) &&
           same_time(&now.stx_ctime, &st->st_ctim);
}

/* `epoch`: before the file was looked at. */
static void keep(struct file_cache *cache, struct cached_file *e, struct span path,
                 struct file *file, uint64_t epoch)
{
    drop(e);
    e->file = *file;
    e->checked = epoch;
    e->path_bytes = (uint16_t)path.len;
    memcpy(e->path, path.data, path.len);
    e->path[path.len] = '\0';
    e->users = 1;
    e->fresh = true;
    file->cached = e;
    if (!cache->timer.queued)
        timer_set(loop_timers(cache->loop), &cache->timer,
                  loop_now_ms(cache->loop) + FILE_CACHE_KEEP_MS);
}

/* Reads a small file that has rested, and remembers it if it was still as it was. */
static void remember(struct cached_file *e)
{
    size_t size = (size_t)e->file.st.st_size;
    struct stat now;

    if (size == 0 || size > FILE_CACHE_CONTENT_BYTES || etag_is_young(&e->file.st, &e->file.before))
        return;
    char *content = malloc(size);
    struct iovec iov = {content, size};
    if (content && preadv2(e->file.fd, &iov, 1, 0, RWF_NOWAIT) == (ssize_t)size &&
        file_stat(e->file.fd, &now) == 0 && file_same(&now, &e->file.st)) {
        e->content = content;
        return;
    }
    free(content);
}

/* Whether the entry is the file that the path leads to. */
static bool is_current(struct file_cache *cache, struct cached_file *e)
{
    /* Everybody who is being answered in this turn asked before it was compared. */
    if (e->checked == loop_epoch(cache->loop))
        return true;
    clock_gettime(CLOCK_REALTIME_COARSE, &e->file.before);
    if (!holds(cache->root, e))
        return false;
    e->checked = loop_epoch(cache->loop);
    return true;
}

int file_cache_open(struct task *t, struct file_cache *cache, struct span path,
                    struct file *ret_file)
{
    bool fits = path.len > 0 && path.len < FILE_CACHE_PATH_BYTES;
    struct cached_file *e = entry_for(cache, path);

    if (fits && span_equal(span_of(e->path, e->path_bytes), path) && is_current(cache, e)) {
        if (!e->content)
            remember(e);
        e->users++;
        e->fresh = true;
        *ret_file = e->file;
        ret_file->content = e->content;
        ret_file->cached = e;
        return 0;
    }
    uint64_t epoch = loop_epoch(cache->loop);
    int r = root_open(t, cache->root, path, ret_file);
    /* root_open() may have waited, and another request have taken the place. */
    if (r == 0 && fits && e->users == 0 && ret_file->fast && S_ISREG(ret_file->st.st_mode) &&
        ret_file->st.st_dev == cache->root->device)
        keep(cache, e, path, ret_file, epoch);
    return r;
}

void file_cache_close(struct task *t, const struct file *file)
{
    if (file->cached)
        file->cached->users--;
    else
        file_close(t, file);
}

struct span file_cache_fields(const struct file *file)
{
    return file->cached ? span_of(file->cached->fields, file->cached->fields_bytes)
                        : (struct span){0};
}

void file_cache_keep_fields(struct file *file, struct span fields)
{
    struct cached_file *e = file->cached;

    if (!e || fields.len > sizeof(e->fields))
        return;
    memcpy(e->fields, fields.data, fields.len);
    e->fields_bytes = (uint16_t)fields.len;
}
