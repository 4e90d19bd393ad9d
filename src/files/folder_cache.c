#include "files/folder_cache.h"

#include <assert.h>

static void drop(struct folder_cache *cache, struct kept_folder *kept)
{
    if (!kept->folder)
        return;
    cache->bytes -= kept->folder->memory_bytes;
    folder_free(kept->folder);
    kept->folder = NULL;
}

/* Forgets the folder in all its orders. */
static void drop_folder(struct folder_cache *cache, ino_t ino)
{
    for (size_t i = 0; i < FOLDER_CACHE_ENTRIES; i++)
        if (cache->kept[i].ino == ino)
            drop(cache, &cache->kept[i]);
    for (struct list *node = cache->readings.next; node != &cache->readings; node = node->next) {
        struct folder_reading *reading = container_of(node, struct folder_reading, link);
        reading->spoilt |= reading->ino == ino;
    }
}

static void drop_all(struct folder_cache *cache)
{
    for (size_t i = 0; i < FOLDER_CACHE_ENTRIES; i++)
        drop(cache, &cache->kept[i]);
    for (struct list *node = cache->readings.next; node != &cache->readings; node = node->next)
        container_of(node, struct folder_reading, link)->spoilt = true;
    if (cache->watches > 0)
        changes_unwatch_all(&cache->changes);
    cache->watches = 0;
}

static void timer_expired(struct timer *timer)
{
    drop_all(container_of(timer, struct folder_cache, timer));
}

void folder_cache_init(struct folder_cache *cache, const struct root *root, struct loop *loop)
{
    *cache = (struct folder_cache){
        .root = root, .loop = loop, .changes.fd = -1, .bytes_max = FOLDER_CACHE_BYTES};
    list_init(&cache->readings);
    timer_init(&cache->timer, timer_expired);
    if (root->fast)
        changes_init(&cache->changes);
}

void folder_cache_finish(struct folder_cache *cache)
{
    assert(list_empty(&cache->readings));
    timer_stop(loop_timers(cache->loop), &cache->timer);
    drop_all(cache);
    changes_finish(&cache->changes);
}

/* After this everything that is kept is as it was when this was called. */
static void catch_up(struct folder_cache *cache)
{
    if (changes_seen(&cache->changes) ||
        (cache->watches > 0 && loop_now_ms(cache->loop) >= cache->expires_ms))
        drop_all(cache);
}

/* `o` is NULL for what is kept as it was found. */
static struct kept_folder *find(struct folder_cache *cache, ino_t ino,
                                const struct folder_options *o)
{
    for (size_t i = 0; i < FOLDER_CACHE_ENTRIES; i++) {
        struct kept_folder *kept = &cache->kept[i];
        if (kept->folder && kept->ino == ino && kept->as_found == !o &&
            (!o || (kept->sort == o->sort && kept->descending == o->descending)))
            return kept;
    }
    return NULL;
}

/* The one that was not used for longest; an empty place where nothing is kept. */
static struct kept_folder *oldest(struct folder_cache *cache)
{
    struct kept_folder *best = &cache->kept[0];

    for (size_t i = 1; i < FOLDER_CACHE_ENTRIES; i++) {
        struct kept_folder *kept = &cache->kept[i];
        if (kept->folder && (!best->folder || kept->used < best->used))
            best = kept;
    }
    return best;
}

static struct kept_folder *make_place(struct folder_cache *cache, size_t bytes)
{
    while (cache->bytes + bytes > cache->bytes_max)
        drop(cache, oldest(cache));
    for (size_t i = 0; i < FOLDER_CACHE_ENTRIES; i++)
        if (!cache->kept[i].folder)
            return &cache->kept[i];
    struct kept_folder *kept = oldest(cache);
    drop(cache, kept);
    return kept;
}

static void keep(struct folder_cache *cache, ino_t ino, const struct folder_options *o,
                 struct folder *folder)
{
    /* Somebody else may have read the same one meanwhile. */
    struct kept_folder *same = find(cache, ino, o);

    if (same) {
        drop(cache, same);
        cache->watches--; /* one mark for both */
    }
    *make_place(cache, folder->memory_bytes) = (struct kept_folder){
        .folder = folder_share(folder),
        .ino = ino,
        .as_found = !o,
        .sort = o ? o->sort : FOLDER_BY_NAME,
        .descending = o && o->descending,
        .used = ++cache->uses,
    };
    cache->bytes += folder->memory_bytes;
}

static bool is_keepable(const struct folder_cache *cache, const struct folder *folder)
{
    return folder->watchable && folder->folders <= FOLDER_CACHE_SUBFOLDERS &&
           folder->memory_bytes <= cache->bytes_max;
}

/* From now on its changes are noticed. */
static bool begin_reading(struct folder_cache *cache, const struct file *dir,
                          struct folder_reading *reading)
{
    if (cache->watches >= FOLDER_CACHE_WATCHES || changes_watch(&cache->changes, dir->fd) < 0)
        return false;
    if (cache->watches == 0) {
        cache->expires_ms = loop_now_ms(cache->loop) + FOLDER_CACHE_KEEP_MS;
        timer_set(loop_timers(cache->loop), &cache->timer, cache->expires_ms);
    }
    cache->watches++;
    *reading = (struct folder_reading){.ino = dir->st.st_ino};
    list_append(&cache->readings, &reading->link);
    return true;
}

/* Whatever has changed since it began has been noticed. `folder` is NULL where it could not be
 * read.
 */
static void end_reading(struct folder_cache *cache, const struct file *dir,
                        struct folder_reading *reading, const struct folder_options *o,
                        struct folder *folder)
{
    catch_up(cache);
    list_remove(&reading->link);
    if (reading->spoilt)
        return;
    if (folder && is_keepable(cache, folder)) {
        keep(cache, reading->ino, o, folder);
        return;
    }
    /* Its changes shall not cost others what is kept of theirs. In another order it may be kept or
     * about to be: nobody would hear of its changes. */
    drop_folder(cache, reading->ino);
    changes_unwatch(&cache->changes, dir->fd);
    cache->watches--;
}

static bool may_keep(const struct folder_cache *cache, const struct file *dir)
{
    return cache->changes.fd >= 0 && dir->lane == OFFLOAD_FAST &&
           dir->st.st_dev == cache->root->device &&
           folder_has_rested(dir->st.st_ctim.tv_sec, &dir->before);
}

static bool is_true(const struct kept_folder *kept, const struct file *dir)
{
    return kept && folder_subfolders_hold(kept->folder, dir->fd, dir->st.st_dev);
}

static struct folder *share(struct folder_cache *cache, struct kept_folder *kept)
{
    kept->used = ++cache->uses;
    return folder_share(kept->folder);
}

int folder_cache_read(struct task *t, struct folder_cache *cache, const struct file *dir,
                      const struct folder_options *o, const struct folder **ret_folder)
{
    struct folder_options options = *o;
    struct folder_reading reading;
    struct folder *folder;

    options.lane = dir->lane;
    options.root_fd = cache->root->fd;
    options.device = dir->st.st_dev;
    bool keeping = may_keep(cache, dir);
    if (keeping) {
        catch_up(cache);
        struct kept_folder *kept = find(cache, dir->st.st_ino, o);
        if (is_true(kept, dir)) {
            *ret_folder = share(cache, kept);
            return 0;
        }
        keeping = begin_reading(cache, dir, &reading);
    }
    int r = folder_read(t, dir->fd, &options, &folder);
    if (keeping)
        end_reading(cache, dir, &reading, &options, r == 0 ? folder : NULL);
    if (r == 0)
        *ret_folder = folder;
    return r;
}

const struct folder *folder_cache_find(struct folder_cache *cache, const struct file *dir)
{
    if (!may_keep(cache, dir))
        return NULL;
    catch_up(cache);
    for (size_t i = 0; i < FOLDER_CACHE_ENTRIES; i++) {
        struct kept_folder *kept = &cache->kept[i];
        if (kept->folder && kept->ino == dir->st.st_ino)
            return is_true(kept, dir) ? share(cache, kept) : NULL;
    }
    return NULL;
}

/* --- what others have read --- */

bool folder_cache_offer(struct folder_cache *cache, const struct file *dir,
                        struct folder_offer *ret_offer)
{
    /* On a disk entries take no more than they will in memory, mostly a third of it: what is too
     * large is not collected only to be thrown away. */
    if (cache->has_offer || !may_keep(cache, dir) || (size_t)dir->st.st_size > cache->bytes_max / 2)
        return false;
    catch_up(cache);
    struct folder *folder = folder_create(&dir->before);
    if (!folder)
        return false;
    if (!begin_reading(cache, dir, &ret_offer->reading)) {
        folder_free(folder);
        return false;
    }
    cache->has_offer = true;
    ret_offer->cache = cache;
    ret_offer->folder = folder;
    return true;
}

void folder_cache_spoil(struct folder_offer *offer)
{
    folder_free(offer->folder);
    offer->folder = NULL;
}

void folder_cache_add(struct folder_offer *offer, const struct folder_entry *entry)
{
    if (offer->folder && (folder_add(offer->folder, entry, offer->cache->bytes_max) < 0 ||
                          !is_keepable(offer->cache, offer->folder)))
        folder_cache_spoil(offer);
}

void folder_cache_end(struct folder_offer *offer, const struct file *dir, bool complete)
{
    if (!offer->cache)
        return;
    if (offer->folder && complete)
        folder_settle(offer->folder);
    end_reading(offer->cache, dir, &offer->reading, NULL, complete ? offer->folder : NULL);
    offer->cache->has_offer = false;
    folder_cache_spoil(offer);
    offer->cache = NULL;
}
