/* Write locks (RFC 4918 sections 6 and 7), and which changes are being made right now.
 *
 * Kept in memory for all rings of the process, by canonical path (files/canonical.h). A lock covers
 * its resource, and with Depth infinity all below. It belongs to a user, and nobody changes what it
 * covers without being that user and having shown its token. Where several shared locks cover a
 * resource one token is enough.
 *
 * A change claims its paths while it makes them: until it is done nobody gets a lock that would
 * cover it. Claims never wait, for locks or for each other; who wants a lock waits for claims
 * (-EBUSY: try again). Nor do they forbid each other anything, with one exception: a folder keeps
 * its name, and those of the folders that it is in and that are in it, while all that is in it is
 * being removed. That is done by descriptors, and would go on under the new name.
 *
 * Bounded by LIMIT_LOCKS… of all, of each user, of each name. Locks end by themselves; who looks
 * finds none that has ended. `now_ms` is CLOCK_MONOTONIC (loop_now_ms()). All functions are for any
 * thread, take one mutex, do no I/O, and walk through the table once at most.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/span.h"

/* "opaquelocktoken:" and a UUID (RFC 4918 appendix C): what old clients expect of one. */
enum { LOCK_TOKEN_BYTES = sizeof("opaquelocktoken:") - 1 + 36 };

struct locks;

/* Returns 0 or -errno. */
int locks_create(struct locks **ret_locks);
void locks_destroy(struct locks *locks);

/* Whether there are any. Without the mutex: a hint for who need not look then. Some of them may
 * have ended. */
bool locks_any(const struct locks *locks);

/* --- locks --- */

struct lock {
    char token[LOCK_TOKEN_BYTES + 1];
    struct span user, path; /* path: canonical, "" for the root */
    struct span owner;      /* markup, as the client gave it; LIMIT_LOCK_OWNER_BYTES at most */
    bool is_infinite, is_shared;
    uint64_t ends_ms;
};

/* Makes a new lock for wish->user on wish->path; its token and its end are set in `wish`, whose
 * spans stay the caller's. `seconds`: how long the client would like it to be, 0: it did not say.
 * Paths of locks that forbid it go to `conflicts` (may be NULL), each followed by a NUL, at most
 * LIMIT_FAILURES.
 *
 * Returns 0, 423 (there are such locks), -EBUSY (a change is being made there), 507 (too many
 * locks, or too much memory of them), or -errno. */
int locks_grant(struct locks *locks, struct lock *wish, uint32_t seconds, uint64_t now_ms,
                struct buf *conflicts);

/* Begins its time anew, with `seconds`. `path` is that of a resource that it covers. Returns 0,
 * -ENOENT (no lock with this token covers that) or -EPERM (it is somebody else's). */
int locks_refresh(struct locks *locks, struct span token, struct span user, struct span path,
                  uint32_t seconds, uint64_t now_ms);

/* Ends it; the same errors. */
int locks_release(struct locks *locks, struct span token, struct span user, struct span path,
                  uint64_t now_ms);

/* What is called for locks, under the mutex: it only writes down. */
typedef void locks_each_fn(void *context, const struct lock *lock, uint32_t seconds_left);

/* For each lock that covers the path. */
void locks_show(struct locks *locks, struct span path, uint64_t now_ms, locks_each_fn *show,
                void *context);

/* Whether a lock with this token covers the path; with `as_new` also one of the folder that it is
 * in, which counts for what is not there yet. */
bool locks_covers(struct locks *locks, struct span token, struct span path, bool as_new,
                  uint64_t now_ms);

/* --- changes --- */

enum lock_touch {
    /* The resource itself: its bytes, its properties, or that it comes or goes. */
    TOUCH_STATE = 1 << 0,
    /* Its name comes to its folder or goes: a lock of that counts, also with Depth 0. */
    TOUCH_NAME = 1 << 1,
    /* And all that is in it. */
    TOUCH_BELOW = 1 << 2,
    /* Nothing will have this name: locks of it end, not only those below. */
    TOUCH_GONE = 1 << 3,
    /* It gets another name, with all that is in it. */
    TOUCH_MOVED = 1 << 4,
};

/* What a request has shown. */
struct lock_shown {
    struct span user;
    struct span tokens[LIMIT_IF_TOKENS];
    unsigned count;
    bool any_own; /* as if it had shown the tokens of all its user's locks */
};

/* A path that is being changed. In the caller's memory, as its path, until locks_unclaim(). */
struct lock_claim {
    struct list link;
    struct span path; /* canonical */
    unsigned touch;   /* enum lock_touch */
};

/* Whether what has been shown is enough for all of these; if so they are claimed together, unless
 * `only_ask`. Returns 0; 423, then `blocked` (may be NULL) has the paths of locks that were not
 * shown, each followed by a NUL and there once, at most LIMIT_FAILURES; or -EEXIST where somebody
 * else is quicker: with TOUCH_BELOW somewhere on the way to such a claim of his or below it, one of
 * the two with TOUCH_MOVED. */
int locks_claim(struct locks *locks, struct lock_claim *claims, unsigned count,
                const struct lock_shown *shown, bool only_ask, uint64_t now_ms,
                struct buf *blocked);

/* The change is over. If it was `done`, locks below a claim with TOUCH_BELOW end, and with
 * TOUCH_GONE those on it. Returns whether there were any. */
bool locks_unclaim(struct locks *locks, struct lock_claim *claims, unsigned count, bool done);

/* For a change of which only a part was done: the paths of locks at and below `path`, each followed
 * by a NUL and there once. Whoever calls looks whether these are still there. */
void locks_list(struct locks *locks, struct span path, struct buf *out);

/* Ends the locks of exactly this path. Returns whether there were any. */
bool locks_forget(struct locks *locks, struct span path);

/* --- keeping them (files/locks_file.h) --- */

/* Another one after each change of a lock; not after claims, and not where one has ended by itself.
 */
uint64_t locks_version(const struct locks *locks);

/* For all of them, in the order in which they were made. Returns the version that this was. */
uint64_t locks_each(struct locks *locks, uint64_t now_ms, locks_each_fn *each, void *context);

/* Puts one into the table as it was, but for its end. Returns 0, -EINVAL (it cannot be: malformed,
 * beyond a limit, or in conflict with what is there) or -ENOMEM. */
int locks_restore(struct locks *locks, const struct lock *lock, uint32_t seconds_left,
                  uint64_t now_ms);
