/* The processes that move things from DIR to the trash outside (files/trashing.h).
 *
 * Children of home, made before home shuts itself in: they see DIR and the trash by one mount, else
 * nothing could be renamed from the one to the other. They open nothing but places below DIR, talk
 * to home alone, in messages of one size, and can do nothing but move to the trash what home could
 * delete anyway, and back to where it was: by a key in the note about it that home is told then.
 * What is covered in home is left alone: home says which inode it means. They end with home.
 */
#pragma once

#include <limits.h>

#include "files/trashing.h"
#include "net/channel.h"

/* Of one process. */
struct trasher {
    int dir_fd;
    struct trash trash;
    char prefix[PATH_MAX]; /* of original paths: of DIR, as the trash wants it, with its slash */
    struct trash_request request;
    char original[PATH_MAX + LIMIT_PATH_BYTES];
};

/* Does what is asked for in its request. Returns 0, TRASH_MISSING, TRASH_ELSEWHERE, or -errno.
 * `ret_item` is set by TRASH_TAKE. */
int trasher_do(struct trasher *t, struct trash_item *ret_item);

/* Starts them, and waits until they have found or made the trash. Before any thread. Sets all but
 * the root of `ret_trashing`. Returns 0 or -errno: why there is no trash. */
int trasher_start(const struct boot *boot, struct trashing *ret_trashing);
