/* Which fault happens when: the points at which one could, counted, and the plan for this run.
 *
 * A run is armed while the server's code works, not while the client or the harness does. Every
 * call that could fail asks fault_at(); every place where a task waits asks fault_suspended(). The
 * same plan on the same script meets the same points.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_site {
    FAULT_MEMORY = 1, /* malloc() and its kin, mmap() */
    FAULT_START,      /* an operation of the backend is not even taken */
    FAULT_RECV,
    FAULT_RECV_LENT,
    FAULT_SEND,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_WRITE_NOW,
    FAULT_POLL,
    FAULT_WATCH, /* a watch of a descriptor ends */
    FAULT_OPEN,
    FAULT_STAT,
    FAULT_STAT_PATH,
    FAULT_TYPE, /* statx(), of what a folder does not tell the type of */
    FAULT_READ_NOW,
    FAULT_SENDFILE,
    FAULT_FOLDER,
    FAULT_SEEK,
    FAULT_CACHESTAT,
    FAULT_STATFS,
    FAULT_RANDOM,
    FAULT_MODE, /* fcntl() */
    FAULT_PEER_NAME,
    FAULT_SEND_NOW,
    FAULT_SHUTDOWN,
    FAULT_MESSAGE_OUT,
    FAULT_MESSAGE_IN,
    FAULT_CHANGES, /* fanotify_init() */
    FAULT_MARK,
    FAULT_CHANGES_SEEN,
    FAULT_LINK,
    FAULT_RENAME,
    FAULT_SYNC,
    FAULT_SYNC_RANGE,
    FAULT_RESERVE,
    FAULT_RIGHTS, /* fchmod(), fchown() */
    FAULT_TIMES,
    FAULT_MAKE, /* mkdirat(), symlinkat() */
    FAULT_UNLINK,
    FAULT_COPY,
    FAULT_CUT, /* ftruncate() */
    FAULT_READ_AT,
    FAULT_READLINK,
    FAULT_CLONE,     /* ioctl(FICLONE) */
    FAULT_EXTENTS,   /* ioctl(FS_IOC_FIEMAP) */
    FAULT_NAMES,     /* of extended attributes: flistxattr() */
    FAULT_LIST_READ, /* of who may do what, or any other: fgetxattr() */
    FAULT_LIST_GIVE,
    FAULT_LIST_REMOVE,
    FAULT_SITES,
};

/* In the place of an errno: the call succeeds, and returns 0. */
enum { FAULT_NOTHING = -1 };

enum fault_kind {
    FAULTS_NONE,  /* count */
    FAULTS_ONE,   /* point number `point` fails with its errno number `choice` */
    FAULTS_ABORT, /* where a task waits for the `point`th time, its connection is revoked */
    FAULTS_LATE,  /* where a task waits for the `point`th time, every deadline passes */
    FAULTS_MANY,  /* each fails with a probability, by `seed` */
};

struct fault_plan {
    enum fault_kind kind;
    unsigned point, choice;
    uint64_t seed;
};

enum fault_interruption { FAULT_GO_ON, FAULT_ABORT, FAULT_LATE };

/* What has happened since fault_begin(). */
struct fault_tally {
    unsigned points, suspensions; /* met */
    unsigned injected;
    enum fault_site site; /* of the last one injected */
    int error;
    bool hides_entries; /* a listing may not show all entries as they were before */
};

void fault_begin(const struct fault_plan *plan);
const struct fault_tally *fault_tally(void);
enum fault_kind fault_kind_now(void);

/* Whether an answer may suffer: not if all that has happened is a call that was interrupted, which
 * is to be made again. */
bool fault_may_show(void);

/* Whether points count; returns what was before. */
bool fault_arm(bool armed);
bool fault_is_armed(void);

/* 0: go on; FAULT_NOTHING; or the errno to fail with. */
int fault_at(enum fault_site site);

/* A task waits. */
enum fault_interruption fault_suspended(void);

/* Of the run so far: the site of a point, and how many errnos there are to try. */
enum fault_site fault_site_of(unsigned point);
unsigned fault_choices(enum fault_site site);
int fault_error(enum fault_site site, unsigned choice);
const char *fault_site_name(enum fault_site site);
