/* A trash folder, as the freedesktop.org trash specification 1.0 has it: what was deleted lies in
 * "files", and where it was and when it was deleted stands in "info", so that any desktop shows and
 * restores it.
 *
 * All of it may wait for a disk: for helper threads.
 */
#pragma once

#include "files/place.h"

struct trash {
    int files_fd, info_fd; /* -1: none */
    struct stat folder;    /* that they are in */
};

#define TRASH_NONE ((struct trash){.files_fd = -1, .info_fd = -1})

#define TRASH_INFO_ENDING ".trashinfo"

enum {
    TRASH_KEY_BYTES = 16,
    /* The note about it has the same name with an ending. */
    TRASH_NAME_MAX = NAME_MAX - (sizeof(TRASH_INFO_ENDING) - 1),
};

/* What lies in a trash: its name there, and what else the note about it has: when it was put there,
 * and a random key of this deletion, known to nobody but who has deleted it. An inode is no name
 * for it: those of some file systems change when something is renamed, or is not looked at for a
 * while. */
struct trash_item {
    int64_t deleted_s;
    uint8_t key[TRASH_KEY_BYTES];
    char name[TRASH_NAME_MAX + 1];
};

/* No errors, but answers: */
enum {
    TRASH_FOR_GOOD = 1, /* it is in a trash already */
    TRASH_MISSING,      /* the trash does not have this item */
    TRASH_ELSEWHERE,    /* the path leads elsewhere by now */
};

/* Opens the trash folder `name` in an open folder; with `make` what of it is not there is made, for
 * its owner alone. Returns 0 or -errno: -ENOENT, -EPERM where it is not the user's own, -ELOOP
 * where it is a link. */
int trash_open(int dir_fd, const char *name, uid_t owner, bool make, struct trash *ret_trash);

/* Moves what has the place's name to the trash, which is on the same file system; `original` is
 * where it was: an absolute path, or one relative to the top of the trash's file system. If
 * `durable`, that is on the disk before it moves. Under the name's lock. Returns 0 or -errno:
 * -EINVAL where the trash is in it. `ret_item` is how it is found there. */
int trash_take(const struct trash *trash, const struct place *place, struct span original,
               bool durable, struct trash_item *ret_item);

/* Makes the move itself last, but for the folder that it was in. Returns 0 or -errno. */
int trash_sync(const struct trash *trash);

/* Moves it to where it was, a place whose name must be free, under the lock of that. Only what
 * trash_take() has put there with this `original`, as the note says by its key. Returns 0,
 * TRASH_MISSING, or -errno: -EEXIST, -ENOENT where the place's folder is gone. */
int trash_give_back(const struct trash *trash, const struct trash_item *item, struct span original,
                    const struct place *place);

/* When it is back, on the disk too: the note about it goes, if it is the one of this deletion. If
 * `durable`, that lasts. Returns 0, also where there is no such note, or -errno: -EEXIST where
 * something has the name here. */
int trash_forget(const struct trash *trash, const struct trash_item *item, struct span original,
                 bool durable);

void trash_close(struct trash *trash);
