#include "auth/statefile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>

#include "base/cleanup.h"

int statefile_read(const char *path, struct buf *out, struct stat *ret_stat)
{
    enum { STEP = 16 * 1024 };
    struct stat st;

    /* O_NONBLOCK: a FIFO must not hold us up before it is seen to be one. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    for (;;) {
        size_t room = out->max - out->len < STEP ? out->max - out->len : STEP;
        char probe = 0;
        char *to = room > 0 ? buf_reserve(out, room) : &probe; /* full: is there more? */
        if (!to)
            return -ENOMEM;
        ssize_t n = read(fd, to, room > 0 ? room : 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        if (room == 0)
            return -EFBIG;
        out->len += (size_t)n;
    }
    if (ret_stat)
        *ret_stat = st;
    return 0;
}

/* Makes `path` and its parents, as mkdir -p does. */
static int make_folders(char *path)
{
    for (char *p = path + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        int r = mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
        *p = c;
        if (r < 0 || c == '\0')
            return r;
    }
}

int statefile_open_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash && slash != path ? (size_t)(slash - path) : 1;

    _cleanup_free_ char *folder = strndup(slash ? path : ".", len);
    if (!folder)
        return -ENOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int r = make_folders(folder);

        if (r < 0)
            return r;
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return fd < 0 ? -errno : fd;
}

static int write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            text = span_skip(text, (size_t)n);
    }
    return 0;
}

/* Between the file's name with a dot before it and six letters of mkostemp(). */
#define TEMPORARY_MARK ".new-"

/* Fills the temporary file and gives it owner and mode. */
static int write_temporary(int fd, struct span text, const struct stat *like, bool is_strict)
{
    int r = write_all(fd, text);

    if (r < 0)
        return r;
    /* Only root may give a file away; where that fails, a file of our own is still a good one, but
     * its group is ours too, and what the old group could read this one need not. */
    if (like && fchown(fd, like->st_uid, like->st_gid) < 0) {
        if (is_strict)
            return -EPERM;
        like = NULL;
    }
    if (fchmod(fd, like ? like->st_mode & 0660 : 0600) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

static int replace(const char *path, struct span text, const struct stat *like, bool is_strict)
{
    _cleanup_free_ char *temporary = NULL;
    const char *slash = strrchr(path, '/');
    int folder_len = slash ? (int)(slash + 1 - path) : 0;

    _cleanup_close_ int folder = statefile_open_folder(path);
    if (folder < 0)
        return folder;
    if (asprintf(&temporary, "%.*s.%s" TEMPORARY_MARK "XXXXXX", folder_len, path,
                 path + folder_len) < 0) {
        temporary = NULL;
        return -ENOMEM;
    }
    _cleanup_close_ int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return -errno;
    int r = write_temporary(fd, text, like, is_strict);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(temporary);
        return r;
    }
    return fsync(folder) < 0 ? -errno : 0;
}

int statefile_replace(const char *path, struct span text, const struct stat *like)
{
    return replace(path, text, like, false);
}

int statefile_replace_alike(const char *path, struct span text, const struct stat *like)
{
    return replace(path, text, like, true);
}

static bool is_leftover(const char *entry, const char *name)
{
    size_t len = strlen(name);

    return entry[0] == '.' && strncmp(entry + 1, name, len) == 0 &&
           fnmatch(TEMPORARY_MARK "??????", entry + 1 + len, 0) == 0;
}

void statefile_remove_leftovers(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int fd = statefile_open_folder(path);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct stat st;

    if (!folder) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (is_leftover(entry->d_name, name) &&
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_uid == geteuid())
            (void)unlinkat(fd, entry->d_name, 0);
    closedir(folder);
}
