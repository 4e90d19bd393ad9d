#include "files/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/copied.h"
#include "files/copy_tree.h"
#include "files/name_lock.h"
#include "files/remove.h"
#include "files/replace.h"
#include "files/room.h"
#include "files/xattrs.h"
#include "rt/io.h"

enum { PAUSE = 1 }; /* done, and the copying has to wait for a moment */

struct copying {
    const struct change *c;
    struct target target;
    bool moving;
    uint64_t resolve;
    enum offload_lane lane;

    struct place from, to;
    struct stat source;

    struct temporary temporary; /* of a file */
    struct content content;
    char name[TEMPORARY_NAME_BYTES]; /* of a folder or a link */
    struct copier copier;
    struct copied copied; /* what may be removed when it is a MOVE */
    uint64_t pause_ms;

    struct replacement replaced;
    bool committed;

    struct guard_hold from_hold, to_hold; /* since the commit */
    enum guard_outcome from_outcome, to_outcome;
};

/* --- on a helper thread: what there is --- */

static int open_places(struct copying *k)
{
    int (*open_from)(int, struct span, uint64_t, struct place *) =
        k->moving ? place_open_link : place_open;
    int root_fd = k->c->root->fd;
    int r = open_from(root_fd, k->c->path, k->resolve, &k->from);

    if (r < 0)
        return r;
    r = place_open_link(root_fd, k->target.path, k->resolve, &k->to);
    return r == -ENOENT || r == -ENOTDIR ? 409 : r;
}

/* 400 for a Depth that is none. */
static int read_depth(struct copying *k)
{
    struct span depth = k->c->x->request.depth;

    k->copier.shallow = !k->moving && span_equal(depth, SPAN("0"));
    return k->copier.shallow || change_depth_is_infinite(k->c) ? 0 : 400;
}

/* Neither may hold the other, whatever ways lead to them. */
static int check_apart(const struct copying *k, const struct stat *old)
{
    int r = 0;

    if (S_ISDIR(k->source.st_mode))
        r = root_folder_is_in(k->c->root, k->to.dir_fd, &k->source);
    if (r == 0 && old && S_ISDIR(old->st_mode))
        r = root_folder_is_in(k->c->root, k->from.dir_fd, old);
    if (r == 0 && old && k->from.dir.st_dev == k->to.dir.st_dev &&
        k->from.dir.st_ino == k->to.dir.st_ino && strcmp(k->from.name, k->to.name) == 0)
        r = 1;
    return r > 0 ? 403 : r;
}

/* 423 before anything is copied for nothing. */
static int check_locks(const struct copying *k)
{
    struct guard_part parts[2] = {[1] = change_source(k->c, &k->source)};
    int r = change_destination(&k->target, &k->to, &parts[0]);

    return r != 0 ? r : guard_check(k->c->guard, parts, k->moving ? 2 : 1, k->resolve);
}

static int look(struct copying *k)
{
    struct stat old;

    int r = change_look(k->c, &k->from, &k->source);
    if (r == 0 && !change_fits(k->c->wants_folder, &k->source))
        r = 404;
    if (r == 0)
        r = read_depth(k);
    if (r != 0)
        return r;
    r = place_look(&k->to, &old);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && !k->target.overwrite)
        return 412;
    r = check_apart(k, r == 0 ? &old : NULL);
    return r != 0 ? r : check_locks(k);
}

/* --- beginning --- */

/* 507 before the first byte is copied for nothing. */
static int check_room(const struct copying *k)
{
    return room_check(k->to.dir_fd, (uint64_t)k->source.st_blocks * 512);
}

static int begin_file(struct copying *k)
{
    const uint64_t flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = root_open_raw(k->from.dir_fd, k->from.name, flags, 0, RESOLVE_NO_SYMLINKS);

    if (fd < 0)
        return fd;
    k->content.from = fd;
    int r = file_stat(fd, &k->source);
    if (r == 0 && !S_ISREG(k->source.st_mode))
        r = 409;
    if (r == 0)
        r = temporary_create(&k->to, &k->temporary);
    if (r != 0)
        return r;
    k->content.to = k->temporary.fd;
    r = content_step(&k->content); /* a clone takes no room */
    return r == SLICE_MORE ? check_room(k) : r;
}

static int begin_link(struct copying *k)
{
    _cleanup_free_ char *target = malloc(LIMIT_PATH_BYTES);

    if (!target)
        return -ENOMEM;
    ssize_t len = readlinkat(k->from.dir_fd, k->from.name, target, LIMIT_PATH_BYTES - 1);
    if (len < 0)
        return -errno;
    target[len] = '\0';
    if (symlinkat(target, k->to.dir_fd, k->name) < 0)
        return -errno;
    k->copier.made = true;
    return 0;
}

static void begin_folder(struct copying *k)
{
    k->copier.from_dir_fd = k->from.dir_fd;
    k->copier.from_name = k->from.name;
    k->copier.to_dir_fd = k->to.dir_fd;
    k->copier.to_name = k->name;
    k->copier.never = &k->to.dir;
    k->copier.exact = k->moving;
    k->copier.copied = k->moving ? &k->copied : NULL;
    k->copier.slow = k->lane == OFFLOAD_SLOW;
}

static int begin_copying(void *arg)
{
    struct copying *k = arg;

    clock_gettime(CLOCK_REALTIME_COARSE, &k->copied.since);
    int r = temporary_make_name(k->name);
    if (r == 0 && S_ISREG(k->source.st_mode))
        r = begin_file(k);
    else if (r == 0 && S_ISLNK(k->source.st_mode))
        r = begin_link(k);
    else if (r == 0 && S_ISDIR(k->source.st_mode))
        begin_folder(k);
    else if (r == 0)
        r = k->moving ? 403 : 404;
    return r;
}

static int begin(void *arg)
{
    struct copying *k = arg;

    int r = open_places(k);
    if (r == 0)
        r = look(k);
    if (r == 0 && k->moving)
        k->pause_ms = copied_pause_ms(&k->source);
    if (r == 0)
        r = k->pause_ms > 0 ? PAUSE : begin_copying(k);
    if (r == -EXDEV) { /* the slow lane begins again */
        place_close(&k->from);
        place_close(&k->to);
    }
    return r;
}

/* --- the end --- */

/* A descriptor of what was copied; -1: a link. */
static int copy_fd(const struct copying *k)
{
    return S_ISREG(k->source.st_mode) ? k->temporary.fd : k->copier.top_fd;
}

/* One call for all of a folder: that of the file system. It tells of errors since its descriptor
 * was opened. */
static int sync_content(const struct copying *k)
{
    int fd = copy_fd(k);

    if (!k->c->durable || fd < 0)
        return 0;
    return (S_ISREG(k->source.st_mode) ? fsync(fd) : syncfs(fd)) < 0 ? -errno : 0;
}

static struct place temporary_place(const struct copying *k)
{
    struct place p = k->to;

    memcpy(p.name, S_ISREG(k->source.st_mode) ? k->temporary.name : k->name, sizeof(k->name));
    return p;
}

/* Until finish(). What is moved to another file system has two names for a while: nobody gets a
 * lock of either. */
static int enter(struct copying *k)
{
    const struct guard_part from = change_source(k->c, &k->source);
    struct guard_part to;

    int r = change_destination(&k->target, &k->to, &to);
    if (r == 0)
        r = guard_enter(k->c->guard, &to, 1, k->resolve, &k->to_hold);
    if (r == 0 && k->moving)
        r = guard_enter(k->c->guard, &from, 1, k->resolve, &k->from_hold);
    return r;
}

/* Under the lock of the name. */
static int take_name(struct copying *k)
{
    if (S_ISREG(k->source.st_mode)) {
        int r = temporary_link(&k->temporary, &k->to);
        k->replaced = (struct replacement){.created = r == 0, .aside_fd = -1};
        if (r != -EEXIST)
            return r;
        r = temporary_name(&k->temporary);
        if (r < 0)
            return r;
    }
    struct place from = temporary_place(k);
    int r = replace_name(&from, &k->to, k->target.overwrite, &k->replaced);
    if (r == 0)
        k->temporary.is_named = k->copier.made = false;
    return r;
}

static int undo(void *arg)
{
    struct copying *k = arg;
    struct place from = temporary_place(k);
    struct name_lock lock = name_lock_take(k->c->root, &k->to, NULL);

    int r = replace_undo(&from, &k->to, &k->replaced);
    name_lock_release(lock);
    if (S_ISREG(k->source.st_mode))
        k->temporary.is_named = r == 0;
    else
        k->copier.made = true;
    k->committed = false;
    k->to_outcome = GUARD_PARTLY; /* of what is back a part may be gone */
    return r < 0 || !k->c->durable ? r : place_sync(&k->to, copy_fd(k));
}

static int keep_attributes(const struct copying *k)
{
    if (!S_ISREG(k->source.st_mode)) /* the copier has done that */
        return 0;
    int r = xattrs_carry(k->content.from, k->temporary.fd);
    return r < 0 ? r : content_keep_attributes(k->temporary.fd, &k->source);
}

static int commit(void *arg)
{
    struct copying *k = arg;
    int r = keep_attributes(k);

    if (r == 0)
        r = sync_content(k);
    if (r < 0)
        return r;
    struct name_lock lock = name_lock_take(k->c->root, &k->to, NULL);
    r = enter(k);
    if (r == 0)
        r = take_name(k);
    name_lock_release(lock);
    k->committed = r == 0;
    k->to_outcome = r == 0 ? GUARD_DONE : GUARD_UNDONE;
    if (r == 0 && k->c->durable) {
        r = place_sync(&k->to, copy_fd(k));
        if (r < 0 && k->replaced.aside_fd >= 0) /* nobody would ever find it again */
            undo(k);
    }
    return r;
}

static int sync_to(void *arg)
{
    const struct copying *k = arg;

    return k->c->durable ? place_sync(&k->to, copy_fd(k)) : 0;
}

static int sync_from(void *arg)
{
    const struct copying *k = arg;

    return k->c->durable ? place_sync(&k->from, -1) : 0;
}

/* Whether the original of a file or link is what was copied still. */
static bool is_unchanged(const struct copying *k, const struct stat *st)
{
    struct stat copy;

    if (st->st_ino != k->source.st_ino || !file_same(st, &k->source) ||
        !copied_rested(&k->copied, st))
        return false;
    return !S_ISREG(st->st_mode) ||
           (file_stat(k->temporary.fd, &copy) == 0 && copy.st_size == st->st_size);
}

/* The original of a file or link; 409 if it has changed. */
static int remove_source(void *arg)
{
    struct copying *k = arg;
    struct stat st;
    struct name_lock lock = name_lock_take(k->c->root, &k->from, NULL);

    int r = place_look(&k->from, &st);
    if (r == 0 && !is_unchanged(k, &st))
        r = 409;
    if (r == 0)
        r = remove_unchanged(k->from.dir_fd, k->from.name, &st);
    name_lock_release(lock);
    if (r == -ENOENT)
        r = 0;
    else if (r == -EEXIST || r == -EISDIR)
        r = 409;
    k->from_outcome = r == 0 ? GUARD_DONE : GUARD_UNDONE;
    int synced = sync_from(k);
    return r != 0 ? r : synced;
}

static int finish(void *arg)
{
    struct copying *k = arg;

    guard_leave(k->c->guard, &k->from_hold, k->from_outcome);
    guard_leave(k->c->guard, &k->to_hold, k->to_outcome);
    copier_finish(&k->copier);
    if (k->content.from >= 0)
        close(k->content.from);
    content_finish(&k->content);
    copied_finish(&k->copied);
    temporary_close(&k->temporary);
    place_close(&k->from);
    place_close(&k->to);
    return 0;
}

/* --- on the loop --- */

static int content_slice(void *arg)
{
    return content_step(arg);
}

static int copy_content(struct task *t, struct copying *k)
{
    if (S_ISREG(k->source.st_mode))
        return k->content.way == CONTENT_CLONE
                   ? 0
                   : slices_run(t, &k->lane, content_slice, &k->content);
    if (S_ISDIR(k->source.st_mode))
        return slices_run(t, &k->lane, copier_step, &k->copier);
    return 0;
}

/* What cannot be replaced as a whole is not replaced: the server MUST delete it before (RFC 4918
 * section 9.8.4). */
static int remove_replaced(struct task *t, struct copying *k, struct failures *failures)
{
    struct remover remover = {
        .dir_fd = k->replaced.aside_fd,
        .name = k->replaced.aside_name,
        .to_the_end = true,
        .failures = failures,
    };

    if (k->replaced.aside_fd < 0)
        return 0;
    failures->base = k->target.path;
    int r = remove_tree(t, k->lane, &remover);
    int then = offload_always(t, k->lane, remover.left ? undo : sync_to, k);
    return r < 0 ? r : then;
}

static int remove_original(struct task *t, struct copying *k, struct failures *failures)
{
    struct remover remover = {
        .dir_fd = k->from.dir_fd,
        .name = k->from.name,
        .copied = &k->copied,
        .failures = failures,
    };

    failures->base = k->c->path;
    if (S_ISDIR(k->source.st_mode)) {
        int r = remove_tree(t, k->lane, &remover);
        k->from_outcome = remover.left ? GUARD_PARTLY : GUARD_DONE;
        int synced = offload_always(t, k->lane, sync_from, k);
        return r < 0 ? r : synced;
    }
    int r = offload(t, k->lane, remove_source, k);
    if (r > 0 || r == -EACCES || r == -EPERM || r == -EROFS) {
        failures_add(failures, SPAN(""), r > 0 ? r : status_from_errno(r));
        r = 0;
    }
    return r;
}

static void remove_copy(struct task *t, struct copying *k)
{
    struct remover remover = {
        .dir_fd = k->to.dir_fd,
        .name = k->name,
        .own = true,
        .to_the_end = true,
    };

    if (k->copier.made)
        remove_tree(t, k->lane, &remover);
}

/* What is removed in the end must show what happens to it from now on. */
static int begin_later(struct task *t, struct copying *k)
{
    int r = io_sleep(t, k->pause_ms);

    return r < 0 ? r : offload(t, k->lane, begin_copying, k);
}

static int run(struct task *t, struct copying *k, struct failures *failures)
{
    int r = copy_content(t, k);

    if (r == 0)
        r = offload(t, k->lane, commit, k);
    if (r == 0)
        r = remove_replaced(t, k, failures);
    if (r == 0 && k->moving && k->committed && failures->count == 0)
        r = remove_original(t, k, failures);
    return r;
}

static int respond(struct task *t, struct copying *k, int r, struct failures *failures)
{
    char memory[1024];
    struct buf detail;

    if (r == 0 && failures->count > 0)
        return failures_respond(t, k->c->x, failures);
    if (r == 0)
        return change_respond(t, k->c, k->replaced.created ? 201 : 204);
    if (r == -EINVAL && S_ISDIR(k->source.st_mode))
        r = 403;
    if (k->copier.culprit.len == 0 || r == -ECANCELED)
        return change_respond(t, k->c, r);
    buf_init_fixed(&detail, memory, sizeof(memory));
    buf_append(&detail, SPAN("Nothing was done, because of this in it: "));
    buf_append(&detail, buf_span(&k->copier.culprit));
    return exchange_error(t, k->c->x, r < 0 ? status_from_errno(r) : r, buf_span(&detail));
}

static int copy(struct task *t, const struct change *c, const struct target *target, bool moving)
{
    struct copying *k = malloc(sizeof(*k));
    struct failures failures;

    if (!k)
        return change_respond(t, c, 503);
    *k = (struct copying){
        .c = c,
        .target = *target,
        .moving = moving,
        .from = PLACE_NONE,
        .to = PLACE_NONE,
        .temporary = TEMPORARY_NONE,
        .content = {.from = -1, .to = -1},
        .copier = COPIER_NONE,
    };
    failures_init(&failures, c->path);
    int r = change_begin(t, c, begin, k, &k->resolve, &k->lane);
    if (r == PAUSE)
        r = begin_later(t, k);
    if (r == 0)
        r = run(t, k, &failures);
    remove_copy(t, k);
    offload_always(t, k->lane, finish, k);
    change_end(t, c);
    r = respond(t, k, r, &failures);
    failures_finish(&failures);
    buf_finish(&k->copier.culprit);
    free(k);
    return r;
}

int file_move_across(struct task *t, const struct change *c, const struct target *target)
{
    return copy(t, c, target, true);
}

int file_copy(struct task *t, const struct change *c)
{
    _cleanup_free_ char *path = malloc(LIMIT_PATH_BYTES);
    struct target target;

    if (!path)
        return change_respond(t, c, 503);
    int r = change_target(c, path, &target);
    return r != 0 ? change_respond(t, c, r) : copy(t, c, &target, false);
}
