/* Removing a folder with all that is in it, from the bottom up, as far as it can be removed.
 *
 * What cannot be removed stays, with the folders that it is in, and is told. No link is followed,
 * nothing outside is touched (files/tree.h), and other file systems mounted below are left alone:
 * whoever has mounted them may take them away.
 */
#pragma once

#include "files/copied.h"
#include "files/failures.h"
#include "files/slices.h"
#include "files/tree.h"

struct remover {
    /* set by the caller */
    const char *name;
    const struct copied *copied; /* all else is left, 409; NULL: nothing is */
    struct failures *failures;   /* NULL: nobody wants to know */
    int dir_fd;                  /* of the folder that it is in */
    bool own;                    /* we made it: what stands in the way are modes that we gave */
    bool to_the_end;             /* nobody sees it any more: also for a cancelled task */

    /* result */
    bool left; /* something is still there */

    /* for remove.c */
    bool begun;
    struct tree tree;
};

/* Removes it. Returns 0, -errno, or the reason of a cancellation: then a part of it is there. */
int remove_tree(struct task *t, enum offload_lane lane, struct remover *r);

/* Removes what is no folder if it still looks like `st`. It is looked at once more where nobody
 * else finds it, so that what is removed is what was looked at. Returns 0 or -errno: -EEXIST where
 * it does not. On a helper thread. */
int remove_unchanged(int dir_fd, const char *name, const struct stat *st);
