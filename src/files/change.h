/* What the methods that change names have in common: MKCOL, DELETE, MOVE, COPY (RFC 4918 section
 * 9).
 */
#pragma once

#include "files/guard.h"
#include "files/place.h"
#include "http/allow.h"
#include "http/exchange.h"
#include "rt/offload.h"

struct locks_file;
struct trashing;
struct undos;

/* The request. */
struct change {
    struct exchange *x;
    const struct root *root;
    struct guard *guard;           /* of the request, and its path */
    struct locks_file *locks_file; /* where locks are kept; NULL: nowhere */
    struct span path;              /* decoded, relative, followed by a NUL */
    bool wants_folder;             /* it ended in a slash */
    bool durable;                  /* what is acknowledged survives a power cut */
    struct trashing *trash;        /* where deleted things go; NULL: they are gone */
    struct undos *undos;           /* of what went there; NULL as that */
};

/* Where it goes to: MOVE, COPY. */
struct target {
    struct span path; /* as that of the request; never the root, the source, or a folder of it */
    bool wants_folder;
    bool overwrite; /* what is there may be replaced */
};

/* What the handlers answer with: 0, an HTTP status, or -errno. */

/* Reads Destination, whose path is decoded into `memory`, and Overwrite. Returns 0 or the status to
 * refuse it with. */
int change_target(const struct change *c, char memory[LIMIT_PATH_BYTES], struct target *ret_target);

/* Looks at what has the name, and evaluates the request's preconditions and If; under the name's
 * lock, on a helper thread. Returns 0, 404, 412 or -errno. `*ret_stat` is set but for -errno. */
int change_look(const struct change *c, const struct place *place, struct stat *ret_stat);

/* What a change does to names, for guard_enter(): the request's own, which looks like `st`, goes,
 * with all that is in it; and something comes to the target's. The latter looks at what is there,
 * and returns 0, 412 where that must not be replaced, or -errno as place_look(). */
struct guard_part change_source(const struct change *c, const struct stat *st);
int change_destination(const struct target *target, const struct place *to,
                       struct guard_part *ret_part);

/* Whether a folder, which is always changed with all that is in it, is asked for like that. */
bool change_depth_is_infinite(const struct change *c);

/* Whether the path may mean this: with a slash at its end a folder, or a link, which may look like
 * one. */
bool change_fits(bool wants_folder, const struct stat *st);

/* Runs begin(arg), which finds its places with `*resolve` and may return -EXDEV: for paths that
 * lead to another file system only the slow lane may find out. */
int change_begin(struct task *t, const struct change *c, int (*begin)(void *arg), void *arg,
                 uint64_t *resolve, enum offload_lane *lane);

/* After it, whatever came of it: what waits behind this request shall see the folder as it is now,
 * and locks of what has gone are not to come back. */
void change_end(struct task *t, const struct change *c);

/* 405: something has this name, and there is nothing to be made. Returns as the functions of
 * exchange.h. */
int change_respond_taken(struct task *t, const struct change *c, enum allow_what what);

/* Answers with a status, or with the status for an -errno. Returns as the functions of exchange.h.
 */
int change_respond(struct task *t, const struct change *c, int status);
