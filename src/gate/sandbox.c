#include "gate/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/landlock.h"
#include "base/namespace.h"
#include "base/seccomp.h"

/* Connections, the channel and the rings; all on descriptors that somebody else opened. */
static const struct seccomp_call gate_calls[] = {
    {.name = "recvmsg"},
    {.name = "sendmsg"},
    {.name = "recvfrom"},
    {.name = "sendto"},
    {.name = "shutdown"},
    {.name = "getpeername"},
    {.name = "getsockname"},
    {.name = "writev"}, /* what libc aborts with */
    {"fcntl", true, 1, UINT32_MAX, F_GETFL, 0},
    {"fcntl", true, 1, UINT32_MAX, F_SETFL, 0},
    {.name = "ppoll"},
    {.name = "poll"},
};

/* And what the loops wait with. */
static const struct seccomp_call ring_calls[] = {{.name = "io_uring_enter"}};
static const struct seccomp_call epoll_calls[] = {
    {.name = "epoll_ctl"},
    {.name = "epoll_wait"},
    {.name = "epoll_pwait"}, /* what epoll_wait() is on aarch64 */
    {.name = "accept4"},
};

static int leave_file_system(const char **ret_limited)
{
    bool is_root = geteuid() == 0;
    int error = is_root ? 0 : namespace_enter();

    if (error < 0) {
        *ret_limited = namespace_why_not(error);
        return error;
    }
    error = is_root ? namespace_root_deleted() : namespace_root_empty();
    if (error < 0)
        *ret_limited = "an empty root could not be made";
    return error;
}

int gate_sandbox_enter(const char **ret_limited)
{
    bool is_root = geteuid() == 0;
    int error = identity_no_new_privileges();

    *ret_limited = NULL;
    if (error < 0)
        return error;
    int root_error = leave_file_system(ret_limited);
    if (is_root && identity_become(IDENTITY_NOBODY, IDENTITY_NOBODY, 0) < 0)
        /* A container in which root is the only user: the rights are that user's then. */
        *ret_limited = "no other user to become (a container with one user)";
    error = identity_limit_capabilities(0);
    if (error < 0)
        return error;
    /* On top, and where the root could not be left instead. Where neither works, what the filter
     * allows is still no way to any file; but then home can see files of this user, and /proc would
     * show it our memory with keys and passwords. */
    if (landlock_restrict(NULL, 0, false) < 0 && root_error < 0 &&
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

int gate_sandbox_close(enum loop_io io)
{
    const struct seccomp_list lists[] = {
        SECCOMP_LIST(gate_calls),
        io == LOOP_IO_EPOLL ? SECCOMP_LIST(epoll_calls) : SECCOMP_LIST(ring_calls),
    };

    return seccomp_allow_only(lists, sizeof(lists) / sizeof(lists[0]));
}
