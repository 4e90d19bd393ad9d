/* Reading a folder: what is in it that can be asked for, sorted.
 *
 * Only regular files and folders are listed; a symbolic link as what it leads to, as long as that
 * is below the root, resolved by the same rules as every path (files/root.h). What no request could
 * fetch is counted and left out: names with control bytes, links to nowhere or outside, FIFOs,
 * devices, sockets. Names that begin with a dot are there; ".fastfile" is not: it is the server's.
 *
 * All of the work is done by helper threads, in slices of FOLDER_SLICE_MS: so no large folder keeps
 * a helper from others for long, and a cancelled request ends with its slice.
 */
#pragma once

#include <sys/stat.h>

#include "base/arena.h"
#include "rt/offload.h"

enum { FOLDER_SLICE_MS = 10 };

enum folder_sort {
    FOLDER_BY_NAME, /* natural order: "file2" before "File10" */
    FOLDER_BY_SIZE,
    FOLDER_BY_TIME,
};

enum folder_entry_type { FOLDER_ENTRY_FOLDER, FOLDER_ENTRY_FILE };

struct folder_options {
    enum offload_lane lane;
    int root_fd;      /* O_PATH: links are resolved below it */
    struct span path; /* of this folder: decoded, relative to the root, "" for the root itself */
    enum folder_sort sort;
    bool descending;
    size_t entries_max; /* 0: LIMIT_FOLDER_ENTRIES */
};

struct folder_entry {
    struct span name; /* followed by a NUL */
    enum folder_entry_type type;
    uint32_t mtime_ns, ctime_ns;
    int64_t mtime_s, ctime_s;
    uint64_t size; /* of files; 0 for folders */
    uint64_t ino;
};

struct folder {
    size_t count; /* folders + files */
    size_t folders, files;
    size_t left_out;      /* entries that are there and not listed, without ".fastfile" */
    uint64_t total_bytes; /* of the files listed */

    /* For folder.c: the entries as they were read, their numbers in the order asked for, and the
     * memory that holds these and the names. */
    struct folder_entry *entries;
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

/* What etag_format() needs of a struct stat; nothing else in it is set. */
void folder_entry_stat(const struct folder_entry *entry, struct stat *ret_stat);

/* NULL is allowed. */
void folder_free(struct folder *folder);

/* The key by which names are compared: memcmp() of two keys, the shorter one first where one begins
 * with the other, is natural order without regard to ASCII case. Numbers compare by value, of any
 * length, leading zeros ignored. Writes at most FOLDER_KEY_FACTOR × name.len bytes; returns how
 * many. */
enum { FOLDER_KEY_FACTOR = 3 };
size_t folder_name_key(struct span name, unsigned char *out);
