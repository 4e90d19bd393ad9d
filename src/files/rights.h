/* The rights of a file that is replaced, for the one that takes its place: owner, group, mode and
 * POSIX access list (acl(5)), as far as this user may give them. Nobody gets more than he had.
 *
 * All of it may wait for a disk: for helper threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum {
    /* An access list: a hundred users and groups. A file with a longer one is not replaced. */
    RIGHTS_LIST_BYTES = 4 + 8 * 104,
};

struct rights {
    uid_t uid;
    gid_t gid;
    mode_t mode;
    size_t list_bytes; /* 0: none */
    uint8_t list[RIGHTS_LIST_BYTES];
};

/* Takes them from a file that is open and looks like this. Returns 0 or -errno. */
int rights_take(int fd, const struct stat *st, struct rights *ret_rights);

bool rights_equal(const struct rights *a, const struct rights *b);

/* Gives them to a new file of our own. Returns 0 or -errno. */
int rights_give(int fd, const struct rights *rights);
