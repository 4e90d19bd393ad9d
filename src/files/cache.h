/* Files that were just served stay open for the next request, per ring.
 *
 * Nothing is believed because it was true before: each use compares what the path leads to now (one
 * statx) with the open file, so a change by another program is seen at once, and a file that is
 * gone is gone. Only regular files on the root's own fast file system are kept; with one open,
 * every folder on the way to it stays in the kernel's memory, so that statx does not wait for a
 * disk. A file that nobody asks for is closed after FILE_CACHE_KEEP_MS: a removed one gives its
 * space back, and a disk can be unmounted.
 *
 * Of a small file that is asked for again the bytes are kept too, and the fields that describe it.
 * They are as good as the open file, for a file whose bytes change has a new ctime, once its old
 * one is past the grain of the clock (ETAG_YOUNG_MS). One who writes through a mapping is the
 * exception: the kernel notes such changes late, so the bytes are read anew every
 * FILE_CACHE_KEEP_MS.
 *
 * A file is compared once for all requests of a loop_epoch(). Whoever changes files from this loop
 * ends the epoch, so that a request behind the change sees it.
 */
#pragma once

#include "files/root.h"
#include "rt/loop.h"

enum {
    FILE_CACHE_ENTRIES = 64,     /* a power of two */
    FILE_CACHE_PATH_BYTES = 256, /* longer paths are not kept */
    FILE_CACHE_KEEP_MS = 2 * 1000,
    FILE_CACHE_CONTENT_BYTES = 16 * 1024, /* of files up to this size */
    FILE_CACHE_FIELDS_BYTES = 512,
};

struct cached_file {
    struct file file;
    unsigned users;      /* requests that read from it now */
    bool fresh;          /* used since the timer looked last */
    uint64_t checked;    /* loop_epoch() when it was compared with what the path leads to */
    char *content;       /* or NULL */
    uint16_t path_bytes; /* 0: empty */
    uint16_t fields_bytes;
    char path[FILE_CACHE_PATH_BYTES];
    char fields[FILE_CACHE_FIELDS_BYTES];
};

struct file_cache {
    const struct root *root;
    struct loop *loop;
    struct timer timer;
    struct cached_file entries[FILE_CACHE_ENTRIES];
};

void file_cache_init(struct file_cache *cache, const struct root *root, struct loop *loop);
void file_cache_finish(struct file_cache *cache);

/* As root_open(), perhaps without opening anything. The file is given back with file_cache_close().
 */
int file_cache_open(struct task *t, struct file_cache *cache, struct span path,
                    struct file *ret_file);
void file_cache_close(struct task *t, const struct file *file);

/* Fields of a response that describe a file whose content is remembered: what was kept last, or "".
 */
struct span file_cache_fields(const struct file *file);
void file_cache_keep_fields(struct file *file, struct span fields);
