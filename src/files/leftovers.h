/* What a crash has left in a folder: files and trees with a name of the server's own (temporary.h),
 * which no listing shows and no request reaches. A power cut leaves them between two steps of a
 * change; nobody else would ever take them away.
 *
 * So whoever reads a folder (folder.h) notes how old the oldest is, and they are removed when that
 * is LEFTOVERS_KEEP_S. Those of this process are in use, whatever the clock says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rt/offload.h"

enum {
    LEFTOVERS_KEEP_S = 7 * 24 * 3600,
    /* Removed by one request; the next one goes on. */
    LEFTOVERS_AT_ONCE = 16,
};

/* Whether one that was last changed then (ctime, seconds since 1970) may go. */
bool leftovers_are_due(int64_t ctime_s);

/* Removes from the open folder those that may go. What cannot be removed stays. */
void leftovers_sweep(struct task *t, enum offload_lane lane, int dir_fd);
