/* Reading a folder: what is in it that can be asked for, sorted.
 *
 * Only regular files and folders are listed; a symbolic link as what it leads to, as long as that
 * is below the root, resolved by the same rules as every path (files/root.h). What no request could
 * fetch is counted and left out: links to nowhere, outside or into what is the server's own, FIFOs,
 * devices, sockets. Names that begin with a dot are there; ".fastfile" is not: it is the server's.
 *
 * All of the work is done by helper threads, in slices of FOLDER_SLICE_MS: so no large folder keeps
 * a helper from others for long, and a cancelled request ends with its slice.
 */
#pragma once

#include "base/arena.h"
#include "files/entry.h"
#include "rt/offload.h"

enum { FOLDER_SLICE_MS = 10 };

enum folder_sort {
    FOLDER_BY_NAME, /* natural order: "file2" before "File10" */
    FOLDER_BY_SIZE,
    FOLDER_BY_TIME,
};

struct folder_options {
    enum offload_lane lane;
    int root_fd;      /* O_PATH: links are resolved below it */
    struct span path; /* of this folder: decoded, relative to the root, "" for the root itself */
    enum folder_sort sort;
    bool descending;
    size_t entries_max; /* 0: LIMIT_FOLDER_ENTRIES */
    dev_t device;       /* the folder's, for `watchable` */
};

struct folder {
    size_t count; /* folders + files */
    size_t folders, files;
    size_t left_out;      /* entries that are there and not listed, without ".fastfile" */
    uint64_t total_bytes; /* of the files listed */
    bool has_own;         /* ".fastfile" is there, with uploads perhaps (upload_folder.h) */
    int64_t leftover_s;   /* ctime of the oldest leftover (leftovers.h); INT64_MAX: there is none */
    struct timespec
        before; /* CLOCK_REALTIME_COARSE, which time stamps are taken from, before it was read */

    /* For folder_cache.c: whether a watch on the folder (files/changes.h) tells of every change of
     * what is listed, but for the times of subfolders. So there is no link in it, no file with
     * another name, nothing of another file system, nothing that could not be looked at, and all
     * has rested. */
    bool watchable;
    size_t memory_bytes; /* all that it holds */

    /* For folder.c: the entries as they were read, their numbers in the order asked for (NULL: as
     * they were found), and the memory that holds these and the names. */
    unsigned users;
    struct folder_entry *entries;
    size_t capacity;
    uint32_t *order;
    struct arena names;
};

/* Reads the open folder `dir_fd` from its beginning (its file position moves). Folders come first,
 * then files; entries that are equal in size or time stand in the order of their names, ascending.
 * Returns 0, -EFBIG (more entries than entries_max, or than fit into LIMIT_FOLDER_BYTES), the
 * reason of a cancellation, or another -errno. The folder is given back with folder_free(). */
int folder_read(struct task *t, int dir_fd, const struct folder_options *o,
                struct folder **ret_folder);

/* Entry number `i` in the order asked for; it lives as long as the folder. */
const struct folder_entry *folder_at(const struct folder *folder, size_t i);

/* One more who gives it back; all on one loop. */
struct folder *folder_share(struct folder *folder);

/* NULL is allowed. */
void folder_free(const struct folder *folder);

/* A folder that is filled entry by entry, in no other order. `before` is as in struct folder. NULL:
 * no memory. */
struct folder *folder_create(const struct timespec *before);

/* Adds a copy. Returns 0, -EFBIG (the folder would hold more than `bytes_max`), or -ENOMEM. */
int folder_add(struct folder *folder, const struct folder_entry *entry, size_t bytes_max);

/* Gives back what it has too much: nothing will be added. */
void folder_settle(struct folder *folder);

/* Whether the subfolders, looked at again in the open folder, are and look as they were. */
bool folder_subfolders_hold(const struct folder *folder, int dir_fd, dev_t device);

/* The key by which names are compared: memcmp() of two keys, the shorter one first where one begins
 * with the other, is natural order without regard to ASCII case. Numbers compare by value, of any
 * length, leading zeros ignored. Writes at most FOLDER_KEY_FACTOR × name.len bytes; returns how
 * many. */
enum { FOLDER_KEY_FACTOR = 3 };
size_t folder_name_key(struct span name, unsigned char *out);
