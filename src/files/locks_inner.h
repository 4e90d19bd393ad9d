/* The lock table's inside, for locks*.c. All under the mutex. */
#pragma once

#include <pthread.h>

#include "files/locks.h"

/* Whose locks there are, and how many. */
struct lock_user {
    struct list link;
    struct list locks;
    unsigned count;
    size_t bytes; /* of all of them */
    size_t name_len;
    char name[];
};

struct kept_lock {
    struct lock lock; /* its spans: in `bytes`, and the user's name */
    struct list in_table, in_bucket, in_user;
    struct lock_user *user;
    uint64_t hash; /* of the path */
    size_t size;
    char bytes[];
};

enum { LOCK_BUCKETS = 1024 };

struct locks {
    pthread_mutex_t mutex;
    _Atomic unsigned count;
    _Atomic uint64_t version;
    _Atomic uint64_t tokens; /* made so far */
    uint64_t hash_start, hash_factor;
    size_t bytes;
    uint64_t next_end_ms; /* none ends before that */
    struct list table;    /* all, in the order in which they were made */
    struct list users;
    struct list claims;
    struct list buckets[LOCK_BUCKETS]; /* by path */
};

/* Takes the mutex, and what has ended out of the table. */
void locks_enter(struct locks *locks, uint64_t now_ms);
void locks_leave(struct locks *locks);

void locks_remove(struct locks *locks, struct kept_lock *k);

struct lock_user *locks_find_user(struct locks *locks, struct span name);

uint64_t locks_hash(const struct locks *locks, struct span path);
struct list *locks_bucket(struct locks *locks, uint64_t hash);

/* Whether it is the first one with its path. */
bool locks_is_first(struct locks *locks, const struct kept_lock *k);

/* Goes through the locks that cover a path: those of it, and infinite ones of the folders that it
 * is in, from the root on. None may be removed meanwhile. */
struct lock_cover {
    struct locks *locks;
    struct span path;
    size_t len; /* of the folder at hand */
    uint64_t hash;
    const struct list *bucket, *node;
};

void lock_cover_init(struct lock_cover *c, struct locks *locks, struct span path);
struct kept_lock *lock_cover_next(struct lock_cover *c);

/* The folder that a path is in; that of the root is data == NULL. */
struct span lock_parent(struct span path);

/* Whether `path` is in `folder`, at any depth. */
bool lock_is_below(struct span path, struct span folder);

static inline bool lock_covers(const struct lock *lock, struct span path)
{
    return span_equal(lock->path, path) || (lock->is_infinite && lock_is_below(path, lock->path));
}

/* Appends the path and a NUL where it is not there yet. False: there are LIMIT_FAILURES, or there
 * is nothing to append to; more need not be found. */
bool lock_note(struct buf *out, struct span path);
