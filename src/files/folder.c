#include "files/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "files/folder_sort.h"
#include "files/root.h"
#include "files/temporary.h"
#include "rt/offload.h"

enum {
    DENTS_BYTES = 64 * 1024,
    NAMES_BYTES_MAX = LIMIT_FOLDER_BYTES / 4,
    FIRST_ENTRIES = 64,
    MORE = 1, /* a step's result: there is another one to do */
};

_Static_assert((uint64_t)LIMIT_FOLDER_ENTRIES *(sizeof(struct folder_entry) +
                                                2 * sizeof(struct folder_sort_item)) <=
                   LIMIT_FOLDER_BYTES / 2,
               "half of the memory holds the tables, the other half names and keys");

/* What the helper threads work on, one after the other, never two at once. */
struct reader {
    struct entry_source source;
    const struct folder_options *o;
    size_t entries_max;
    struct folder *folder;
    bool sorting;
    struct folder_sort_item *items;
    size_t items_capacity;
    struct folder_sorter sorter;
    struct arena keys;
    char *dents;
    size_t dents_at, dents_end;
    unsigned char key[FOLDER_KEY_FACTOR * LIMIT_PATH_BYTES];
};

/* --- one entry --- */

/* Makes room for one more entry. */
static int grow(struct folder *f, size_t entries_max)
{
    if (f->count < f->capacity)
        return 0;
    if (f->count >= entries_max)
        return -EFBIG;
    size_t capacity = f->capacity ? 2 * f->capacity : FIRST_ENTRIES;
    if (capacity > entries_max)
        capacity = entries_max;
    struct folder_entry *entries = reallocarray(f->entries, capacity, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    f->entries = entries;
    f->capacity = capacity;
    return 0;
}

/* The same for what is sorted with it. */
static int grow_items(struct reader *r)
{
    size_t capacity = r->folder->capacity;

    if (r->items_capacity == capacity)
        return 0;
    struct folder_sort_item *items = reallocarray(r->items, capacity, sizeof(*items));
    if (!items)
        return -ENOMEM;
    r->items = items;
    r->items_capacity = capacity;
    return 0;
}

/* There is room for it. */
static void put_entry(struct folder *f, const struct folder_entry *entry, struct span name)
{
    bool is_file = entry->type == FOLDER_ENTRY_FILE;
    struct folder_entry *place = &f->entries[f->count++];

    *place = *entry;
    place->name = name;
    f->folders += !is_file;
    f->files += is_file;
    f->total_bytes += entry->size;
}

static int add_entry(struct reader *r, const struct folder_entry *entry)
{
    struct folder *f = r->folder;

    int error = grow(f, r->entries_max);
    if (error == 0)
        error = grow_items(r);
    if (error < 0)
        return error;
    size_t key_len = folder_name_key(entry->name, r->key);
    struct span key = arena_copy(&r->keys, span_of(r->key, key_len));
    struct span name = arena_copy(&f->names, entry->name);
    if (!name.data || !key.data)
        return -EFBIG;
    r->items[f->count] = (struct folder_sort_item){.key = key.data,
                                                   .key_len = (uint16_t)key_len,
                                                   .index = (uint32_t)f->count,
                                                   .is_file = entry->type == FOLDER_ENTRY_FILE};
    put_entry(f, entry, name);
    return 0;
}

/* What cannot be looked at is no leftover. */
static void note_leftover(struct reader *r, struct span name)
{
    int64_t ctime_s;

    if (temporary_is_leftover(name) && entry_ctime(r->source.dir_fd, name.data, &ctime_s) == 0 &&
        ctime_s < r->folder->leftover_s)
        r->folder->leftover_s = ctime_s;
}

static int take_entry(struct reader *r, const struct dirent64 *d)
{
    struct span name = span_str(d->d_name);
    struct folder_entry entry;

    if (span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")))
        return 0;
    if (root_path_reserved(name)) {
        r->folder->has_own |= span_equal(name, SPAN(".fastfile"));
        note_leftover(r, name);
        return 0;
    }
    int found = entry_look(&r->source, name, d->d_type, &entry);
    r->folder->watchable &= (entry.flags & ENTRY_WATCHABLE) != 0;
    if (found > 0)
        return add_entry(r, &entry);
    if (entry_is_shortage(found))
        return found;
    r->folder->left_out += found == 0; /* what is gone by now was never there */
    return 0;
}

/* --- the steps of the work --- */

static int begin_sorting(struct reader *r)
{
    struct folder *f = r->folder;

    r->sorting = true;
    if (f->count == 0)
        return 0;
    return folder_sort_begin(&r->sorter, r->items, f, r->o->sort, r->o->descending);
}

static int read_step(struct reader *r)
{
    if (r->dents_at == r->dents_end) {
        ssize_t bytes = getdents64(r->source.dir_fd, r->dents, DENTS_BYTES);
        if (bytes < 0)
            return -errno;
        r->dents_at = 0;
        r->dents_end = (size_t)bytes;
        if (bytes == 0) {
            int error = begin_sorting(r);
            return error < 0 ? error : MORE;
        }
    }
    const struct dirent64 *d = (const void *)(r->dents + r->dents_at);
    r->dents_at += d->d_reclen;
    int error = take_entry(r, d);
    return error < 0 ? error : MORE;
}

static int sort_step(struct reader *r)
{
    struct folder *f = r->folder;

    if (f->count == 0)
        return 0;
    if (folder_sort_step(&r->sorter))
        return MORE;
    f->order = arena_alloc(&f->names, f->count * sizeof(*f->order));
    if (!f->order)
        return -EFBIG;
    for (size_t i = 0; i < f->count; i++)
        f->order[i] = r->sorter.from[i].index;
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* On a helper thread: step by step until the slice is over. */
static int work_slice(void *arg)
{
    struct reader *r = arg;
    int64_t end = now_ms() + FOLDER_SLICE_MS;
    int result;

    do
        result = r->sorting ? sort_step(r) : read_step(r);
    while (result == MORE && now_ms() < end);
    return result;
}

/* --- */

static void reader_destroy(struct reader **r)
{
    if (!*r)
        return;
    folder_sort_finish(&(*r)->sorter);
    folder_free((*r)->folder);
    arena_finish(&(*r)->keys);
    free((*r)->items);
    free((*r)->dents);
    free(*r);
}

static struct reader *reader_create(int dir_fd, const struct folder_options *o)
{
    struct reader *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->o = o;
    r->entries_max = o->entries_max ? o->entries_max : LIMIT_FOLDER_ENTRIES;
    r->source.root_fd = o->root_fd;
    r->source.dir_fd = dir_fd;
    r->source.device = o->device;
    r->source.mask = ENTRY_STAT_ALL;
    clock_gettime(CLOCK_REALTIME_COARSE, &r->source.now);
    entry_source_init(&r->source, o->path);
    arena_init(&r->keys, NULL, 0, LIMIT_FOLDER_BYTES / 4);
    r->dents = malloc(DENTS_BYTES);
    r->folder = folder_create(&r->source.now);
    if (!r->dents || !r->folder)
        reader_destroy(&r), r = NULL;
    return r;
}

/* All that the folder holds. */
static size_t memory_of(const struct folder *f)
{
    return sizeof(*f) + f->capacity * sizeof(*f->entries) + NAMES_BYTES_MAX - f->names.heap_left;
}

void folder_settle(struct folder *f)
{
    struct folder_entry *entries =
        f->count > 0 ? realloc(f->entries, f->count * sizeof(*f->entries)) : NULL;

    if (entries) {
        f->entries = entries;
        f->capacity = f->count;
    }
    f->memory_bytes = memory_of(f);
}

int folder_read(struct task *t, int dir_fd, const struct folder_options *o,
                struct folder **ret_folder)
{
    assert(o->path.len < LIMIT_PATH_BYTES);
    assert(o->entries_max <= LIMIT_FOLDER_ENTRIES);
    if (lseek(dir_fd, 0, SEEK_SET) < 0)
        return -errno;
    _cleanup_(reader_destroy) struct reader *r = reader_create(dir_fd, o);
    if (!r)
        return -ENOMEM;
    int result;
    do
        result = offload(t, o->lane, work_slice, r);
    while (result == MORE);
    if (result < 0)
        return result;
    folder_settle(r->folder);
    *ret_folder = r->folder;
    r->folder = NULL;
    return 0;
}

const struct folder_entry *folder_at(const struct folder *folder, size_t i)
{
    assert(i < folder->count);
    return &folder->entries[folder->order ? folder->order[i] : i];
}

bool folder_subfolders_hold(const struct folder *folder, int dir_fd, dev_t device)
{
    /* In an order that was asked for they come first. */
    size_t end = folder->order ? folder->folders : folder->count;

    for (size_t i = 0; i < end; i++) {
        const struct folder_entry *entry = folder_at(folder, i);
        if (entry->type == FOLDER_ENTRY_FOLDER && !entry_folder_holds(entry, dir_fd, device))
            return false;
    }
    return true;
}

struct folder *folder_create(const struct timespec *before)
{
    struct folder *folder = malloc(sizeof(*folder));

    if (!folder)
        return NULL;
    *folder =
        (struct folder){.before = *before, .watchable = true, .users = 1, .leftover_s = INT64_MAX};
    arena_init(&folder->names, NULL, 0, NAMES_BYTES_MAX);
    folder->memory_bytes = memory_of(folder);
    return folder;
}

int folder_add(struct folder *folder, const struct folder_entry *entry, size_t bytes_max)
{
    int error = grow(folder, LIMIT_FOLDER_ENTRIES);
    if (error < 0)
        return error;
    struct span name = arena_copy(&folder->names, entry->name);
    if (!name.data)
        return -EFBIG;
    put_entry(folder, entry, name);
    folder->watchable &= (entry->flags & ENTRY_WATCHABLE) != 0;
    folder->memory_bytes = memory_of(folder);
    return folder->memory_bytes <= bytes_max ? 0 : -EFBIG;
}

struct folder *folder_share(struct folder *folder)
{
    folder->users++;
    return folder;
}

void folder_free(const struct folder *shared)
{
    struct folder *folder = (struct folder *)shared;

    if (!folder || --folder->users > 0)
        return;
    arena_finish(&folder->names);
    free(folder->entries);
    free(folder);
}
