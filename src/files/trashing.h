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

/* What is asked of a process, and its answer. */
struct trash_request {
    uint8_t sync;    /* only make last what was done */
    uint8_t durable; /* where it was is to be on the disk before it moves */
    uint64_t dir_dev, dir_ino, dev, ino;
    char path[LIMIT_PATH_BYTES]; /* below DIR */
};

struct trash_answer {
    int32_t result; /* 0 or -errno */
    struct stat folder;
};

/* Where something went. */
struct trashed {
    bool below; /* to the trash of a file system below DIR, which is: */
    struct trash trash;
};

enum { TRASH_FOR_GOOD = 1 };

/* Moves to the trash what `place` has, found by `path`, and looks like `st`; under the name's lock,
 * on a helper thread. Returns 0, TRASH_FOR_GOOD where it is in a trash already, or -errno. After 0
 * trashing_sync() is called, with the same `durable`. */
int trashing_take(struct trashing *t, const struct place *place, const struct stat *st,
                  struct span path, bool durable, struct trashed *ret_trashed);

/* Makes that last, if `durable`, but for the folder that it was in; in any case closes what is
 * open. Returns 0 or -errno. */
int trashing_sync(struct trashing *t, struct trashed *trashed, bool durable);

/* Asks one of the processes. Returns its answer's result, or -errno. */
int trashing_ask(struct trashing *t, const struct trash_request *request);
