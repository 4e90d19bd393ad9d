#include "base/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/identity.h"
#include "base/sanitize.h"

int namespace_probe(uid_t uid, gid_t gid)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        int error = uid == (uid_t)-1 ? 0 : identity_become(uid, gid, 0);
        _exit(error < 0 ? -error : -namespace_enter());
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

const char *namespace_why_not(int error)
{
    switch (-error) {
    case EPERM:
    case EACCES:
        return "no user namespaces (a container, a chroot or a sysctl forbids them)";
    case ENOSPC:
    case EUSERS:
        return "no user namespaces (sysctl user.max_user_namespaces)";
    default:
        return "no user namespaces (this kernel has none)";
    }
}

static void write_map(const char *path, const char *text)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

    /* Without the map (no /proc) user and group are shown as 65534 inside; rights are the same. */
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        return;
}

static void map_identity(uid_t uid, gid_t gid)
{
    char line[40];

    snprintf(line, sizeof(line), "%u %u 1\n", uid, uid);
    write_map("/proc/self/uid_map", line);
    write_map("/proc/self/setgroups",
              "deny\n"); /* the kernel wants this before an unprivileged gid_map */
    snprintf(line, sizeof(line), "%u %u 1\n", gid, gid);
    write_map("/proc/self/gid_map", line);
}

int namespace_enter(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return -errno;
    map_identity(uid, gid);
    /* What is mounted outside shall appear inside, not the other way round. A less privileged
     * namespace is made so by the kernel; saying it costs nothing. EINVAL: "/" is no mount point.
     */
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 && errno != EINVAL)
        return -errno;
    return 0;
}

/* Leaves the old root for the current folder, which is a mount point. */
static int pivot_here(void)
{
    if (SANITIZED) /* the leak check reads /proc/self/task */
        return 0;
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        /* The old root now lies on top of the new one: pivot_root(2), "pivot_root(".", ".")". */
        if (umount2(".", MNT_DETACH) < 0)
            return -errno;
    } else if (chroot(".") < 0) {
        return -errno;
    }
    return chdir("/") < 0 ? -errno : 0;
}

/* Covers `path`, relative to the current folder. What the user cannot reach (EACCES) is hidden
 * already, until somebody changes a mode: then the nearest folder above it is covered, which that
 * user could not look into either. */
static int cover(const char *path)
{
    char name[PATH_MAX];
    char *slash;

    size_t n = strlen(path) + 1;
    if (n > sizeof(name))
        return -ENAMETOOLONG;
    memcpy(name, path, n);
    while (mount("tmpfs", name, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                 "size=4k,mode=0555") < 0) {
        if (errno != EACCES || !(slash = strrchr(name, '/')))
            return -errno;
        *slash = '\0';
    }
    return 0;
}

/* The kernel takes a cover off when what lies below it is removed or replaced from outside (3.18).
 * So folders are covered, never files, which are replaced by rename whenever somebody edits them.
 */
static int cover_folders(const char *dir, const char *covered)
{
    size_t skip = strcmp(dir, "/") == 0 ? 1 : strlen(dir) + 1;
    int error = 0;

    for (const char *path = covered; *path && error == 0; path += strlen(path) + 1)
        error = cover(path + skip);
    return error;
}

int namespace_root_at(const char *dir, const char *covered)
{
    int error;

    if (strcmp(dir, "/") != 0 && mount(dir, dir, NULL, MS_BIND | MS_REC, NULL) < 0)
        return -errno;
    if (chdir(dir) < 0)
        return -errno;
    error = cover_folders(dir, covered);
    if (error < 0 || strcmp(dir, "/") == 0)
        return error;
    return pivot_here();
}

int namespace_root_empty(void)
{
    _cleanup_close_ int fs = -1;
    _cleanup_close_ int fd = -1;

    if (SANITIZED)
        return 0;
    /* A file system that is mounted nowhere, so that no folder is needed to put it on (Linux 5.2).
     */
    fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "4k", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
        syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
                      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (fd < 0 || fchdir(fd) < 0 || chroot(".") < 0)
        return -errno;
    return 0;
}

int namespace_root_deleted(void)
{
    static const char *const places[] = {"/run", "/tmp", "/var/tmp", "/dev/shm"};

    if (SANITIZED)
        return 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "%s/fastfile-XXXXXX", places[i]);
        if (!mkdtemp(path))
            continue;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (rmdir(path) < 0 || fd < 0)
            return -errno;
        /* Nothing can be made in a folder that is gone. */
        return fchdir(fd) < 0 || chroot(".") < 0 ? -errno : 0;
    }
    return -ENOENT;
}
