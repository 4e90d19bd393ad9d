/* Calls that fail because a test wants it, in a program that knows nothing of it.
 *
 * fault.c is preloaded (LD_PRELOAD) and stands before libc's functions of these names. What shall
 * fail is in a file that FASTFILE_FAULTS names and the test maps too: it is mapped before the
 * program locks itself in, and can be changed while it runs. tests/e2e/faults.py has the same
 * struct and names.
 */
#pragma once

#include <stdint.h>

enum fault_call {
    FAULT_TCP_ULP, /* setsockopt() with these options */
    FAULT_TLS_TX,
    FAULT_NOTSENT_LOWAT,
    FAULT_SENDFILE,
    FAULT_CACHESTAT,
    FAULT_PREADV2, /* with RWF_NOWAIT: others have nothing to try again */
    FAULT_MALLOC,  /* of FAULT_MALLOC_LEAST bytes and more: chunks */
    FAULT_FSYNC,   /* of files, and sync_file_range() */
    FAULT_FSYNC_FOLDER,
    FAULT_SYNCFS,
    FAULT_SYNC_RANGE, /* sync_file_range() alone */
    FAULT_FALLOCATE,
    FAULT_UNLINK, /* unlinkat() */
    FAULT_CLOCK,  /* clock_gettime(): the time of day is so many hours ahead as `error` says */
    FAULT_CALLS,
};

enum { FAULT_MALLOC_LEAST = 16 * 1024 };

struct fault {
    int32_t error;  /* errno; 0: the call seems to succeed, and nothing is done; negative: it goes
                       through, so many milliseconds later */
    uint32_t skip;  /* so many calls go through first */
    uint32_t times; /* then so many do not; UINT32_MAX: none any more */
    uint32_t hits;  /* how many have not */
};
