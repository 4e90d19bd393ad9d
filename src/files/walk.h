/* Walking through a folder and all below it, one step at a time.
 *
 * Depth first; of each folder what is not a folder comes before its folders, in the order in which
 * the file system has them. No link is followed, and names are opened below the folder at which the
 * walk began, so it never leaves it, whatever others rename meanwhile. Other file systems mounted
 * below are walked too. Names that are the server's own are left out at every level.
 *
 * At any depth one folder is open at a time: where to go on is remembered by name, in at most
 * LIMIT_WALK_BYTES. Reading is done by helper threads, a buffer at a time, and nothing is held
 * there between steps; a walk ends by being destroyed.
 */
#pragma once

#include "files/root.h"

enum walk_event {
    WALK_ENTER,      /* a folder, which has been opened */
    WALK_ENTRY,      /* something in it that is not a folder */
    WALK_UNREADABLE, /* a folder that cannot be opened, or not be read to its end; or an entry of
                        which it cannot be found out what it is */
    WALK_LEAVE,      /* a folder that was entered: all that is in it has been seen */
};

struct walk_step {
    enum walk_event event;
    struct span path; /* below the beginning ("" for that itself), followed by a NUL; of an entry it
                         may be a name longer than what can be opened */
    struct span name; /* the end of it */
    const struct file *folder; /* entered, or with the entry in it; else NULL */
    unsigned char type;        /* of an entry: DT_REG, DT_LNK, ... */
    int error;                 /* -errno, why it is unreadable */
};

struct walk;

/* Begins at the open folder `start`, which stays the caller's, as do the names. With names only
 * these in it are walked, each one segment followed by a NUL, and `start` itself is no step; what
 * is not there is left out. NULL when memory is short. */
struct walk *walk_create(const struct root *root, const struct file *start,
                         const struct span *names, size_t count);

/* The next step; its spans and its folder last until the next call. Returns 1, 0 after the last, or
 * -errno: -EFBIG where more folders wait than LIMIT_WALK_BYTES holds, or the reason of a
 * cancellation. */
int walk_next(struct task *t, struct walk *w, struct walk_step *ret_step);

/* NULL is allowed. */
void walk_destroy(struct task *t, struct walk *w);
