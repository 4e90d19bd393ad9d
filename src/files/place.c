#include "files/place.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "files/temporary.h"

/* As many as the kernel follows in one path, fewer than it would fail with. */
enum { LINKS_MAX = 8 };

static int open_folder(int root_fd, const char *path, uint64_t resolve, struct place *p)
{
    int fd = root_open_raw(root_fd, path, O_RDONLY | O_DIRECTORY, 0, resolve);

    if (fd == -EACCES) {
        p->unreadable = true;
        fd = root_open_raw(root_fd, path, O_PATH | O_DIRECTORY, 0, resolve);
    }
    return fd;
}

/* Through links, or by another name, into a folder of the server's own? */
static int check_not_own(int root_fd, const struct place *p)
{
    struct stat st;

    int r = root_folder_is_own(root_fd, p->dir_fd);
    if (r == 0 && place_look(p, &st) == 0)
        r = root_own_is(p->dir_fd, &st);
    return r > 0 ? -EACCES : r;
}

static int find_folder(int root_fd, char *path, char *slash, uint64_t resolve, struct place *p)
{
    const char *folder = slash ? path : ".";
    bool doubtful = root_path_is_doubtful(span_str(path));

    if (slash)
        *slash = '\0';
    int fd = open_folder(root_fd, folder, resolve | RESOLVE_NO_SYMLINKS, p);
    if (fd == -ELOOP) {
        doubtful = true;
        fd = open_folder(root_fd, folder, resolve, p);
    }
    if (slash)
        *slash = '/';
    if (fd < 0)
        return fd;
    p->dir_fd = fd;
    int r = file_stat(fd, &p->dir);
    return r == 0 && doubtful ? check_not_own(root_fd, p) : r;
}

static int open_place(int root_fd, char *path, uint64_t resolve, struct place *p)
{
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = strlen(name);

    *p = PLACE_NONE;
    p->resolve = resolve;
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    /* At the end of a link these may stand; they are no names. */
    if (len == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EISDIR;
    memcpy(p->name, name, len + 1);
    int r = find_folder(root_fd, path, slash, resolve, p);
    if (r < 0)
        place_close(p);
    return r;
}

/* Puts what the link says in place of its name at the end of the path. */
static int follow(const struct place *p, char *path)
{
    _cleanup_free_ char *target = malloc(LIMIT_PATH_BYTES);
    char *slash = strrchr(path, '/');
    size_t keep = slash ? (size_t)(slash + 1 - path) : 0;

    if (!target)
        return -ENOMEM;
    ssize_t len = readlinkat(p->dir_fd, p->name, target, LIMIT_PATH_BYTES);
    if (len < 0)
        return -errno;
    if (keep + (size_t)len >= LIMIT_PATH_BYTES)
        return -ENAMETOOLONG;
    if (len == 0 || target[0] == '/') /* RESOLVE_BENEATH goes by no absolute path */
        return -EXDEV;
    memcpy(path + keep, target, (size_t)len);
    path[keep + (size_t)len] = '\0';
    return root_path_reserved(span_str(path)) ? -EACCES : 0;
}

static int copy_path(struct span path, char **ret_copy)
{
    assert(path.len > 0 && path.len < LIMIT_PATH_BYTES && path.data[path.len] == '\0');
    *ret_copy = malloc(LIMIT_PATH_BYTES);
    if (!*ret_copy)
        return -ENOMEM;
    memcpy(*ret_copy, path.data, path.len + 1);
    return 0;
}

int place_open_look(int root_fd, struct span path, uint64_t resolve, struct place *ret_place,
                    struct stat *ret_stat)
{
    _cleanup_free_ char *way = NULL;
    struct place p = PLACE_NONE;
    struct stat st;

    int r = copy_path(path, &way);
    for (int links = 0; r == 0; links++) {
        r = open_place(root_fd, way, resolve, &p);
        if (r < 0)
            break;
        r = place_look(&p, &st);
        /* What cannot be looked at now may be a link when it is looked at next. */
        if (r == -ENOENT || (r == 0 && !S_ISLNK(st.st_mode))) {
            *ret_place = p;
            *ret_stat = r == 0 ? st : (struct stat){0};
            return 0;
        }
        if (r == 0)
            r = links < LINKS_MAX ? follow(&p, way) : -ELOOP;
        place_close(&p);
    }
    return r;
}

int place_open(int root_fd, struct span path, uint64_t resolve, struct place *ret_place)
{
    struct stat st;

    return place_open_look(root_fd, path, resolve, ret_place, &st);
}

int place_open_link(int root_fd, struct span path, uint64_t resolve, struct place *ret_place)
{
    _cleanup_free_ char *way = NULL;
    struct place p = PLACE_NONE;
    struct stat st;

    int r = copy_path(path, &way);
    if (r == 0)
        r = open_place(root_fd, way, resolve, &p);
    if (r == 0 && place_look(&p, &st) == -EXDEV) {
        place_close(&p);
        r = -EXDEV;
    }
    if (r == 0)
        *ret_place = p;
    return r;
}

/* fstatat() would look at what is mounted on the name. */
static int look_here(const struct place *place, struct stat *ret_stat)
{
    _cleanup_close_ int fd =
        root_open_raw(place->dir_fd, place->name, O_PATH | O_NOFOLLOW, 0, place->resolve);

    return fd < 0 ? fd : file_stat(fd, ret_stat);
}

int place_look(const struct place *place, struct stat *ret_stat)
{
    if (place->resolve & RESOLVE_NO_XDEV)
        return look_here(place, ret_stat);
    /* AT_EMPTY_PATH changes nothing for a name; home's system call filter wants it. */
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

    return fstatat(place->dir_fd, place->name, ret_stat, flags) < 0 ? -errno : 0;
}

int place_rename(int dir_fd, const char *name, const struct place *place)
{
    struct stat st;

    if (renameat2(dir_fd, name, place->dir_fd, place->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    /* Where the file system does not know RENAME_NOREPLACE, our own name lock keeps others of this
     * server away between looking and renaming. */
    int r = place_look(place, &st);
    if (r != -ENOENT)
        return r == 0 ? -EEXIST : r;
    return renameat(dir_fd, name, place->dir_fd, place->name) < 0 ? -errno : 0;
}

/* By any open file of the file system: a new one without a name, or where there is no such thing,
 * with one that nobody sees. Should the power go before that is removed, it is in leftovers.h. */
static int sync_by_new_file(const struct place *place)
{
    char name[TEMPORARY_NAME_BYTES];
    int fd = root_open_raw(place->dir_fd, ".", O_TMPFILE | O_WRONLY, 0600, 0);
    bool is_named = fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL;

    if (is_named) {
        int r = temporary_make_name(name);
        if (r < 0)
            return r;
        fd = root_open_raw(place->dir_fd, name, O_CREAT | O_EXCL | O_WRONLY, 0600, 0);
    }
    if (fd < 0)
        return fd;
    int r = syncfs(fd) < 0 ? -errno : 0;
    close(fd);
    if (is_named)
        unlinkat(place->dir_fd, name, 0);
    return r;
}

int place_sync(const struct place *place, int fd)
{
    if (!place->unreadable)
        return fsync(place->dir_fd) < 0 ? -errno : 0;
    if (fd < 0)
        return sync_by_new_file(place);
    return syncfs(fd) < 0 ? -errno : 0;
}

void place_close(struct place *place)
{
    if (place->dir_fd >= 0)
        close(place->dir_fd);
    place->dir_fd = -1;
}
