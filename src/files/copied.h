/* What a MOVE to another file system has copied: nothing else is removed from where it was.
 *
 * What others do meanwhile may not show in time stamps alone. A folder that is renamed into the
 * tree brings old files along; vfat and many a network mount give a file that is written the time
 * that the writer wants; and where stamps tick once in 2 s, what was changed after it was copied
 * may look as it did before. So each thing is known by its path and by what it looked like, and has
 * to have rested since before the copying began.
 */
#pragma once

#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/span.h"

struct copied {
    struct timespec since; /* set by the caller: CLOCK_REALTIME_COARSE, before anything was read */

    /* for copied.c */
    uint64_t *marks; /* 0: free */
    size_t count, capacity;
};

/* Notes what is copied, as it was before its content was read; `path` is that below the beginning.
 * Returns 0 or -errno: -ENOMEM, or -EFBIG beyond LIMIT_COPIED_ENTRIES. */
int copied_add(struct copied *c, struct span path, const struct stat *st);

/* Whether what is there now is what was copied; and of a folder, whether it still is the same one,
 * whatever is in it now. */
bool copied_has(const struct copied *c, struct span path, const struct stat *st);

/* Whether its last change certainly was before `since`, given how fine its ctime seems to be. */
bool copied_rested(const struct copied *c, const struct stat *st);

/* For how long to wait before `since` is taken: then all that was done until now has rested. 0
 * where it has already; of a folder nobody knows. */
uint64_t copied_pause_ms(const struct stat *st);

void copied_finish(struct copied *c);
