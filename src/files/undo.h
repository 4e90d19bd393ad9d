/* Deletions that can be taken back: what a token stands for that a DELETE was answered with.
 *
 * In memory, for all rings of the process, and for a while: LIMIT_UNDOS of them, of which the
 * oldest goes, each for LIMIT_UNDO_MS. A user has the last LIMIT_UNDOS_PER_USER of his, so that he
 * does not push out what all others may want back. A token is random, and good for the user whose
 * deletion it was. What it leads to is looked at when it is used (trash_give_back()): by then a
 * desktop may have emptied the trash. All functions are for any thread and do no I/O.
 */
#pragma once

#include "base/span.h"
#include "files/trash.h"

/* The place in the table, and 16 random bytes, in hexadecimal. */
enum { UNDO_TOKEN_BYTES = 4 + 32 };

/* One of them, as it was noted. */
struct undo {
    char token[UNDO_TOKEN_BYTES + 1];
    uint64_t number; /* they are counted from 1 */
    struct trash_item item;
    bool is_folder;
    dev_t dev; /* what it was, to be recognized where somebody else has put it back */
    ino_t ino;
    dev_t dir_dev;          /* of the folder that it was in */
    struct span user, path; /* path: where it was, as the request had it; followed by a NUL */
    uint64_t ends_ms;
};

struct undos;

/* Returns 0 or -errno. */
int undos_create(struct undos **ret_undos);
void undos_destroy(struct undos *undos);

/* Notes what `undo` says, but for its token, number and end: a copy. `now_ms` is CLOCK_MONOTONIC.
 * Returns 0 and the token, or -errno: then this one cannot be taken back. */
int undos_add(struct undos *undos, const struct undo *undo, uint64_t now_ms,
              char ret_token[UNDO_TOKEN_BYTES + 1]);

/* Takes it out of the table, so that nobody else uses it meanwhile; the caller frees it or puts it
 * back. NULL where there is none, or it is of another user. */
struct undo *undos_take(struct undos *undos, struct span user, struct span token, uint64_t now_ms);

/* It has not been used: the next one may try. */
void undos_put_back(struct undos *undos, struct undo *undo);
