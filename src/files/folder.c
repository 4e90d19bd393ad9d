#include "files/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "files/folder_sort.h"
#include "rt/offload.h"

enum {
    DENTS_BYTES = 64 * 1024,
    FIRST_ENTRIES = 64,
    MORE = 1, /* a step's result: there is another one to do */
};

_Static_assert((uint64_t)LIMIT_FOLDER_ENTRIES *(sizeof(struct folder_entry) +
                                                2 * sizeof(struct folder_sort_item)) <=
                   LIMIT_FOLDER_BYTES / 2,
               "half of the memory holds the tables, the other half names and keys");

/* What the helper threads work on, one after the other, never two at once. */
struct reader {
    int dir_fd;
    const struct folder_options *o;
    size_t entries_max;
    struct folder *folder;
    size_t capacity; /* of folder->entries and of items */
    bool sorting;
    struct folder_sort_item *items;
    struct folder_sorter sorter;
    struct arena keys;
    char *dents;
    size_t dents_at, dents_end;
    size_t path_len; /* of the folder, with its slash; names of links are put behind it */
    char path[LIMIT_PATH_BYTES];
    unsigned char key[FOLDER_KEY_FACTOR * LIMIT_PATH_BYTES];
};

/* --- one entry --- */

enum { STAT_MASK = STATX_TYPE | STATX_SIZE | STATX_MTIME | STATX_CTIME | STATX_INO };

/* Neither follows a link nor leaves the folder: the kernel puts no slash into an entry's name.
 * AT_EMPTY_PATH changes nothing for a name that is not empty; home's system call filter wants it.
 */
static int stat_name(int dir_fd, const char *name, struct statx *ret_st)
{
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

    return statx(dir_fd, name, flags, STAT_MASK, ret_st) < 0 ? -errno : 0;
}

/* What a link leads to, found from the root as a request would find it. Why it leads nowhere is all
 * one to the caller. */
static int stat_target(struct reader *r, struct span name, struct statx *ret_st)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};

    memcpy(r->path + r->path_len, name.data, name.len);
    r->path[r->path_len + name.len] = '\0';
    _cleanup_close_ int fd = (int)syscall(SYS_openat2, r->o->root_fd, r->path, &how, sizeof(how));
    if (fd < 0)
        return -ENOENT;
    return statx(fd, "", AT_EMPTY_PATH, STAT_MASK, ret_st) == 0 ? 0 : -EIO;
}

static bool is_kind(const struct statx *st, unsigned kind)
{
    return (st->stx_mode & S_IFMT) == kind;
}

/* Returns 1 with a state that can be listed, 0 where it cannot, -ENOENT where the entry is gone. */
static int examine(struct reader *r, struct span name, unsigned char kind, struct statx *ret_st)
{
    bool link = kind == DT_LNK;

    if (kind != DT_REG && kind != DT_DIR && kind != DT_LNK && kind != DT_UNKNOWN)
        return 0;
    if (!link) {
        int error = stat_name(r->dir_fd, name.data, ret_st);
        if (error < 0)
            return error == -ENOENT ? error : 0;
        link = is_kind(ret_st, S_IFLNK);
    }
    if (link && stat_target(r, name, ret_st) < 0)
        return 0;
    return is_kind(ret_st, S_IFREG) || is_kind(ret_st, S_IFDIR);
}

static bool has_address(const struct reader *r, struct span name)
{
    if (r->path_len + name.len >= LIMIT_PATH_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == 0x7f)
            return false;
    return name.len > 0;
}

/* Makes room for one more entry. */
static int grow(struct reader *r)
{
    struct folder *f = r->folder;

    if (f->count < r->capacity)
        return 0;
    if (f->count >= r->entries_max)
        return -EFBIG;
    size_t capacity = r->capacity ? 2 * r->capacity : FIRST_ENTRIES;
    if (capacity > r->entries_max)
        capacity = r->entries_max;
    struct folder_entry *entries = reallocarray(f->entries, capacity, sizeof(*entries));
    if (!entries)
        return -ENOMEM;
    f->entries = entries;
    struct folder_sort_item *items = reallocarray(r->items, capacity, sizeof(*items));
    if (!items)
        return -ENOMEM;
    r->items = items;
    r->capacity = capacity;
    return 0;
}

static int add_entry(struct reader *r, struct span name, const struct statx *st)
{
    struct folder *f = r->folder;
    bool is_file = is_kind(st, S_IFREG);

    int error = grow(r);
    if (error < 0)
        return error;
    struct folder_entry *entry = &f->entries[f->count];
    *entry = (struct folder_entry){
        .name = arena_copy(&f->names, name),
        .type = is_file ? FOLDER_ENTRY_FILE : FOLDER_ENTRY_FOLDER,
        .size = is_file ? st->stx_size : 0,
        .mtime_s = st->stx_mtime.tv_sec,
        .mtime_ns = st->stx_mtime.tv_nsec,
        .ctime_s = st->stx_ctime.tv_sec,
        .ctime_ns = st->stx_ctime.tv_nsec,
        .ino = st->stx_ino,
    };
    size_t key_len = folder_name_key(name, r->key);
    struct span key = arena_copy(&r->keys, span_of(r->key, key_len));
    if (!entry->name.data || !key.data)
        return -EFBIG;
    r->items[f->count] = (struct folder_sort_item){.key = key.data,
                                                   .key_len = (uint16_t)key_len,
                                                   .index = (uint32_t)f->count,
                                                   .is_file = is_file};
    f->count++;
    f->folders += !is_file;
    f->files += is_file;
    f->total_bytes += entry->size;
    return 0;
}

static int take_entry(struct reader *r, const struct dirent64 *d)
{
    struct span name = span_str(d->d_name);
    struct statx st;

    if (span_equal(name, SPAN(".")) || span_equal(name, SPAN("..")) ||
        span_equal(name, SPAN(".fastfile")))
        return 0;
    int found = has_address(r, name) ? examine(r, name, d->d_type, &st) : 0;
    if (found > 0)
        return add_entry(r, name, &st);
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
        ssize_t bytes = getdents64(r->dir_fd, r->dents, DENTS_BYTES);
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
    r->dir_fd = dir_fd;
    r->o = o;
    r->entries_max = o->entries_max ? o->entries_max : LIMIT_FOLDER_ENTRIES;
    arena_init(&r->keys, NULL, 0, LIMIT_FOLDER_BYTES / 4);
    if (o->path.len > 0) {
        memcpy(r->path, o->path.data, o->path.len);
        r->path[o->path.len] = '/';
        r->path_len = o->path.len + 1;
    }
    r->dents = malloc(DENTS_BYTES);
    r->folder = calloc(1, sizeof(*r->folder));
    if (r->folder)
        arena_init(&r->folder->names, NULL, 0, LIMIT_FOLDER_BYTES / 4);
    if (!r->dents || !r->folder)
        reader_destroy(&r), r = NULL;
    return r;
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
    *ret_folder = r->folder;
    r->folder = NULL;
    return 0;
}

const struct folder_entry *folder_at(const struct folder *folder, size_t i)
{
    assert(i < folder->count);
    return &folder->entries[folder->order[i]];
}

void folder_entry_stat(const struct folder_entry *entry, struct stat *ret_stat)
{
    *ret_stat = (struct stat){
        .st_ino = entry->ino,
        .st_size = (off_t)entry->size,
        .st_mtim = {entry->mtime_s, entry->mtime_ns},
        .st_ctim = {entry->ctime_s, entry->ctime_ns},
    };
}

void folder_free(struct folder *folder)
{
    if (!folder)
        return;
    arena_finish(&folder->names);
    free(folder->entries);
    free(folder);
}
