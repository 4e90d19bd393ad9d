#include "fault.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "rt/io_sim.h"

enum {
    POINTS_MAX = 64 * 1024,
    /* Of a run with many faults. */
    MANY_ONE_IN = 60,
    MANY_INTERRUPTED_ONE_IN = 80,
};

/* The errnos to try at each site, as the calls document them. */
static const struct {
    const char *name;
    int errors[8];
} sites[FAULT_SITES] = {
    [FAULT_MEMORY] = {"memory", {ENOMEM}},
    [FAULT_START] = {"start of an operation", {ENOMEM}},
    [FAULT_RECV] = {"receive", {ECONNRESET, ENOMEM, ETIMEDOUT, EINTR, FAULT_NOTHING}},
    [FAULT_RECV_LENT] = {"receive while idle", {ENOBUFS, ECONNRESET, ENOMEM, FAULT_NOTHING}},
    [FAULT_SEND] = {"send", {EPIPE, ECONNRESET, ENOBUFS, ENOMEM, EINTR}},
    [FAULT_READ] = {"read", {EIO, ENOMEM, ESTALE, EAGAIN, EINTR, FAULT_NOTHING}},
    [FAULT_WRITE] = {"write", {ENOSPC, EIO, EDQUOT, EINTR, FAULT_NOTHING}},
    [FAULT_WRITE_NOW] = {"pwrite", {ENOSPC, EIO, EFBIG, EINTR, FAULT_NOTHING}},
    [FAULT_POLL] = {"poll", {ENOMEM, EBADF}},
    [FAULT_WATCH] = {"watch", {ENOMEM, ECANCELED}},
    [FAULT_OPEN] = {"openat2", {EMFILE, ENFILE, ENOMEM, EACCES, EIO, EINTR, EAGAIN}},
    [FAULT_STAT] = {"fstat", {EIO, ENOMEM, ESTALE}},
    [FAULT_STAT_PATH] = {"statx", {ENOMEM, EIO, EACCES, ENOENT}},
    [FAULT_TYPE] = {"statx of a type", {ENOMEM, EIO, EACCES, ESTALE}},
    [FAULT_READ_NOW] = {"preadv2", {EAGAIN, EIO, ENOMEM, EOPNOTSUPP, FAULT_NOTHING}},
    [FAULT_SENDFILE] = {"sendfile", {EIO, EAGAIN, EINTR, ECONNRESET, ENOMEM, FAULT_NOTHING}},
    [FAULT_FOLDER] = {"getdents64", {EIO, ENOMEM}},
    [FAULT_SEEK] = {"lseek", {EIO, ESPIPE}},
    [FAULT_CACHESTAT] = {"cachestat", {ENOSYS, EPERM}},
    [FAULT_STATFS] = {"fstatfs", {EIO, ENOSYS}},
    [FAULT_RANDOM] = {"getrandom", {ENOSYS, EINTR}},
    [FAULT_MODE] = {"fcntl", {EPERM}},
    [FAULT_PEER_NAME] = {"getpeername", {ENOTCONN}},
    [FAULT_SEND_NOW] = {"send without waiting", {EAGAIN, EPIPE, ENOBUFS}},
    [FAULT_SHUTDOWN] = {"shutdown", {ENOTCONN}},
    [FAULT_MESSAGE_OUT] = {"sendmsg", {EAGAIN, EPIPE, ENOBUFS, ETOOMANYREFS}},
    [FAULT_MESSAGE_IN] = {"recvmsg", {EINTR, ENOMEM}},
    [FAULT_CHANGES] = {"fanotify_init", {ENOSYS, EMFILE}},
    [FAULT_MARK] = {"fanotify_mark", {ENOSPC, ENOMEM, EOPNOTSUPP, EXDEV}},
    [FAULT_CHANGES_SEEN] = {"read of changes", {EINTR, FAULT_NOTHING}}, /* a change is seen */
    [FAULT_LINK] = {"linkat", {EIO, ENOSPC, EDQUOT, EMLINK}},
    [FAULT_RENAME] = {"rename", {EIO, ENOSPC, EROFS}},
    [FAULT_SYNC] = {"fsync", {EIO, ENOSPC, EDQUOT}},
    [FAULT_SYNC_RANGE] = {"sync_file_range", {EIO, ENOSPC, EDQUOT, EPERM, ENOSYS}},
    [FAULT_RESERVE] = {"fallocate", {ENOSPC, EDQUOT, EIO, EOPNOTSUPP, EPERM}},
    [FAULT_RIGHTS] = {"fchmod or fchown", {EPERM, EIO}},
    [FAULT_TIMES] = {"futimens", {EIO, EROFS}},
    [FAULT_MAKE] = {"mkdirat or symlinkat", {ENOSPC, EIO, EDQUOT, EMLINK, EROFS}},
    [FAULT_UNLINK] = {"unlinkat", {EIO, EACCES, EROFS, ENOSPC}},
    [FAULT_COPY] = {"copy_file_range",
                    {ENOSPC, EIO, EXDEV, EINTR, ENOMEM, EOPNOTSUPP, FAULT_NOTHING}},
    [FAULT_CUT] = {"ftruncate", {EIO, ENOSPC}},
    [FAULT_READ_AT] = {"pread", {EIO, FAULT_NOTHING}},
    [FAULT_READLINK] = {"readlinkat", {EIO, ENOMEM, EACCES}},
    [FAULT_CLONE] = {"ioctl(FICLONE)", {EIO, ENOSPC, EXDEV, EINVAL, FAULT_NOTHING}}, /* a clone */
    [FAULT_EXTENTS] = {"ioctl(FS_IOC_FIEMAP)", {EIO, ENOMEM}},
    [FAULT_NAMES] = {"flistxattr", {EIO, ENOMEM, EOPNOTSUPP}},
    [FAULT_LIST_READ] = {"fgetxattr", {EIO, ENOMEM, EOPNOTSUPP}},
    [FAULT_LIST_GIVE] = {"fsetxattr", {EIO, ENOSPC, EINVAL, EPERM}},
    [FAULT_LIST_REMOVE] = {"fremovexattr", {EIO, EROFS}},
};

static struct {
    struct fault_plan plan;
    struct fault_tally tally;
    uint64_t random;
    bool armed;
    uint8_t site_of[POINTS_MAX];
} fault;

void fault_begin(const struct fault_plan *plan)
{
    fault.plan = *plan;
    fault.tally = (struct fault_tally){0};
    fault.random = plan->seed;
}

const struct fault_tally *fault_tally(void)
{
    return &fault.tally;
}

enum fault_kind fault_kind_now(void)
{
    return fault.plan.kind;
}

bool fault_may_show(void)
{
    /* As few random bytes as a name takes are never interrupted. */
    bool again =
        fault.tally.injected == 1 && fault.tally.error == EINTR && fault.tally.site != FAULT_RANDOM;

    return fault.plan.kind != FAULTS_NONE && !(fault.plan.kind == FAULTS_ONE && again);
}

bool fault_arm(bool armed)
{
    bool before = fault.armed;

    fault.armed = armed;
    return before;
}

bool fault_is_armed(void)
{
    return fault.armed;
}

static unsigned below(unsigned n)
{
    return (unsigned)(io_sim_random(&fault.random) % n);
}

unsigned fault_choices(enum fault_site site)
{
    unsigned count = 0;

    while (count < sizeof(sites[0].errors) / sizeof(int) && sites[site].errors[count] != 0)
        count++;
    return count;
}

int fault_error(enum fault_site site, unsigned choice)
{
    return sites[site].errors[choice];
}

const char *fault_site_name(enum fault_site site)
{
    return sites[site].name;
}

enum fault_site fault_site_of(unsigned point)
{
    return (enum fault_site)fault.site_of[point];
}

static int inject(enum fault_site site, unsigned choice)
{
    int error = sites[site].errors[choice];

    fault.tally.injected++;
    fault.tally.site = site;
    fault.tally.error = error;
    /* Gone, or not ours to look at. */
    if ((site == FAULT_STAT_PATH || site == FAULT_STAT || site == FAULT_TYPE ||
         site == FAULT_OPEN) &&
        (error == EIO || error == EACCES || error == ENOENT || error == ESTALE))
        fault.tally.hides_entries = true;
    /* Of a link nobody knows where it leads then. */
    if ((site == FAULT_STAT || site == FAULT_READLINK) && error != ENOMEM)
        fault.tally.hides_entries = true;
    /* Nor does it have what clients keep with it. */
    if (site == FAULT_LIST_READ && error != ENOMEM)
        fault.tally.hides_entries = true;
    /* Or somebody else has a lease of it, if that is said twice. */
    if (fault.plan.kind == FAULTS_MANY && site == FAULT_OPEN && error == EAGAIN)
        fault.tally.hides_entries = true;
    /* An upload is kept in another folder then, whose time a listing shows. */
    if (site == FAULT_MAKE && error == EROFS)
        fault.tally.hides_entries = true;
    return error;
}

int fault_at(enum fault_site site)
{
    if (!fault.armed)
        return 0;
    unsigned point = fault.tally.points++;
    if (point >= POINTS_MAX) {
        fprintf(stderr, "faults: more points than POINTS_MAX\n");
        exit(EXIT_FAILURE);
    }
    if (fault.plan.kind == FAULTS_ONE && point <= fault.plan.point && fault.tally.injected == 0 &&
        fault.site_of[point] != site && fault.site_of[point] != 0) {
        fprintf(stderr, "faults: point %u is '%s' now and was '%s'\n", point, sites[site].name,
                sites[fault.site_of[point]].name);
        exit(EXIT_FAILURE);
    }
    if (fault.plan.kind == FAULTS_NONE)
        fault.site_of[point] = (uint8_t)site;
    if (fault.plan.kind == FAULTS_ONE && point == fault.plan.point)
        return inject(site, fault.plan.choice);
    if (fault.plan.kind == FAULTS_MANY && below(MANY_ONE_IN) == 0)
        return inject(site, below(fault_choices(site)));
    return 0;
}

enum fault_interruption fault_suspended(void)
{
    if (!fault.armed)
        return FAULT_GO_ON;
    unsigned point = fault.tally.suspensions++;
    bool here = (fault.plan.kind == FAULTS_ABORT || fault.plan.kind == FAULTS_LATE) &&
                point == fault.plan.point;
    if (fault.plan.kind == FAULTS_MANY)
        here = below(MANY_INTERRUPTED_ONE_IN) == 0;
    if (!here)
        return FAULT_GO_ON;
    fault.tally.injected++;
    if (fault.plan.kind == FAULTS_MANY)
        return below(2) == 0 ? FAULT_ABORT : FAULT_LATE;
    return fault.plan.kind == FAULTS_ABORT ? FAULT_ABORT : FAULT_LATE;
}
