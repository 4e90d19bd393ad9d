/* Where a name is, or will be: a folder and a name in it. What changes files works on places.
 *
 * All of it may wait for a disk: for helper threads.
 */
#pragma once

#include <limits.h>

#include "files/root.h"

struct place {
    int dir_fd;      /* of the folder; -1: none */
    bool unreadable; /* the folder may be entered and written, not read: dir_fd is O_PATH */
    uint64_t resolve;
    struct stat dir; /* of the folder */
    char name[NAME_MAX + 1];
};

#define PLACE_NONE ((struct place){.dir_fd = -1})

/* Finds the folder that a path below the root is in. A symbolic link at its end is followed: the
 * place is that of what it leads to, which must be below the root too, so that whoever replaces a
 * file replaces what is read under its name. `path` is relative, decoded, not empty, and followed
 * by a NUL; `resolve` is 0 or RESOLVE_NO_XDEV. Returns 0 or -errno: -ENOENT and -ENOTDIR are of the
 * folder, -EACCES also where a link or another name leads to what is the server's own, -EXDEV for a
 * way that leads out of the root, or to another file system with RESOLVE_NO_XDEV, also where that
 * is mounted on the name itself. The place is given back with place_close(). */
int place_open(int root_fd, struct span path, uint64_t resolve, struct place *ret_place);

/* The same, with what has the name: a mode of 0 where nothing has. */
int place_open_look(int root_fd, struct span path, uint64_t resolve, struct place *ret_place,
                    struct stat *ret_stat);

/* The same without following a link at the end: for what is renamed or removed. */
int place_open_link(int root_fd, struct span path, uint64_t resolve, struct place *ret_place);

/* What is there under the name now, not following links. Returns 0 or -errno: -ENOENT, and -EXDEV
 * as place_open() has it: what may not answer is not asked then. */
int place_look(const struct place *place, struct stat *ret_stat);

/* Gives the place's name, which must be free (-EEXIST), to what has another in an open folder.
 * Where the file system does not know RENAME_NOREPLACE, that is so for what others of this server
 * do under the name's lock, not for other programs. Returns 0 or -errno. */
int place_rename(int dir_fd, const char *name, const struct place *place);

/* Makes what was done to names in this folder last. `fd` is any other open file on the same file
 * system, or -1: of use where the folder cannot be read. Returns 0 or -errno. */
int place_sync(const struct place *place, int fd);

void place_close(struct place *place);
