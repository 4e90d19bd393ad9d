/* A file that has no name yet, and gets one when it is complete.
 *
 * Where the file system can (O_TMPFILE: ext4, xfs, btrfs, f2fs, tmpfs) it is nowhere to be seen,
 * and gone if we are; it is made in the folder that it will be in, so that set-group-ID, umask and
 * default ACLs do their work. Elsewhere (vfat, exFAT, network mounts) it is called ".fastfile-…",
 * which no listing shows and no request reaches.
 *
 * All of it may wait for a disk: for helper threads.
 */
#pragma once

#include "files/place.h"

enum { TEMPORARY_NAME_BYTES = 64 };

struct temporary {
    int fd;        /* for writing; -1: none */
    bool is_named; /* `name` is in the folder `dir_fd`, on the file system that it will be on */
    int dir_fd;    /* somebody else's */
    char name[TEMPORARY_NAME_BYTES];
};

#define TEMPORARY_NONE ((struct temporary){.fd = -1, .dir_fd = -1})

/* A name that nobody has: ".fastfile-", 32 bits that are this process's, and 32 random ones.
 * Returns 0 or -errno. */
int temporary_make_name(char out[TEMPORARY_NAME_BYTES]);

/* The same for what nobody else has a copy of, and which therefore is never taken for a leftover.
 */
int temporary_make_kept_name(char out[TEMPORARY_NAME_BYTES]);

/* Whether temporary_make_name() has made the name, but in another process, which may have left what
 * has it. */
bool temporary_is_leftover(struct span name);

/* Makes one in the folder of a place. Returns 0 or -errno. */
int temporary_create(const struct place *place, struct temporary *ret_temporary);

/* Gives it the name of the place, which must be free: -EEXIST. Returns 0 or -errno. */
int temporary_link(struct temporary *temporary, const struct place *place);

/* Gives it the name of the place, in place of what has that name; readers see the one or the other.
 * Returns 0 or -errno. */
int temporary_replace(struct temporary *temporary, const struct place *place);

/* Gives it a name of the server's own, where it has none yet. Returns 0 or -errno. */
int temporary_name(struct temporary *temporary);

/* Closes it; without a name it is gone. */
void temporary_close(struct temporary *temporary);
