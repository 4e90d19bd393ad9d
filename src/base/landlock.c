#include "base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sanitize.h"

/* Debian 12's linux/landlock.h knows the third version only, so what the kernel expects stands here
 * (Documentation/userspace-api/landlock.rst of Linux 6.12). */
enum { CREATE_RULESET_VERSION = 1, RULE_PATH_BENEATH = 1 };

struct ruleset_attributes {
    uint64_t handled_fs;
    uint64_t handled_net; /* version 4 */
    uint64_t scoped;      /* version 6 */
};

struct path_beneath_attributes {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

enum {
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_FOLDER = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_FOLDER = 1 << 7,
    FS_MAKE_FILE = 1 << 8,
    FS_MAKE_LINK = 1 << 12,
    FS_ALL_1 = (1 << 13) - 1,  /* execute, read, write, remove, make */
    FS_REFER = 1 << 13,        /* link and rename across folders; version 2 */
    FS_TRUNCATE = 1 << 14,     /* version 3 */
    FS_IOCTL_DEVICE = 1 << 15, /* version 5 */
    NET_BIND_CONNECT = 3,
    SCOPE_ABSTRACT_SOCKETS_SIGNALS = 3,
};

int landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

    return version > 0 ? (int)version : 0;
}

enum {
    READING = FS_READ_FILE | FS_READ_DIR,
    WRITING = FS_WRITE_FILE | FS_REMOVE_FOLDER | FS_REMOVE_FILE | FS_MAKE_FOLDER | FS_MAKE_FILE |
              FS_MAKE_LINK | FS_REFER | FS_TRUNCATE,
};

static int allow(int ruleset_fd, int dir_fd, uint64_t rights)
{
    struct path_beneath_attributes rule = {rights, dir_fd};

    return syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int landlock_restrict(const int *dir_fds, size_t count, bool writable)
{
    int version = landlock_version();
    struct ruleset_attributes attributes = {.handled_fs = FS_ALL_1};
    size_t size = offsetof(struct ruleset_attributes, handled_net);
    _cleanup_close_ int fd = -1;

    if (version == 0)
        return -ENOSYS;
    if (version >= 2)
        attributes.handled_fs |= FS_REFER;
    if (version >= 3)
        attributes.handled_fs |= FS_TRUNCATE;
    if (version >= 5)
        attributes.handled_fs |= FS_IOCTL_DEVICE;
    if (version >= 4) {
        attributes.handled_net = NET_BIND_CONNECT;
        size = offsetof(struct ruleset_attributes, scoped);
    }
    if (version >= 6) {
        attributes.scoped = SCOPE_ABSTRACT_SOCKETS_SIGNALS;
        size = sizeof(attributes);
    }
    fd = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (fd < 0)
        return -errno;
    uint64_t rights = writable ? attributes.handled_fs & (READING | WRITING) : READING;
    for (size_t i = 0; i < count; i++)
        if (allow(fd, dir_fds[i], rights) < 0)
            return -errno;
    if (SANITIZED) {
        _cleanup_close_ int proc = open("/proc", O_PATH | O_CLOEXEC);
        if (proc >= 0 && allow(fd, proc, READING) < 0)
            return -errno;
    }
    return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}
