/* Whether a request may change what it is about to change: preconditions (RFC 9110 section 13), the
 * field If (RFC 4918 section 10.4), locks (sections 6 and 7). The only place where lock tokens are
 * looked at.
 *
 *     guard_init()      for each request that may change something, on the loop
 *     guard_evaluate()  what has the name now: do If-Match, …, If hold?    } on a helper thread,
 *     guard_check()     is a token missing? (before a body is asked for)   } under the name's lock,
 *     guard_enter()     the same, and nobody gets a lock there from now on } in this order
 *     guard_leave()     it is done, or not
 *     guard_respond()   on the loop: 423, and whose lock it is
 *     guard_finish()
 *
 * Where nothing has the name, whoever gives it lets the file system look, and asks guard_evaluate()
 * again if that finds something.
 *
 * By the names' locks (files/name_lock.h) changes of this server are one after the other; by
 * guard_enter() changes and LOCK are. A change of a tree takes long, and leaves when it is through.
 * It goes by descriptors, so it never gets to another folder that has the path by now; and until
 * then nobody renames the folder, one above it or one in it, which would take it along to where
 * nobody has asked for it.
 *
 * While there are no locks the paths of a change are claimed as they were asked for, without a look
 * at the file system: all that a server without locks pays for it is the table's mutex, twice. (A
 * LOCK by another way to the same file in the microseconds of a change is not seen then.) Not so
 * where a folder goes with all that is in it, or is replaced: that may take long.
 */
#pragma once

#include "files/locks.h"
#include "files/place.h"
#include "files/root.h"
#include "http/conditional.h"
#include "http/exchange.h"

enum { GUARD_PARTS_MAX = 2 };

struct guard {
    struct locks *locks; /* NULL: there are none */
    const struct root *root;
    const struct request *request; /* whose preconditions and If count */
    struct span path;              /* of what it changes: decoded, relative, followed by a NUL */
    bool is_tls;                   /* of the connection, for http/destination.h */
    struct lock_shown shown;
    struct buf blocked; /* after 423: paths of locks that were not shown, as locks.h has them */
    bool has_ended;     /* locks went away with what did */
    bool only_members;  /* all of these are in a folder that was to be changed with its members */
};

/* `dav_if` of the request is well-formed (dav_if_check()). Nothing is allocated. */
void guard_init(struct guard *g, struct locks *locks, const struct root *root,
                const struct request *request, bool is_tls, struct span user, struct span path);
void guard_finish(struct guard *g);

/* Tokens that another If field shows. The mere fact that a token appears there counts (section
 * 10.4.1). */
void guard_show(struct guard *g, struct span dav_if);

/* conditional_evaluate() and dav_if_evaluate(); `current` is what the request's own path has now.
 * Other resources that If names are looked at, without being opened; `resolve` as for finding the
 * request's own place. Returns 0, 304, 412, or -errno: -EXDEV where one of them is on another file
 * system and RESOLVE_NO_XDEV forbids to look. */
int guard_evaluate(struct guard *g, const struct validators *current, uint64_t resolve);

/* What will be changed. The path lives as long as it is held. */
struct guard_part {
    struct span path; /* as it was asked for: decoded, relative, followed by a NUL */
    unsigned touch;   /* enum lock_touch */
    bool follow;      /* a link at its end is followed, as place_open() does */
    /* Where it was found when the request began, or NULL. Another folder may have that path by now,
     * with locks that say nothing about this one. */
    const struct place *place;
};

/* What is being changed. Stays where it is in memory until guard_leave(). */
struct guard_hold {
    struct locks *locks; /* NULL: nothing is held */
    unsigned count;
    struct lock_claim claims[2 * GUARD_PARTS_MAX]; /* a link, and what it leads to */
    char *paths;
};

#define GUARD_NOTHING_HELD ((struct guard_hold){0})

/* Both return 0, 423, 409 where a path does not lead to its place any more, or -errno (as
 * canonical_path(), -ENOMEM; -EEXIST where a folder is being renamed or removed, locks.h). */
int guard_check(struct guard *g, const struct guard_part *parts, unsigned count, uint64_t resolve);
int guard_enter(struct guard *g, const struct guard_part *parts, unsigned count, uint64_t resolve,
                struct guard_hold *ret_hold);

enum guard_outcome {
    GUARD_UNDONE, /* nothing has changed */
    GUARD_DONE,
    GUARD_PARTLY, /* which of the locked names are gone is looked at */
};

/* Harmless where nothing is held. GUARD_PARTLY on a helper thread only. */
void guard_leave(struct guard *g, struct guard_hold *hold, enum guard_outcome outcome);

/* Whether a 423 is because of locks. */
static inline bool guard_is_blocked(const struct guard *g)
{
    return g->blocked.len > 0;
}

/* Answers 423 with the paths of the locks, or where only members of a folder are locked 207 with
 * 423 for each of them (RFC 4918 section 9.6.1). Returns as the functions of exchange.h. */
int guard_respond(struct task *t, struct exchange *x, const struct guard *g);
