/* One entry of a folder, as a request would find it: a symbolic link as what it leads to, as long
 * as that is below the root, resolved by the same rules as every path (files/root.h).
 *
 * Only regular files and folders can be asked for. All of it may wait for a disk: for helpers.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "base/limits.h"
#include "base/span.h"

enum folder_entry_type { FOLDER_ENTRY_FOLDER, FOLDER_ENTRY_FILE };

enum folder_entry_flag {
    ENTRY_IS_LINK = 1 << 0,   /* a symbolic link leads to it */
    ENTRY_ELSEWHERE = 1 << 1, /* on another file system than its folder, or where one is mounted */
    /* A watch on the folder tells of every change of it, but for the times of a subfolder. */
    ENTRY_WATCHABLE = 1 << 2,
};

/* What was not asked for may be 0. */
struct folder_entry {
    struct span name; /* followed by a NUL */
    uint8_t type;     /* enum folder_entry_type */
    uint8_t flags;    /* enum folder_entry_flag; set also where the entry cannot be listed */
    uint16_t mode;    /* its permissions */
    uint32_t mtime_ns, ctime_ns, btime_ns;
    int64_t mtime_s, ctime_s;
    int64_t btime_s; /* ENTRY_NO_BTIME: not known */
    uint64_t size;   /* of files; 0 for folders */
    uint64_t ino;
};

#define ENTRY_NO_BTIME INT64_MIN

/* All that there is in it. */
enum {
    ENTRY_STAT_ALL = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_SIZE | STATX_MTIME |
                     STATX_CTIME | STATX_BTIME | STATX_INO
};

/* A folder whose entries are looked at. */
struct entry_source {
    int root_fd;         /* O_PATH: links are resolved below it */
    int dir_fd;          /* of the folder */
    dev_t device;        /* the folder's */
    unsigned mask;       /* STATX_…; 0: the names and types that the folder has will do */
    struct timespec now; /* CLOCK_REALTIME_COARSE, from before */

    /* for entry.c */
    size_t path_len; /* of the folder, with its slash; names of links are put behind it */
    char path[LIMIT_PATH_BYTES];
};

/* `path` is the folder's: decoded, relative to the root, "" for the root itself. */
void entry_source_init(struct entry_source *s, struct span path);

/* Looks at the entry `name`, of which getdents64(2) says that it is a `kind` (DT_…). Returns 1 with
 * an entry that can be asked for (its name is `name` itself), 0 where it cannot, -ENOENT where it
 * is gone, or the -errno of a shortage (entry_is_shortage()). */
int entry_look(struct entry_source *s, struct span name, unsigned char kind,
               struct folder_entry *ret_entry);

/* The same for what is open as `fd`; its name is "". Returns 0 or -errno. */
int entry_look_at(int fd, unsigned mask, struct folder_entry *ret_entry);

/* Opens what entry_look() has found, for reading. Returns a descriptor or -errno. */
int entry_open(struct entry_source *s, const struct folder_entry *entry);

/* Says nothing about an entry, which would be missing only because we are short of something. */
bool entry_is_shortage(int error);

/* When an entry that is no link was last changed. Returns 0 or -errno. */
int entry_ctime(int dir_fd, const char *name, int64_t *ret_s);

/* Whether a subfolder is and looks as it was. */
bool entry_folder_holds(const struct folder_entry *entry, int dir_fd, dev_t device);

/* What etag_format() has to know. */
void folder_entry_stat(const struct folder_entry *entry, struct stat *ret_stat);

/* Whether what has this ctime was not changed in the two seconds before `now`. Who changes a file
 * mostly goes on with it; and no change of it can be without a new ctime (files/etag.h). */
bool folder_has_rested(int64_t ctime_s, const struct timespec *now);
