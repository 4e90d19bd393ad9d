#include "monitor/io_choice.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/identity.h"
#include "base/log.h"
#include "rt/loop.h"

const char *io_uring_why_not(int error)
{
    _cleanup_close_ int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    char disabled = '0';

    switch (error) {
    case -EPERM:
    case -EACCES:
        if (fd >= 0 && read(fd, &disabled, 1) == 1 && disabled == '2')
            return "sysctl kernel.io_uring_disabled=0 allows it (it is 2: forbidden to all).";
        if (disabled == '1')
            return "sysctl kernel.io_uring_disabled=0 allows it (it is 1: only for "
                   "kernel.io_uring_group).";
        return "A container's seccomp profile forbids it; Docker: --security-opt seccomp=FILE with "
               "the io_uring calls allowed.";
    case -ENOMEM:
        return "Raise RLIMIT_MEMLOCK (ulimit -l): kernels before 5.12 count rings against it.";
    case -ENOSYS:
        return "The kernel was built without it, or a container hides it.";
    case -EINVAL:
        return "The kernel is too old for it: Linux 5.19 or newer.";
    default:
        return "See fastfile check.";
    }
}

/* A ring made by a process that has become that user, as gate and home do. */
static int probe_as(uid_t uid, gid_t gid)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (uid != (uid_t)-1)
            (void)identity_become(uid, gid, 0); /* or stays: in a container with one user */
        int r = identity_limit_capabilities(0);
        _exit(-(r < 0 ? r : loop_probe(LOOP_IO_URING)));
    }
    if (pid < 0)
        return -errno;
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return -ENOSYS; /* a filter that kills */
    return -WEXITSTATUS(status);
}

int io_choose(const struct config *config, struct boot *boot)
{
    boot->io = LOOP_IO_EPOLL;
    if (config->io == IO_MODE_EPOLL)
        return 0;
    int r = boot->uid == (uint32_t)-1 ? 0 : probe_as(boot->uid, boot->gid);
    if (r == 0)
        r = geteuid() == 0 ? probe_as(IDENTITY_NOBODY, IDENTITY_NOBODY)
                           : probe_as((uid_t)-1, (gid_t)-1);
    if (r == 0) {
        boot->io = LOOP_IO_URING;
        return 0;
    }
    if (config->io == IO_MODE_URING) {
        log_error("io_uring cannot be used here: %s. %s Or start without --io uring: then epoll "
                  "does its work.",
                  strerror(-r), io_uring_why_not(r));
        return r;
    }
    log_warning("io_uring cannot be used here (%s), so epoll does its work. %s", strerror(-r),
                io_uring_why_not(r));
    return 0;
}
