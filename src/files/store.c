#include "files/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <time.h>
#include <unistd.h>

#include "files/content.h"
#include "files/etag.h"
#include "files/name_lock.h"
#include "files/room.h"
#include "files/xattrs.h"

/* The next step is reserved when so little is left of the last one: more than a piece that is
 * written at once. */
enum { RESERVE_AHEAD = 1024 * 1024 };

/* --- on a helper thread --- */

/* Whether what is there may be replaced: 0, 405, 412, or -errno. `old` is set, to what was seen
 * after `before`. */
static int judge_old(struct store *s, const struct timespec *before)
{
    char tag[ETAG_BYTES];
    struct validators current = {.now = before->tv_sec};

    s->has_old = s->old.st_mode != 0;
    if (s->has_old) {
        if (S_ISDIR(s->old.st_mode))
            return 405;
        if (!S_ISREG(s->old.st_mode))
            return -EACCES;
        current.exists = true;
        current.etag = etag_format(&s->old, before, tag);
        current.mtime = s->old.st_mtim.tv_sec;
        current.even = s->old.st_mtim.tv_nsec == 0;
    }
    return guard_evaluate(s->guard, &current, s->place.resolve);
}

/* The same of what is there now. */
static int check_old(struct store *s)
{
    struct timespec before;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    int r = place_look(&s->place, &s->old);
    if (r == -ENOENT)
        s->old.st_mode = 0;
    else if (r < 0)
        return r;
    return judge_old(s, &before);
}

/* What is new comes to its folder, too. */
static struct guard_part what_changes(const struct store *s)
{
    return (struct guard_part){
        .path = s->path,
        .touch = s->has_old ? TOUCH_STATE : TOUCH_STATE | TOUCH_NAME,
        .follow = true,
        .place = &s->place,
    };
}

/* 423 before the first byte is sent for nothing. */
static int check_locks(const struct store *s)
{
    const struct guard_part part = what_changes(s);

    return guard_check(s->guard, &part, 1, s->place.resolve);
}

/* 507 before the first byte is sent for nothing. What is here already will find out itself. */
static int check_room(const struct store *s)
{
    if (s->adopts && s->temporary.fd >= 0) /* it is there already */
        return 0;
    if (s->content.data || s->length == STORE_LENGTH_UNKNOWN)
        return 0;
    return room_check(s->place.dir_fd, s->length);
}

/* Who may not write the file may not replace it either, whatever the folder's rights are. Returns
 * 1, 0 where there is none any more, or -errno. */
static int take_rights(struct store *s, struct rights *ret_rights)
{
    const uint64_t flags = O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, resolve = s->place.resolve;
    struct stat st;

    int fd = root_open_raw(s->place.dir_fd, s->place.name, O_WRONLY | flags, 0, resolve);
    if (fd == -ETXTBSY) /* a program that runs */
        fd = root_open_raw(s->place.dir_fd, s->place.name, O_RDONLY | flags, 0, resolve);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int r = file_stat(fd, &st);
    if (r == 0)
        r = rights_take(fd, &st, ret_rights);
    s->old_has_attributes = r == 0 && xattrs_any(fd);
    close(fd);
    return r < 0 ? r : 1;
}

static int reserve_more(void *arg)
{
    struct store *s = arg;

    return room_reserve(s->temporary.fd, s->length, &s->reserved);
}

static int make_temporary(struct store *s)
{
    int r = temporary_create(&s->place, &s->temporary);

    if (r < 0 || s->length == STORE_LENGTH_UNKNOWN)
        return r;
    r = reserve_more(s);
    if (r < 0)
        temporary_close(&s->temporary);
    return r;
}

static int begin(void *arg)
{
    struct store *s = arg;
    uint64_t resolve = s->lane == OFFLOAD_SLOW ? 0 : RESOLVE_NO_XDEV;
    struct timespec before;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    int r = place_open_look(s->root->fd, s->path, resolve, &s->place, &s->old);
    if (r == -ENOENT || r == -ENOTDIR)
        return 409;
    if (r == -EISDIR)
        return 405;
    if (r == 0)
        r = judge_old(s, &before);
    if (r == 0)
        r = check_locks(s);
    if (r == 0)
        r = check_room(s);
    if (r == 0 && s->has_old) {
        r = take_rights(s, &s->rights);
        s->has_rights = r > 0;
        r = r < 0 ? r : 0;
    }
    if (r == 0 && !s->adopts)
        r = make_temporary(s);
    if (r != 0)
        place_close(&s->place);
    return r == -ENOENT ? 409 : r; /* the folder is gone meanwhile */
}

/* The exact time, which the ticks that the kernel writes with do not hit: whoever changes the file
 * later leaves another. The same within the second that a client wants: another writer may want it
 * too. */
static int set_mtime(const struct store *s, struct timespec *ret_mtime)
{
    clock_gettime(CLOCK_REALTIME, ret_mtime);
    if (s->has_mtime)
        ret_mtime->tv_sec = s->mtime;
    return content_set_mtime(s->temporary.fd, ret_mtime);
}

/* Whether the one commit of the folder's fsync is enough. */
static bool is_ordered(const struct store *s)
{
    return s->root->ordered && s->lane != OFFLOAD_SLOW;
}

/* What is written and waited for is in no commit that comes before that of the name. A container's
 * system call filter may not know the call: then nothing was done, and fsync(2) does more. */
static int write_out(int fd)
{
    const unsigned written =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    int r = sync_file_range(fd, 0, 0, written);

    return r < 0 && (errno == EPERM || errno == ENOSYS) ? fsync(fd) : r;
}

/* Before the file has its name. */
static int sync_content(struct store *s)
{
    int fd = s->temporary.fd;

    if (!s->durable)
        return 0;
    s->unsynced = (is_ordered(s) ? write_out(fd) : fsync(fd)) < 0;
    return s->unsynced ? -errno : 0;
}

/* Extended attributes of the old file, in whose way a mode may be. */
static int carry_attributes(const struct store *s)
{
    const uint64_t flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY;
    int fd = root_open_raw(s->place.dir_fd, s->place.name, flags, 0, s->place.resolve);

    if (fd < 0) /* gone, or nothing of it can be read */
        return fd == -ENOENT || fd == -EACCES || fd == -EPERM || fd == -ELOOP ? 0 : fd;
    int r = xattrs_carry(fd, s->temporary.fd);
    close(fd);
    return r;
}

static int carry_again(const struct store *s)
{
    fchmod(s->temporary.fd, 0600); /* nobody else has it open yet, and its own mode follows */
    return carry_attributes(s);
}

/* The file may have appeared since the beginning, or have other rights or attributes now. */
static int keep_rights(struct store *s)
{
    bool had_attributes = s->old_has_attributes;
    struct rights now;

    int r = take_rights(s, &now);
    bool carries = had_attributes || s->old_has_attributes;
    if (r <= 0 || (s->has_rights && !carries && rights_equal(&now, &s->rights)))
        return r < 0 ? r : 0;
    r = carries ? carry_again(s) : 0;
    if (r == 0)
        r = rights_give(s->temporary.fd, &now);
    return r < 0 ? r : sync_content(s);
}

static bool has_same_rights(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
           a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Where nothing was there, the file system looks itself when it gives the name, and give_name()
 * sees to what it finds; but If may be about anything. */
static bool is_to_be_checked_again(const struct store *s)
{
    return s->has_old || s->guard->request->dav_if.data;
}

/* Whether what is there now may be replaced, and then the new file has its rights. */
static int check_again(struct store *s)
{
    struct stat before = s->old;

    int r = check_old(s);
    if (r != 0 || !s->has_old || (s->has_rights && has_same_rights(&before, &s->old)))
        return r;
    return keep_rights(s);
}

static int give_name(struct store *s)
{
    int r = s->has_old ? -EEXIST : temporary_link(&s->temporary, &s->place);
    s->created = r == 0;
    /* Somebody may have been quicker: as if it had been there before, but for If-None-Match. */
    if (r == -EEXIST && !s->has_old && (r = check_again(s)) == 0)
        r = -EEXIST;
    if (r == -EEXIST)
        r = temporary_replace(&s->temporary, &s->place);
    return r == -ENOENT ? 409 : r; /* the folder is gone meanwhile */
}

/* Under the lock of the name. */
static int take_name(struct store *s)
{
    struct guard_hold hold;
    int r = is_to_be_checked_again(s) ? check_again(s) : 0;

    if (r != 0)
        return r;
    const struct guard_part part = what_changes(s);
    r = guard_enter(s->guard, &part, 1, s->place.resolve, &hold);
    if (r != 0)
        return r;
    r = give_name(s);
    guard_leave(s->guard, &hold, r == 0 ? GUARD_DONE : GUARD_UNDONE);
    return r;
}

static int finish(void *arg)
{
    struct store *s = arg;

    if (!s->adopts)
        temporary_close(&s->temporary);
    place_close(&s->place);
    return 0;
}

/* Also the one that the content came from: else it could have both names, or none. */
static int sync_folders(const struct store *s)
{
    int r = place_sync(&s->place, s->temporary.fd);

    return r == 0 && s->adopts && fsync(s->temporary.dir_fd) < 0 ? -errno : r;
}

static int commit(void *arg)
{
    struct store *s = arg;
    struct timespec mtime = {0};

    int r = s->old_has_attributes ? carry_attributes(s) : 0;
    if (r == 0 && s->has_rights)
        r = rights_give(s->temporary.fd, &s->rights);
    if (r == 0)
        r = set_mtime(s, &mtime);
    if (r == 0)
        r = sync_content(s);
    if (r < 0)
        return r;
    struct name_lock lock = name_lock_take(s->root, &s->place, NULL);
    r = take_name(s);
    if (r == 0)
        r = file_stat(s->temporary.fd, &s->st);
    name_lock_release(lock);
    if (r != 0)
        return r;
    s->has_mtime = s->has_mtime && s->st.st_mtim.tv_sec == s->mtime;
    s->own = s->st.st_mtim.tv_sec == mtime.tv_sec && s->st.st_mtim.tv_nsec == mtime.tv_nsec &&
             (s->length == STORE_LENGTH_UNKNOWN || (uint64_t)s->st.st_size == s->length);
    if (s->own)
        etag_note_own(&s->st);
    r = s->durable ? sync_folders(s) : 0;
    finish(s);
    return r;
}

static int write_content(const struct store *s)
{
    struct span rest = s->content;

    while (rest.len > 0) {
        ssize_t written =
            pwrite(s->temporary.fd, rest.data, rest.len, (off_t)(s->content.len - rest.len));
        if (written == 0 || (written < 0 && errno != EINTR))
            return written < 0 ? -errno : -EIO;
        rest = span_skip(rest, written > 0 ? (size_t)written : 0);
    }
    return 0;
}

static int put_content(void *arg)
{
    struct store *s = arg;

    int r = begin(s);
    if (r != 0)
        return r;
    r = write_content(s);
    if (r == 0)
        r = commit(s);
    if (r != 0)
        finish(s);
    return r;
}

/* --- on the loop --- */

int store_check_fields(const struct request *request)
{
    if (request->content_range.data)
        return 400;
    if (request->content_encoding.data &&
        !span_equal_nocase(request->content_encoding, SPAN("identity")))
        return 415;
    return 0;
}

int store_take_mtime(struct store *s, struct span field)
{
    uint64_t seconds;

    if (!field.data)
        return 0;
    if (span_to_u64(span_first(field, span_find(field, '.')), &seconds) < 0 ||
        seconds > INT64_MAX / 1000)
        return -EINVAL;
    s->mtime = (int64_t)seconds;
    s->has_mtime = true;
    return 0;
}

static int offload_from_begin(struct task *t, struct store *s, int (*fn)(void *arg))
{
    s->place = PLACE_NONE;
    s->reserved = s->length == STORE_LENGTH_UNKNOWN ? STORE_LENGTH_UNKNOWN : 0;
    if (!s->adopts)
        s->temporary = TEMPORARY_NONE;
    s->lane = s->root->fast ? OFFLOAD_SYNC : OFFLOAD_SLOW;
    int r = offload(t, s->lane, fn, s);
    /* The way leads to another file system, or out of the root: only the slow lane may find out. */
    if (r == -EXDEV && s->lane != OFFLOAD_SLOW) {
        s->lane = OFFLOAD_SLOW;
        r = offload(t, s->lane, fn, s);
    }
    return r;
}

int store_begin(struct task *t, struct store *s)
{
    return offload_from_begin(t, s, begin);
}

void store_reserve(struct task *t, struct store *s, uint64_t written)
{
    if (s->reserved < s->length && written + RESERVE_AHEAD > s->reserved)
        offload(t, s->lane, reserve_more, s);
}

int store_put(struct task *t, struct store *s, struct span content)
{
    s->content = content;
    return offload_from_begin(t, s, put_content);
}

int store_commit(struct task *t, struct store *s)
{
    return offload(t, s->lane, commit, s);
}

void store_finish(struct task *t, struct store *s)
{
    if (s->place.dir_fd < 0)
        return;
    /* Giving back the blocks of a long file takes its time. */
    offload_always(t, s->lane, finish, s);
}
