/* A folder and all below it, one step at a time, for work on a helper thread: removing, copying.
 *
 * By descriptors only: a name is never looked up but in the open folder that it was read from, and
 * no link is followed, so others may rename what they like and nothing leads outside. Depth first;
 * what is not a folder comes before the folders beside it. One descriptor is open for each level.
 * (files/walk.h is for tasks on the loop, and finds its way by name.)
 */
#pragma once

#include "base/buf.h"
#include "files/root.h"

enum tree_event {
    TREE_END,
    TREE_ENTRY,      /* not a folder */
    TREE_ENTER,      /* a folder, which has been opened */
    TREE_LEAVE,      /* a folder: all that is in it has been seen */
    TREE_UNREADABLE, /* a folder that cannot be opened, or (fd >= 0) not be read to its end */
};

struct tree_step {
    enum tree_event event;
    int dir_fd; /* of the folder that it is in */
    const char *name;
    int fd;             /* of the folder itself; -1: it is none, or not open */
    unsigned char type; /* of an entry: DT_REG, DT_LNK, ..., DT_UNKNOWN: `error` says why */
    int error;          /* -errno: why it is TREE_UNREADABLE, or of a type that is not known */
    bool spoiled;       /* tree_spoil() was called for it or for something in it */
    struct span path;   /* below the beginning, "" for that itself */
};

struct tree_level {
    int fd;
    bool spoiled;
    unsigned readings;
    size_t name_at;    /* in `names` */
    size_t names_base; /* what is above in `names` are folders in this one, to be entered */
    size_t path_len;
};

struct tree {
    bool leave_out_reserved; /* the server's own names */
    bool stay;               /* another file system mounted below is unreadable: -EXDEV */

    /* for tree.c */
    struct tree_level *levels; /* the first is the folder that the beginning is in */
    size_t depth, capacity;
    struct buf names, path;
    bool reading;     /* the last level */
    bool not_entered; /* the last name could not be opened */
    size_t dents_at, dents_end;
    char *dents;
    struct tree_step step;
};

/* Begins at `name` in the open folder `dir_fd`, which stays the caller's. Returns 0 or -errno;
 * tree_finish() is called in any case. */
int tree_begin(struct tree *tree, int dir_fd, const char *name);

/* The next step, which lasts until the next call. Returns 0 or -errno: -ENOMEM, or -EFBIG where
 * more folders wait than LIMIT_WALK_BYTES holds. */
int tree_next(struct tree *tree, const struct tree_step **ret_step);

/* After TREE_LEAVE: the folder will be read once more before it is left. After TREE_UNREADABLE: it
 * will be opened once more. False where that was done often enough. */
bool tree_again(struct tree *tree);

/* After TREE_ENTER: nothing that is in the folder will be seen, it is left at once. */
void tree_skip(struct tree *tree);

/* Marks the folder of the last step, or that of the last entry, and all that it is in. */
void tree_spoil(struct tree *tree);

/* How deep the last step's folder is; that of the beginning is 1. */
static inline size_t tree_depth(const struct tree *tree)
{
    return tree->depth - 1;
}

void tree_finish(struct tree *tree);
