#include "files/upload_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "auth/digest.h"
#include "base/cleanup.h"
#include "base/limits.h"

#define OWN_FOLDER ".fastfile"
#define UPLOADS "uploads"

enum {
    /* What is not complete is nobody else's business. */
    MODE_FOLDER = 0700,
    MODE_FILE = 0600,
    USER_CHARS = 16,
};

_Static_assert(UPLOAD_NAME_BYTES == USER_CHARS + 1 + UPLOAD_TOKEN_CHARS, "USER-TOKEN");

/* --- names --- */

static const char *const suffixes[UPLOAD_FILES] = {
    [UPLOAD_DATA] = ".data",
    [UPLOAD_INFO] = ".info",
    [UPLOAD_NEW_INFO] = ".new",
};

struct upload_file_name upload_file_name(const char *name, enum upload_file file)
{
    struct upload_file_name result;

    snprintf(result.text, sizeof(result.text), "%.*s%s", UPLOAD_NAME_BYTES, name, suffixes[file]);
    return result;
}

int upload_name(struct span user, const char *token, char ret_name[UPLOAD_NAME_BYTES + 1])
{
    uint8_t digest[DIGEST_BYTES] = {0};
    char hex[2 * DIGEST_BYTES];
    char *at = ret_name;

    digest_sha256(user, SPAN(""), digest);
    digest_to_hex(digest, hex);
    memcpy(at, hex, USER_CHARS);
    at += USER_CHARS;
    *at++ = '-';
    if (!token) {
        if (getrandom(digest, UPLOAD_TOKEN_CHARS / 2, 0) != UPLOAD_TOKEN_CHARS / 2)
            return -EIO;
        digest_to_hex(digest, hex);
        token = hex;
    }
    memcpy(at, token, UPLOAD_TOKEN_CHARS);
    at[UPLOAD_TOKEN_CHARS] = '\0';
    return 0;
}

struct span upload_name_user(const char *name)
{
    return span_of(name, USER_CHARS + 1);
}

bool upload_file_parse(const char *entry, enum upload_file *ret_file)
{
    if (strlen(entry) <= UPLOAD_NAME_BYTES)
        return false;
    for (unsigned i = 0; i < UPLOAD_FILES; i++)
        if (strcmp(entry + UPLOAD_NAME_BYTES, suffixes[i]) == 0) {
            *ret_file = (enum upload_file)i;
            return true;
        }
    return false;
}

struct span upload_name_token(const char *name)
{
    return span_of(name + USER_CHARS + 1, UPLOAD_TOKEN_CHARS);
}

/* --- finding the folder --- */

/* Between two mounts of one file system there is no renaming either. Returns 1, 0, or -EIO. */
static int same_mount(int a, int b)
{
    struct statx one, two;
    unsigned mask = STATX_BASIC_STATS | STATX_MNT_ID;

    if (statx(a, "", AT_EMPTY_PATH, mask, &one) < 0 || statx(b, "", AT_EMPTY_PATH, mask, &two) < 0)
        return -EIO;
    return one.stx_dev_major == two.stx_dev_major && one.stx_dev_minor == two.stx_dev_minor &&
           (!(one.stx_mask & two.stx_mask & STATX_MNT_ID) || one.stx_mnt_id == two.stx_mnt_id);
}

static int open_own(int fd, const char *name)
{
    return root_open_raw(fd, name, O_RDONLY | O_DIRECTORY, 0,
                         RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

static int make_one(int fd, const char *name, bool durable)
{
    int made = open_own(fd, name);

    if (made != -ENOENT)
        return made;
    if (mkdirat(fd, name, MODE_FOLDER) < 0 && errno != EEXIST)
        return -errno;
    made = open_own(fd, name);
    /* A folder that may not be read cannot be synced alone. */
    if (made >= 0 && durable && fsync(fd) < 0 && errno != EBADF) {
        int error = -errno;
        close(made);
        return error;
    }
    return made;
}

static int make_below(int top_fd, bool durable)
{
    _cleanup_close_ int own_fd = make_one(top_fd, OWN_FOLDER, durable);

    if (own_fd < 0)
        return own_fd;
    _cleanup_close_ int fd = make_one(own_fd, UPLOADS, durable);
    return take_fd(&fd);
}

static int open_top(int root_fd, struct span top, uint64_t flags, uint64_t resolve)
{
    char path[LIMIT_PATH_BYTES];

    if (top.len >= sizeof(path))
        return -ENAMETOOLONG;
    memcpy(path, top.data, top.len);
    path[top.len] = '\0';
    return root_open_raw(root_fd, path, flags | O_DIRECTORY, 0, resolve);
}

int upload_folder_make(int root_fd, struct span path, const struct place *place, bool durable,
                       struct span *ret_top)
{
    int r = -EXDEV;

    for (size_t end = 0; end < path.len; end++) {
        if (end > 0 && path.data[end] != '/')
            continue;
        struct span top = span_first(path, end);
        _cleanup_close_ int fd = open_top(root_fd, top, O_RDONLY, 0);
        if (fd == -EACCES)
            fd = open_top(root_fd, top, O_PATH, 0);
        if (fd < 0)
            return fd;
        int same = same_mount(fd, place->dir_fd);
        if (same < 0)
            return same;
        if (!same)
            continue;
        r = make_below(fd, durable);
        if (r != -EACCES && r != -EPERM && r != -EROFS) {
            *ret_top = top;
            break;
        }
    }
    return r;
}

int upload_folder_open(int root_fd, struct span top, uint64_t resolve)
{
    _cleanup_close_ int fd = open_top(root_fd, top, O_PATH, resolve);

    return fd < 0 ? fd : open_own(fd, OWN_FOLDER "/" UPLOADS);
}

int upload_folder_open_file(int folder_fd, const char *name, enum upload_file file, uint64_t flags)
{
    struct upload_file_name full = upload_file_name(name, file);

    return root_open_raw(folder_fd, full.text, flags | O_NONBLOCK, flags & O_CREAT ? MODE_FILE : 0,
                         RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

int upload_file_write(int fd, struct span bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.data, bytes.len, (off_t)offset);
        if (n == 0 || (n < 0 && errno != EINTR))
            return n < 0 ? -errno : -EIO;
        bytes = span_skip(bytes, n > 0 ? (size_t)n : 0);
        offset += n > 0 ? (uint64_t)n : 0;
    }
    return 0;
}

int upload_folder_remove(int folder_fd, const char *name, bool durable)
{
    /* Without its info nothing is an upload: that goes first. */
    static const enum upload_file order[] = {UPLOAD_INFO, UPLOAD_NEW_INFO, UPLOAD_DATA};
    int r = 0;

    for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct upload_file_name file = upload_file_name(name, order[i]);
        if (unlinkat(folder_fd, file.text, 0) < 0 && errno != ENOENT && r == 0)
            r = -errno;
    }
    if (r == 0 && durable && fsync(folder_fd) < 0)
        r = -errno;
    return r;
}
