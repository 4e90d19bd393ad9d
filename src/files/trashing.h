/* Deleting by moving to the trash: to which one, and by whom.
 *
 * What is on DIR's own file system goes to a trash outside DIR: the user's, where that is on the
 * same one, else the one at its top. Files are only renamed from one mount to itself, and home's
 * root is a mount of its own, so small processes outside do that (home/trasher.h): each is asked
 * for one name at a time. What is mounted below DIR has its trash at its own top, within reach.
 */
#pragma once

#include <pthread.h>

#include "base/limits.h"
#include "files/trash.h"

/* Each waits for the disk three times for a deletion, and those that wait at once share what the
 * file system does for it. */
enum { TRASHERS = 4 };

/* One for home. */
struct trashing {
    const struct root *root;
    int channel_fds[TRASHERS]; /* to the processes that nobody asks just now; SOCK_SEQPACKET */
    unsigned idle;             /* so many; the last ones are in use */
    pthread_mutex_t mutex;
    pthread_cond_t one_is_idle;
    uid_t uid;
    struct stat folder; /* their trash, which may be below DIR */
};

enum trash_work {
    TRASH_TAKE,      /* what has the path goes to the trash; the answer says under which name */
    TRASH_SYNC,      /* that is to last */
    TRASH_GIVE_BACK, /* the item gets the path again */
    TRASH_FORGET,    /* no note is to be left of the item, which is back, and had the path */
};

/* What is asked of a process, and its answer. */
struct trash_request {
    uint8_t work;                /* enum trash_work */
    uint8_t durable;             /* TRASH_TAKE: where it was is to be on the disk before it moves;
                                    TRASH_FORGET: that is to last */
    uint64_t dir_dev, dir_ino;   /* of the folder that the path is in */
    uint64_t dev, ino;           /* TRASH_TAKE: of what has the path */
    struct trash_item item;      /* TRASH_GIVE_BACK, TRASH_FORGET */
    char path[LIMIT_PATH_BYTES]; /* below DIR */
};

struct trash_answer {
    int32_t result; /* 0, TRASH_MISSING, TRASH_ELSEWHERE, or -errno */
    struct stat folder;
    struct trash_item item; /* TRASH_TAKE */
};

/* Where something went, or comes from. */
struct trashed {
    struct trash_item item;
    struct span original; /* where it was: below DIR, or below the top of its trash's file system */
    bool below;           /* in the trash of a file system below DIR, which is: */
    struct trash trash;
};

/* Moves to the trash what `place` has, found by `path`, and looks like `st`; under the name's lock,
 * on a helper thread, as all of this. Returns 0, TRASH_FOR_GOOD, or
 * -errno: -EEXIST where the path leads elsewhere by now. After 0 trashing_sync() is called, with
 * the same `durable`. */
int trashing_take(struct trashing *t, const struct place *place, const struct stat *st,
                  struct span path, bool durable, struct trashed *ret_trashed);

/* Makes that last, if `durable`, but for the folder that it was in; in any case closes what is
 * open. Returns 0 or -errno. */
int trashing_sync(struct trashing *t, struct trashed *trashed, bool durable);

/* The way back, to `place`, found by `path`, which is what it had when it was taken; under the
 * name's lock. Returns as trash_give_back(), and TRASH_ELSEWHERE.
 * After 0 trashing_forget() is called once the place's folder is synced, or trash_close() for
 * ret_trashed->trash if that fails; `path` stays until then. */
int trashing_give_back(struct trashing *t, const struct trash_item *item, const struct place *place,
                       struct span path, struct trashed *ret_trashed);

/* As trash_forget(); in any case closes what is open. */
int trashing_forget(struct trashing *t, struct trashed *trashed, bool durable);
