#include "files/entry.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/etag.h"
#include "files/root.h"

/* Neither follows a link nor leaves the folder: the kernel puts no slash into an entry's name.
 * AT_EMPTY_PATH changes nothing for a name that is not empty; home's system call filter wants it.
 */
static int stat_name(int dir_fd, const char *name, unsigned mask, struct statx *ret_st)
{
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

    return statx(dir_fd, name, flags, mask, ret_st) < 0 ? -errno : 0;
}

bool entry_is_shortage(int error)
{
    return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EAGAIN;
}

/* What a link leads to, found from the root as a request would find it. */
static int open_target(struct entry_source *s, struct span name, uint64_t flags)
{
    memcpy(s->path + s->path_len, name.data, name.len);
    s->path[s->path_len + name.len] = '\0';
    return root_open_linked(s->root_fd, s->path, flags, 0);
}

static int stat_target(struct entry_source *s, struct span name, struct statx *ret_st)
{
    _cleanup_close_ int fd = open_target(s, name, O_PATH);
    if (fd < 0)
        return fd;
    return statx(fd, "", AT_EMPTY_PATH, s->mask | STATX_TYPE, ret_st) == 0 ? 0 : -errno;
}

static bool is_kind(const struct statx *st, unsigned kind)
{
    return (st->stx_mode & S_IFMT) == kind;
}

static bool is_on(const struct statx *st, dev_t device)
{
    return makedev(st->stx_dev_major, st->stx_dev_minor) == device &&
           !(st->stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

bool folder_has_rested(int64_t ctime_s, const struct timespec *now)
{
    return now->tv_sec - ctime_s > ETAG_YOUNG_COARSE_MS / 1000;
}

/* A change in a subfolder is a change of its ctime, and nothing to this folder. */
static bool is_watchable(const struct entry_source *s, const struct statx *st)
{
    return is_on(st, s->device) &&
           (is_kind(st, S_IFDIR) ||
            (st->stx_nlink == 1 && folder_has_rested(st->stx_ctime.tv_sec, &s->now)));
}

void entry_source_init(struct entry_source *s, struct span path)
{
    assert(path.len < LIMIT_PATH_BYTES);
    s->path_len = 0;
    if (path.len > 0) {
        memcpy(s->path, path.data, path.len);
        s->path[path.len] = '/';
        s->path_len = path.len + 1;
    }
}

static bool has_address(const struct entry_source *s, struct span name)
{
    return name.len > 0 && s->path_len + name.len < LIMIT_PATH_BYTES;
}

/* Returns 0 or -errno, and flags in any case. */
static int examine(struct entry_source *s, struct span name, unsigned char kind,
                   struct statx *ret_st, uint8_t *ret_flags)
{
    *ret_flags = 0;
    if (kind != DT_LNK) {
        int error = stat_name(s->dir_fd, name.data, s->mask | STATX_TYPE, ret_st);
        if (error != 0)
            return error;
        if (!is_kind(ret_st, S_IFLNK)) {
            *ret_flags = (uint8_t)((is_watchable(s, ret_st) ? ENTRY_WATCHABLE : 0) |
                                   (is_on(ret_st, s->device) ? 0 : ENTRY_ELSEWHERE));
            return 0;
        }
    }
    *ret_flags = ENTRY_IS_LINK;
    int error = stat_target(s, name, ret_st);
    if (error == 0 && !is_on(ret_st, s->device))
        *ret_flags |= ENTRY_ELSEWHERE;
    /* Why it leads nowhere is all one, and it is not gone. */
    return error == 0 || entry_is_shortage(error) ? error : -EACCES;
}

static void set_entry(struct folder_entry *entry, const struct statx *st)
{
    bool is_file = is_kind(st, S_IFREG);

    entry->type = is_file ? FOLDER_ENTRY_FILE : FOLDER_ENTRY_FOLDER;
    entry->mode = (uint16_t)(st->stx_mode & 07777);
    entry->size = is_file ? st->stx_size : 0;
    entry->mtime_s = st->stx_mtime.tv_sec;
    entry->mtime_ns = st->stx_mtime.tv_nsec;
    entry->ctime_s = st->stx_ctime.tv_sec;
    entry->ctime_ns = st->stx_ctime.tv_nsec;
    if (st->stx_mask & STATX_BTIME) {
        entry->btime_s = st->stx_btime.tv_sec;
        entry->btime_ns = st->stx_btime.tv_nsec;
    }
    entry->ino = st->stx_ino;
}

int entry_look(struct entry_source *s, struct span name, unsigned char kind,
               struct folder_entry *ret_entry)
{
    struct statx st;

    /* What is no file and no folder stays that, so nothing has to be watched. */
    *ret_entry =
        (struct folder_entry){.name = name, .btime_s = ENTRY_NO_BTIME, .flags = ENTRY_WATCHABLE};
    if (!has_address(s, name) ||
        (kind != DT_REG && kind != DT_DIR && kind != DT_LNK && kind != DT_UNKNOWN))
        return 0;
    if (s->mask == 0 && (kind == DT_REG || kind == DT_DIR)) {
        ret_entry->type = kind == DT_REG ? FOLDER_ENTRY_FILE : FOLDER_ENTRY_FOLDER;
        ret_entry->flags = 0;
        return 1;
    }
    int error = examine(s, name, kind, &st, &ret_entry->flags);
    if (error != 0)
        return error == -ENOENT || entry_is_shortage(error) ? error : 0;
    if (!is_kind(&st, S_IFREG) && !is_kind(&st, S_IFDIR))
        return 0;
    set_entry(ret_entry, &st);
    return 1;
}

int entry_look_at(int fd, unsigned mask, struct folder_entry *ret_entry)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, mask | STATX_TYPE, &st) < 0)
        return -errno;
    *ret_entry = (struct folder_entry){.name = SPAN(""), .btime_s = ENTRY_NO_BTIME};
    set_entry(ret_entry, &st);
    return 0;
}

int entry_open(struct entry_source *s, const struct folder_entry *entry)
{
    const uint64_t flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;

    if (entry->flags & ENTRY_IS_LINK)
        return open_target(s, entry->name, flags);
    return root_open_raw(s->dir_fd, entry->name.data, flags | O_NOFOLLOW, 0, 0);
}

int entry_ctime(int dir_fd, const char *name, int64_t *ret_s)
{
    struct statx st;

    int r = stat_name(dir_fd, name, STATX_CTIME, &st);
    if (r == 0)
        *ret_s = st.stx_ctime.tv_sec;
    return r;
}

bool entry_folder_holds(const struct folder_entry *entry, int dir_fd, dev_t device)
{
    struct statx st;

    return stat_name(dir_fd, entry->name.data, STATX_TYPE | STATX_INO | STATX_MTIME, &st) == 0 &&
           is_kind(&st, S_IFDIR) && is_on(&st, device) && st.stx_ino == entry->ino &&
           st.stx_mtime.tv_sec == entry->mtime_s && st.stx_mtime.tv_nsec == entry->mtime_ns;
}

void folder_entry_stat(const struct folder_entry *entry, struct stat *ret_stat)
{
    *ret_stat = (struct stat){
        .st_ino = entry->ino,
        .st_size = (off_t)entry->size,
        .st_mtim = {entry->mtime_s, entry->mtime_ns},
        .st_ctim = {entry->ctime_s, entry->ctime_ns},
    };
}
