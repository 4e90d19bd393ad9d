#include "home/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/digest.h"
#include "auth/statefile.h"
#include "base/cleanup.h"

enum { NAME_DIGITS = 16 };

/* Of the folder that is served: servers of different ones do not meet. */
static void make_name(const char *dir, char which, char out[32])
{
    uint8_t digest[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES];

    digest_sha256(span_str(dir), SPAN(""), digest);
    digest_to_hex(digest, hex);
    snprintf(out, 32, "locks-%.*s.%c", NAME_DIGITS, hex, which);
}

static int open_file(int folder_fd, const char *name, int *ret_fd)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    struct stat st;

    _cleanup_close_ int fd = openat(folder_fd, name, flags, S_IRUSR | S_IWUSR);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
        return -EINVAL;
    *ret_fd = take_fd(&fd);
    return 0;
}

static int open_files(const struct boot *boot, int fds[2])
{
    char path[sizeof(boot->state_dir) + 1], name[32];

    snprintf(path, sizeof(path), "%s/", boot->state_dir);
    _cleanup_close_ int folder_fd = statefile_open_folder(path);
    int r = folder_fd < 0 ? folder_fd : 0;
    for (int i = 0; r == 0 && i < 2; i++) {
        make_name(boot->dir, i == 0 ? 'a' : 'b', name);
        r = open_file(folder_fd, name, &fds[i]);
    }
    if (r == 0 && flock(fds[0], LOCK_EX | LOCK_NB) < 0)
        r = -errno;
    if (r == 0 && fsync(folder_fd) < 0)
        r = -errno;
    return r;
}

static const char *why_not(int error)
{
    switch (-error) {
    case EWOULDBLOCK:
        return "another server of this folder keeps its own";
    case EACCES:
    case EPERM:
    case EROFS:
        return "its state folder is not writable";
    case ENOSPC:
    case EDQUOT:
        return "there is no space for them in the state folder";
    default:
        return "there is no state folder for them";
    }
}

void home_state_open(const struct boot *boot, int ret_fds[2], const char **ret_why)
{
    ret_fds[0] = ret_fds[1] = -1;
    *ret_why = NULL;
    int r = boot->state_dir[0] ? open_files(boot, ret_fds) : -ENOENT;
    if (r == 0)
        return;
    *ret_why = why_not(r);
    for (int i = 0; i < 2; i++) {
        if (ret_fds[i] >= 0)
            close(ret_fds[i]);
        ret_fds[i] = -1;
    }
}
