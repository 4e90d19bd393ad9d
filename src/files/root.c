#include "files/root.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "files/place.h"

/* --- names that are the server's own --- */

#define OWN_NAME ".fastfile"
enum {
    OWN_BYTES = sizeof(OWN_NAME) - 1,
    /* A name and its extension on FAT, and as NTFS and others make them for clients of old. */
    SHORT_NAME_BYTES = 8 + 1 + 3,
};

enum { OPEN_TRIES = 16 };

static bool is_reserved(struct span name)
{
    if (name.len < OWN_BYTES || !span_equal_nocase(span_first(name, OWN_BYTES), SPAN(OWN_NAME)))
        return false;
    if (name.len > OWN_BYTES && (name.data[OWN_BYTES] == '-' || name.data[OWN_BYTES] == ':'))
        return true;
    for (size_t i = OWN_BYTES; i < name.len; i++)
        if (name.data[i] != '.' && name.data[i] != ' ')
            return false;
    return true;
}

/* Where cases do not differ, letters beyond ASCII may be the same as some of it ("ſ" is an "s"), or
 * be nothing. */
static bool may_fold(struct span name)
{
    bool beyond = false;
    size_t at = 0;

    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c >= 0x80) {
            beyond = true;
            continue;
        }
        if (at == 0 && c != '.')
            return false;
        c |= c >= 'A' && c <= 'Z' ? 0x20 : 0;
        while (at < OWN_BYTES && OWN_NAME[at] != (char)c)
            at++;
        if (at++ >= OWN_BYTES)
            return false;
    }
    return beyond && at > 0;
}

/* "FASTFI~1", and without a number where FAT is mounted so. */
static bool may_be_short(struct span name)
{
    size_t tilde = span_find(name, '~');

    return name.len <= SHORT_NAME_BYTES &&
           (tilde + 1 < name.len || span_equal_nocase(name, SPAN("fastfile")));
}

bool root_path_reserved(struct span path)
{
    while (path.len > 0)
        if (is_reserved(span_split(&path, '/')))
            return true;
    return false;
}

bool root_path_is_doubtful(struct span path)
{
    while (path.len > 0) {
        struct span name = span_split(&path, '/');
        if (may_be_short(name) || may_fold(name))
            return true;
    }
    return false;
}

/* --- the root --- */

static bool is_fast(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    switch ((uint32_t)fs.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

void root_init(struct root *root, int fd)
{
    struct stat st;

    *root = (struct root){.fd = fd, .fast = is_fast(fd)};
    if (file_stat(fd, &st) == 0)
        root->device = st.st_dev;
}

/* -EAGAIN: there was a ".." in a link while something was being renamed, anywhere on this machine
 * (openat2(2)). It is also what a file says of which another program has a lease, each time. */
static bool may_be_tried_again(int error, uint64_t resolve)
{
    return error == EINTR || (error == EAGAIN && !(resolve & RESOLVE_CACHED));
}

int root_open_raw(int root_fd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve,
    };
    long fd = -1;

    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        fd = syscall(SYS_openat2, root_fd, path[0] ? path : ".", &how, sizeof(how));
        if (fd >= 0 || !may_be_tried_again(errno, resolve))
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The only way upwards: nothing is done there but to look at what folder it is, and not beyond the
 * root. */
static int open_parent(int fd)
{
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_NO_MAGICLINKS,
    };
    long parent;

    do
        parent = syscall(SYS_openat2, fd, "..", &how, sizeof(how));
    while (parent < 0 && errno == EINTR);
    return parent < 0 ? -errno : (int)parent;
}

int root_folder_is_in(const struct root *root, int fd, const struct stat *folder)
{
    _cleanup_close_ int owned = -1;
    struct stat top, st;

    int r = file_stat(root->fd, &top);
    for (int depth = 0; r == 0 && depth <= LIMIT_TREE_DEPTH; depth++) {
        r = file_stat(fd, &st);
        if (r < 0 || same_inode(&st, folder))
            return r < 0 ? r : 1;
        if (same_inode(&st, &top))
            return 0;
        fd = open_parent(fd);
        if (owned >= 0)
            close(owned);
        owned = fd;
        r = fd < 0 ? fd : 0;
    }
    return r < 0 ? r : -ELOOP;
}

int root_own_is(int fd, const struct stat *st)
{
    /* AT_EMPTY_PATH changes nothing for a name; home's system call filter wants it. */
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
    struct stat own;

    if (fstatat(fd, OWN_NAME, &own, flags) < 0)
        return errno == ENOENT ? 0 : -errno;
    return same_inode(&own, st);
}

int root_folder_is_own(int root_fd, int fd)
{
    _cleanup_close_ int owned = -1;
    struct stat top, st;

    int r = file_stat(root_fd, &top);
    for (int depth = 0; r == 0 && depth <= LIMIT_TREE_DEPTH; depth++) {
        r = file_stat(fd, &st);
        if (r < 0 || same_inode(&st, &top))
            return r;
        fd = open_parent(fd);
        if (owned >= 0)
            close(owned);
        owned = fd;
        r = fd < 0 ? fd : root_own_is(fd, &st);
    }
    return r != 0 ? r : -ELOOP;
}

static int mount_of(int fd, uint64_t *ret_id)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
        return -errno;
    *ret_id = st.stx_mnt_id;
    return 0;
}

/* Returns 1 with the folder above on the same mount, 0 where there is none, or -errno. */
static int climb(int fd, const struct stat *top, int *ret_parent)
{
    uint64_t mount = 0, other = 0;
    struct stat st;

    int r = file_stat(fd, &st);
    if (r < 0 || same_inode(&st, top))
        return r;
    _cleanup_close_ int parent_fd = open_parent(fd);
    r = parent_fd < 0 ? parent_fd : mount_of(fd, &mount);
    if (r == 0)
        r = mount_of(parent_fd, &other);
    if (r < 0 || mount != other)
        return r;
    *ret_parent = take_fd(&parent_fd);
    return 1;
}

int root_open_top(const struct root *root, int fd, unsigned *ret_depth)
{
    _cleanup_close_ int top_fd = root_open_raw(fd, ".", O_PATH | O_DIRECTORY, 0, 0);
    int parent_fd = -1;
    struct stat top;

    int r = top_fd < 0 ? top_fd : file_stat(root->fd, &top);
    for (unsigned depth = 0; r >= 0 && depth <= LIMIT_TREE_DEPTH; depth++) {
        r = climb(top_fd, &top, &parent_fd);
        if (r == 0) {
            *ret_depth = depth;
            return take_fd(&top_fd);
        }
        if (r > 0) {
            close(top_fd);
            top_fd = parent_fd;
        }
    }
    return r < 0 ? r : -ELOOP;
}

/* O_NONBLOCK: a FIFO without a writer must not stop us. O_NOCTTY: nor a terminal become ours. */
enum { READING = O_RDONLY | O_NONBLOCK | O_NOCTTY };

static int open_below(int root_fd, const char *path, uint64_t resolve)
{
    return root_open_raw(root_fd, path, READING, 0, resolve);
}

int root_open_linked(int root_fd, const char *path, uint64_t flags, uint64_t resolve)
{
    struct place place;

    int r = place_open(root_fd, span_str(path), resolve, &place);
    if (r == 0) {
        int fd = root_open_raw(place.dir_fd, place.name, flags, 0, resolve | RESOLVE_NO_SYMLINKS);
        place_close(&place);
        return fd;
    }
    if (r != -EISDIR)
        return r;
    /* A link to "." or the like. */
    _cleanup_close_ int fd = root_open_raw(root_fd, path, flags, 0, resolve);
    r = fd < 0 ? fd : root_folder_is_own(root_fd, fd);
    return r != 0 ? (r < 0 ? r : -EACCES) : take_fd(&fd);
}

/* Where a path begins. */
struct start {
    int fd;
    bool fast;        /* on a file system that never waits where it is cached */
    bool doubtful;    /* the path is */
    uint64_t resolve; /* beyond what is true for all paths */
};

static bool follows_links(const struct start *start)
{
    return !(start->resolve & RESOLVE_NO_SYMLINKS);
}

struct slow_open {
    const struct start *start;
    const char *path;
    uint64_t resolve;
    struct file *file;
};

static int open_it(const struct slow_open *o)
{
    const struct start *start = o->start;
    bool careful = start->doubtful && follows_links(start);

    int fd = careful ? -ELOOP : open_below(start->fd, o->path, o->resolve | RESOLVE_NO_SYMLINKS);
    if (fd == -ELOOP && follows_links(start))
        fd = root_open_linked(start->fd, o->path, READING, o->resolve);
    return fd;
}

static int look_at_it(const struct slow_open *o, int fd)
{
    int r = file_stat(fd, &o->file->st);

    if (r == 0 && o->start->doubtful && !follows_links(o->start))
        r = root_own_is(o->start->fd, &o->file->st);
    return r > 0 ? -EACCES : r;
}

static int open_slowly(void *arg)
{
    struct slow_open *o = arg;
    int fd = open_it(o);

    if (fd < 0)
        return fd;
    int error = look_at_it(o, fd);
    if (error < 0) {
        close(fd);
        return error;
    }
    o->file->fast = is_fast(fd);
    return fd;
}

/* Another file system below the root may be a slow one: RESOLVE_NO_XDEV keeps us on ours, and
 * -EXDEV says that the path leads there. */
static int open_fast(struct task *t, const struct start *start, const char *path, struct file *file)
{
    if (!start->fast)
        return -EXDEV;
    uint64_t resolve = start->resolve | RESOLVE_NO_XDEV;
    int fd = start->doubtful
                 ? -EAGAIN
                 : open_below(start->fd, path, RESOLVE_CACHED | RESOLVE_NO_SYMLINKS | resolve);
    if (fd == -EAGAIN || (fd == -ELOOP && follows_links(start))) {
        struct slow_open o = {start, path, resolve, file};
        return offload(t, OFFLOAD_FAST, open_slowly, &o);
    }
    int error = fd < 0 ? fd : file_stat(fd, &file->st);
    if (error < 0 && fd >= 0)
        close(fd);
    return error < 0 ? error : fd;
}

static int open_from(struct task *t, const struct start *start, struct span path,
                     struct file *ret_file)
{
    struct file file = {.fd = -1, .fast = true};

    assert(path.data[path.len] == '\0');
    clock_gettime(CLOCK_REALTIME_COARSE, &file.before);
    int fd = open_fast(t, start, path.data, &file);
    if (fd == -EXDEV) {
        struct slow_open o = {start, path.data, start->resolve, &file};
        file.lane = OFFLOAD_SLOW;
        fd = offload(t, OFFLOAD_SLOW, open_slowly, &o);
    }
    if (fd < 0)
        return fd;
    file.fd = fd;
    if (!S_ISREG(file.st.st_mode) && !S_ISDIR(file.st.st_mode)) {
        file_close(t, &file);
        return -ENOENT;
    }
    *ret_file = file;
    return 0;
}

int root_open(struct task *t, const struct root *root, struct span path, struct file *ret_file)
{
    const struct start start = {
        .fd = root->fd,
        .fast = root->fast,
        .doubtful = root_path_is_doubtful(path),
    };

    return open_from(t, &start, path, ret_file);
}

int root_open_in(struct task *t, const struct root *root, const struct file *folder,
                 struct span path, struct file *ret_file)
{
    const struct start start = {
        .fd = folder->fd,
        .fast = root->fast && folder->lane == OFFLOAD_FAST,
        .doubtful = root_path_is_doubtful(path),
        .resolve = RESOLVE_NO_SYMLINKS,
    };

    return open_from(t, &start, path, ret_file);
}

int status_from_errno(int error)
{
    switch (-error) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO: /* a socket, or a device without a driver */
    case ENODEV:
        return 404;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EXDEV:
    case EROFS:
        return 403;
    case EBUSY:  /* a mount point */
    case EINVAL: /* a name that this file system cannot have */
    case EILSEQ:
    case EMLINK: /* ext4 without dir_nlink: 64,998 folders in one */
        return 403;
    case EEXIST:
    case EISDIR:
    case ENOTEMPTY: /* somebody was quicker */
        return 409;
    case EFBIG: /* vfat ends at 4 GiB */
        return 413;
    case ENAMETOOLONG:
        return 414;
    case ENOSPC:
    case EDQUOT:
        return 507;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
        return 503;
    default:
        return 500;
    }
}
