/* Copying a folder with all that is in it, to a name of the server's own, a step at a time: whoever
 * has begun it gives the copy its name when it is complete, or removes it.
 *
 * Links are copied as links: they mean in the copy what they meant, and what they lead to is not
 * copied instead of them, which might be anything and without end. FIFOs, sockets and devices are
 * left out, as in listings, and so are the server's own files. Names of one file become files. All
 * keep their modes, their mtimes and what files/xattrs.h carries. The source is read by
 * files/tree.h.
 */
#pragma once

#include "files/content.h"
#include "files/copied.h"
#include "files/slices.h"
#include "files/tree.h"

struct copier {
    /* set by the caller */
    int from_dir_fd;
    const char *from_name;
    int to_dir_fd;
    const char *to_name;
    const struct stat *never; /* the folder that the copy is in: a tree that holds it is refused */
    bool shallow;             /* without what is in it */
    bool exact; /* whatever would be left out is an error, and so is what is mounted below */
    struct copied *copied; /* notes what is copied; NULL: nobody wants to know */
    bool slow;             /* already on the slow lane */

    /* result */
    bool made;          /* there is something under to_name */
    int top_fd;         /* of the copy, open since before anything was written into it; -1: none */
    struct buf culprit; /* what could not be copied, escaped: below the folder */

    /* for copy_tree.c */
    struct tree tree;
    bool begun;
    int *fds; /* the copies of the folders that the tree is in; the first is top_fd */
    size_t depth, capacity;
    struct content content; /* of the file that is being copied; fds -1: none */
    struct stat st;         /* of it */
};

#define COPIER_NONE ((struct copier){.top_fd = -1, .content = {.from = -1, .to = -1}})

/* A step (files/slices.h) of a struct copier. -EINVAL: the folder holds its own copy. */
int copier_step(void *arg);

/* Closes what is open, on a helper thread. */
void copier_finish(struct copier *c);
