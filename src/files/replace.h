/* Giving something another name, whatever has that name now: the end of MOVE and COPY.
 *
 * At every moment both are there under some name, so that a crash costs neither. A folder that is
 * replaced is not deleted here, which may take long: it is set aside under a name of the server's
 * own.
 *
 * All of it may wait for a disk: for helper threads.
 */
#pragma once

#include "files/place.h"
#include "files/temporary.h"

struct replacement {
    bool created; /* nothing had the name */

    /* What had the name: a folder that is not empty, set aside. */
    int aside_fd; /* of the folder that it is in: that of `from`; -1: none */
    char aside_name[TEMPORARY_NAME_BYTES];
};

/* Renames `from` to `to`, on one file system; under the locks of both names. Returns 0, 412 where
 * something has the name and must not be replaced, or -errno: -EXDEV, -EINVAL (into itself). */
int replace_name(const struct place *from, const struct place *to, bool overwrite,
                 struct replacement *ret_replacement);

/* Puts back what was set aside. Returns 0 or -errno. */
int replace_undo(const struct place *from, const struct place *to, const struct replacement *r);
