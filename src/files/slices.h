/* Long work on files, done by helper threads in slices: so none of it keeps a helper from others
 * for long, and a cancelled request ends with its slice. */
#pragma once

#include "rt/offload.h"

enum {
    SLICE_MS = 10,

    /* results of a step */
    SLICE_DONE = 0,
    SLICE_MORE = 1,   /* there is another one to do */
    SLICE_SLOWER = 2, /* and it needs a file system that only the slow lane may wait for */
};

/* Runs step(arg) again and again until it is done. `*lane` becomes OFFLOAD_SLOW where a step asks
 * for it. Returns 0, -errno of a step, or the reason of a cancellation. */
int slices_run(struct task *t, enum offload_lane *lane, int (*step)(void *arg), void *arg);

/* The same for what has to be done in the end, also when the task is cancelled. */
int slices_run_always(struct task *t, enum offload_lane *lane, int (*step)(void *arg), void *arg);
