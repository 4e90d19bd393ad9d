#include "home/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/identity.h"
#include "base/landlock.h"
#include "base/namespace.h"
#include "base/sanitize.h"
#include "base/seccomp.h"

/* linux/tls.h has a name in common with tls/keys.h. */
#ifndef SOL_TLS
#define SOL_TLS 282
#endif
enum { TLS_TX = 1 };

/* Connections, the channel and the rings as in gate, and reading files below DIR. openat2 is the
 * only call with a path. */
static const struct seccomp_call home_calls[] = {
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
    /* files */
    {.name = "openat2"},
    {.name = "fstat"},
    {"newfstatat", true, 3, AT_EMPTY_PATH, AT_EMPTY_PATH, 0}, /* what glibc's fstat() is */
    {"statx", true, 2, AT_EMPTY_PATH, AT_EMPTY_PATH, 0},
    {.name = "fstatfs"},
    {.name = "fgetxattr"},
    {.name = "getdents64"},
    {.name = "lseek"},
    {.name = "pread64"},
    {.name = "preadv"},
    {.name = "preadv2"},
    {.name = "readv"},
    {.name = "fadvise64"},
    {.name = "sendfile"},
    {.name = "cachestat"},
    /* Watching what is open, never by a path; marks on more than a folder or file take privileges.
     * On a 32-bit system the path is another argument, and nothing is watched. */
    {"fanotify_mark", true, 4, UINT64_MAX, 0, 0},
};

/* And changing them, unless nobody may. All of these work on descriptors of folders and on single
 * names in them. */
static const struct seccomp_call change_calls[] = {
    /* How much of a file is worth waking up for. */
    {"setsockopt", true, 1, UINT32_MAX, SOL_SOCKET, SO_RCVLOWAT},
    {.name = "pwrite64"}, /* where there is no io_uring */
    {.name = "readlinkat"},
    {.name = "linkat"},
    {.name = "symlinkat"},
    {.name = "mkdirat"},
    {.name = "unlinkat"},
    {.name = "renameat"},
    {.name = "renameat2"},
    {.name = "fchmod"},
    {.name = "fchown"},
    {.name = "utimensat"},
    {.name = "ftruncate"},
    {"fallocate", true, 1, UINT32_MAX, FALLOC_FL_KEEP_SIZE, 0},
    {.name = "copy_file_range"},
    {"ioctl", true, 1, UINT32_MAX, FICLONE, 0},
    {"ioctl", true, 1, UINT32_MAX, FS_IOC_FIEMAP, 0},
    {.name = "fsync"},
    {.name = "sync_file_range"},
    {.name = "sync_file_range2"}, /* what it is on 32-bit ARM */
    {.name = "syncfs"},
    {.name = "fsetxattr"},
    {.name = "flistxattr"},
    {.name = "fremovexattr"},
};

/* And what the loops wait with. */
static const struct seccomp_call ring_calls[] = {{.name = "io_uring_enter"}};
static const struct seccomp_call epoll_calls[] = {
    {.name = "epoll_ctl"},
    {.name = "epoll_wait"},
    {.name = "epoll_pwait"}, /* what epoll_wait() is on aarch64 */
};

/* And to hand the sending direction of a connection to the kernel. */
static const struct seccomp_call ktls_calls[] = {
    {"setsockopt", true, 1, UINT32_MAX, IPPROTO_TCP, TCP_ULP},
    {"setsockopt", true, 1, UINT32_MAX, SOL_TLS, TLS_TX},
    {"setsockopt", true, 1, UINT32_MAX, SOL_SOCKET, SO_SNDTIMEO},
};

/* The new root is DIR itself: there is nothing else in it, and no folder has to be made for it. */
static int make_root(const struct boot *boot, int dir_fd, const char **ret_limited)
{
    int error = namespace_enter();

    if (error == 0) {
        error = namespace_root_at(boot->dir, boot->covered);
        if (error == 0)
            return 0;
        *ret_limited = "DIR could not be mounted for the file process alone";
    } else {
        *ret_limited = namespace_why_not(error);
    }
    if (boot->covered[0])
        return -EXDEV;
    /* Started as root: in a chroot there are no namespaces, but there is chroot. Also where the
     * user may read DIR but not look into a folder above it. */
    if (!SANITIZED && fchdir(dir_fd) == 0 && chroot(".") == 0)
        return 0;
    return error;
}

int home_sandbox_enter(const struct boot *boot, int *ret_root_fd, const char **ret_limited)
{
    const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    _cleanup_close_ int dir_fd = open(boot->dir, flags);
    int error = identity_no_new_privileges();

    *ret_limited = NULL;
    if (error == 0 && boot->uid != (uint32_t)-1)
        error = identity_become(boot->uid, boot->gid, CAPABILITY(CAP_SYS_CHROOT));
    if (error < 0)
        return error;
    /* Root without its capabilities may not look into a home that is closed to others; its owner
     * may. */
    if (dir_fd < 0 && (dir_fd = open(boot->dir, flags)) < 0)
        return -errno;
    error = make_root(boot, dir_fd, ret_limited);
    if (error == -EXDEV)
        return error;
    /* With a root of its own "." is DIR under its covers; without one dir_fd is all there is. */
    _cleanup_close_ int root_fd = error == 0 ? open(".", flags) : take_fd(&dir_fd);
    if (root_fd < 0 || (error = identity_limit_capabilities(0)) < 0)
        return root_fd < 0 ? -errno : error;
    if (faccessat(root_fd, ".", X_OK, 0) < 0)
        return -errno;
    error = landlock_restrict(&root_fd, 1, !boot->read_only);
    if (error < 0 && *ret_limited)
        *ret_limited =
            "neither user namespaces nor Landlock: only the system call filter keeps the "
            "file process inside DIR";
    *ret_root_fd = take_fd(&root_fd);
    return 0;
}

int home_sandbox_close(const struct boot *boot)
{
    struct seccomp_list lists[4] = {
        SECCOMP_LIST(home_calls),
        boot->io == LOOP_IO_EPOLL ? SECCOMP_LIST(epoll_calls) : SECCOMP_LIST(ring_calls),
    };
    size_t count = 2;

    if (!boot->read_only)
        lists[count++] = SECCOMP_LIST(change_calls);
    if (boot->ktls)
        lists[count++] = SECCOMP_LIST(ktls_calls);
    return seccomp_allow_only(lists, count);
}
