#include "files/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/temporary.h"

static void fail(struct remover *r, const struct tree_step *step, int error)
{
    tree_spoil(&r->tree);
    r->left = true;
    if (r->failures)
        failures_add(r->failures, step->path, status_from_errno(error));
}

static int unlink_in(const struct tree_step *step, int flags)
{
    return unlinkat(step->dir_fd, step->name, flags) < 0 ? -errno : 0;
}

static int look(int dir_fd, const char *name, struct stat *ret_stat)
{
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

    return fstatat(dir_fd, name, ret_stat, flags) < 0 ? -errno : 0;
}

/* Its ctime is that of the renaming then. */
int remove_unchanged(int dir_fd, const char *name, const struct stat *st)
{
    struct place back = {.dir_fd = dir_fd};
    char aside[TEMPORARY_NAME_BYTES];
    struct stat again = {0};

    int error = temporary_make_kept_name(aside);
    if (error < 0)
        return error;
    if (strlen(name) >= sizeof(back.name))
        return -ENAMETOOLONG;
    if (renameat(dir_fd, name, dir_fd, aside) < 0)
        return -errno;
    error = look(dir_fd, aside, &again);
    if (error == 0 && (again.st_ino != st->st_ino || !file_same_bytes(&again, st)))
        error = -EEXIST;
    if (error == 0 && unlinkat(dir_fd, aside, 0) < 0)
        error = -errno;
    if (error < 0) {
        memcpy(back.name, name, strlen(name) + 1);
        place_rename(dir_fd, aside, &back);
    }
    return error;
}

static int remove_copied(const struct remover *r, const struct tree_step *step)
{
    struct stat st = {0};

    int error = look(step->dir_fd, step->name, &st);
    if (error == 0 && S_ISDIR(st.st_mode))
        error = -EISDIR;
    if (error == 0 && !copied_has(r->copied, step->path, &st))
        error = -EEXIST;
    return error < 0 ? error : remove_unchanged(step->dir_fd, step->name, &st);
}

/* What is no folder, or may be none. */
static int remove_one(const struct remover *r, const struct tree_step *step)
{
    return r->copied ? remove_copied(r, step) : unlink_in(step, 0);
}

static void remove_entry(struct remover *r, const struct tree_step *step)
{
    int error = remove_one(r, step);

    /* A folder by now: it will be found when the one that it is in turns out not to be empty. */
    if (error < 0 && error != -ENOENT && error != -EISDIR)
        fail(r, step, error);
}

/* It may be empty and need no reading; or no folder any more. */
static void remove_unreadable(struct remover *r, const struct tree_step *step)
{
    int error = step->error;

    if (step->fd < 0 && error != -ENOENT) {
        int removed = unlink_in(step, AT_REMOVEDIR);
        if (removed == -ENOTDIR)
            error = remove_one(r, step);
        else if (removed != -ENOTEMPTY && removed != -EEXIST)
            error = removed;
    }
    if (error < 0 && error != -ENOENT)
        fail(r, step, error);
}

static void remove_folder(struct remover *r, const struct tree_step *step)
{
    int error = step->spoiled ? 0 : unlink_in(step, AT_REMOVEDIR);
    bool filled = error == -ENOTEMPTY || error == -EEXIST;

    if (error == 0 || error == -ENOENT || (filled && tree_again(&r->tree)))
        return;
    fail(r, step, error);
}

/* Whoever has renamed it, or put it there, has not changed what is in it. */
static void enter(struct remover *r, const struct tree_step *step)
{
    struct stat st;

    if (r->own)
        fchmod(step->fd, S_IRWXU);
    if (!r->copied)
        return;
    int error = file_stat(step->fd, &st);
    if (error == 0 && !copied_has(r->copied, step->path, &st))
        error = -EEXIST;
    if (error < 0) {
        fail(r, step, error);
        tree_skip(&r->tree);
    }
}

static int begin(struct remover *r)
{
    r->begun = true;
    r->tree.leave_out_reserved = r->copied != NULL; /* as in copying */
    return tree_begin(&r->tree, r->dir_fd, r->name);
}

/* On a helper thread. */
static int step(void *arg)
{
    struct remover *r = arg;
    const struct tree_step *step;

    int error = r->begun ? 0 : begin(r);
    if (error < 0)
        return error;
    error = tree_next(&r->tree, &step);
    if (error < 0)
        return error;
    switch (step->event) {
    case TREE_END:
        return SLICE_DONE;
    case TREE_ENTER:
        enter(r, step);
        break;
    case TREE_ENTRY:
        remove_entry(r, step);
        break;
    case TREE_UNREADABLE:
        remove_unreadable(r, step);
        break;
    case TREE_LEAVE:
        remove_folder(r, step);
        break;
    }
    return SLICE_MORE;
}

static int finish(void *arg)
{
    struct remover *r = arg;

    tree_finish(&r->tree);
    return 0;
}

int remove_tree(struct task *t, enum offload_lane lane, struct remover *r)
{
    r->tree.stay = true;
    int error =
        r->to_the_end ? slices_run_always(t, &lane, step, r) : slices_run(t, &lane, step, r);
    r->left |= error < 0;
    offload_always(t, lane, finish, r);
    return error;
}
