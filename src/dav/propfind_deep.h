/* PROPFIND of all below a folder. It is counted before it is answered, so that too much is refused
 * (RFC 4918 section 9.1.1) rather than broken off. No link is followed downwards, so each folder is
 * there once; what cannot be read is shown, and nothing below it.
 *
 * Takes the memory of one scan and of the names of folders that were found and not read yet. */
#pragma once

#include "dav/propfind_send.h"
#include "files/root.h"

struct propfind_deep {
    const struct root *root;
    const struct file *folder; /* open for reading */
    struct span path;          /* its own, as a request has it */
    struct span href;          /* the same, encoded, with slashes around it */
    unsigned mask;             /* as in struct entry_source */
    bool wants_dead;           /* what clients keep */
    struct propfind_sender *sender;
};

/* Whether there are no more than LIMIT_PROPFIND_DEEP: returns 0, -E2BIG, or another -errno. */
int propfind_deep_count(struct task *t, const struct propfind_deep *d);

/* Sends all of them. -E2BIG where meanwhile there is twice as much. */
int propfind_deep_send(struct task *t, const struct propfind_deep *d);
