/* Who may give and take a name, one after the other.
 *
 * Between looking at what a name stands for (are the preconditions met?) and changing it nobody
 * else of this server may change it. That takes a few system calls, so the lock is a mutex that
 * helper threads hold for as long, one of a fixed number.
 *
 * Which one depends on the folder itself and not on the way to it, as there may be several (a bind
 * mount, a link): the root's own file system has some, where it is a fast one, and all others have
 * the rest, so that nobody waits for a file system slower than his. On the root's the name counts,
 * but not its case, which some folders of ext4 ignore; on others the folder alone, since there one
 * name may have spellings of all kinds.
 */
#pragma once

#include "files/place.h"

struct name_lock {
    unsigned first, second; /* numbers of mutexes, ascending; equal: one */
};

/* Waits for the names of one place, or of two on one file system (MOVE), never while holding
 * others. */
struct name_lock name_lock_take(const struct root *root, const struct place *a,
                                const struct place *b);
void name_lock_release(struct name_lock lock);
