#include "files/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 16 };

static int rename_in(const struct place *p, const char *from, const char *to)
{
    return renameat(p->dir_fd, from, p->dir_fd, to) < 0 ? -errno : 0;
}

static int exchange(const struct place *a, const struct place *b)
{
    return renameat2(a->dir_fd, a->name, b->dir_fd, b->name, RENAME_EXCHANGE) < 0 ? -errno : 0;
}

/* Takes the name from what is to go: removes it, or sets it aside. */
static int set_aside(const struct place *p, bool folder, struct replacement *r)
{
    if (unlinkat(p->dir_fd, p->name, folder ? AT_REMOVEDIR : 0) == 0)
        return 0;
    if (!folder || (errno != ENOTEMPTY && errno != EEXIST))
        return -errno;
    int error = temporary_make_name(r->aside_name);
    if (error == 0)
        error = rename_in(p, p->name, r->aside_name);
    if (error == 0)
        r->aside_fd = p->dir_fd;
    return error;
}

/* Two names of one file: rename(2) would do nothing. Or two spellings of one name, where the file
 * system does not tell them apart. */
static int rename_same(const struct place *from, const struct place *to)
{
    char name[TEMPORARY_NAME_BYTES];
    struct stat st;

    if (from->dir.st_ino == to->dir.st_ino && strcmp(from->name, to->name) == 0)
        return -EINVAL;
    int error = temporary_make_kept_name(name);
    if (error == 0)
        error = rename_in(from, from->name, name);
    if (error < 0)
        return error;
    if (place_look(to, &st) == 0)
        return unlinkat(from->dir_fd, name, 0) < 0 ? -errno : 0;
    error = place_rename(from->dir_fd, name, to);
    if (error < 0)
        rename_in(from, name, from->name);
    return error;
}

/* Two spellings of one name may look like two things where inodes have no numbers of their own
 * (FUSE): setting the one aside took both away. */
static bool are_one(const struct place *from, const struct place *to, const struct stat *st,
                    const struct stat *old)
{
    return from->dir.st_dev == to->dir.st_dev && from->dir.st_ino == to->dir.st_ino &&
           (st->st_mode & S_IFMT) == (old->st_mode & S_IFMT) && file_same_bytes(st, old);
}

/* Where two names cannot be exchanged (vfat, some network mounts). The old folder goes to where the
 * new one comes from, which says -EINVAL where the one is in the other. */
static int replace_in_steps(const struct place *from, const struct place *to, const struct stat *st,
                            const struct stat *old, struct replacement *r)
{
    struct replacement aside = {.aside_fd = from->dir_fd};
    const char *name = aside.aside_name;
    int error = temporary_make_kept_name(aside.aside_name);

    if (error == 0 && renameat(to->dir_fd, to->name, from->dir_fd, name) < 0)
        error = -errno;
    if (error < 0)
        return error;
    error = place_rename(from->dir_fd, from->name, to);
    if (error < 0) {
        bool one = error == -ENOENT && are_one(from, to, st, old);
        int back = place_rename(from->dir_fd, name, to);
        return one ? back : error;
    }
    if (unlinkat(from->dir_fd, name, S_ISDIR(old->st_mode) ? AT_REMOVEDIR : 0) < 0)
        *r = aside;
    return 0;
}

static int replace_folder(const struct place *from, const struct place *to, const struct stat *st,
                          const struct stat *old, struct replacement *r)
{
    int error = exchange(from, to);

    if (error == -EINVAL || error == -ENOSYS || error == -EOPNOTSUPP)
        return replace_in_steps(from, to, st, old, r);
    if (error < 0)
        return error;
    error = set_aside(from, S_ISDIR(old->st_mode), r);
    if (error < 0)
        exchange(from, to);
    return error;
}

static int replace_old(const struct place *from, const struct place *to, const struct stat *old,
                       struct replacement *r)
{
    struct stat st;

    int error = place_look(from, &st);
    if (error < 0)
        return error;
    if (st.st_dev == old->st_dev && st.st_ino == old->st_ino)
        return rename_same(from, to);
    if (S_ISDIR(old->st_mode) || S_ISDIR(st.st_mode))
        return replace_folder(from, to, &st, old, r);
    return renameat(from->dir_fd, from->name, to->dir_fd, to->name) < 0 ? -errno : 0;
}

int replace_name(const struct place *from, const struct place *to, bool overwrite,
                 struct replacement *ret_replacement)
{
    struct replacement r = {.aside_fd = -1};
    struct stat old;
    int error = -EEXIST;

    /* Other programs may make and remove it meanwhile. */
    for (int tries = 0; error == -EEXIST && tries < TRIES; tries++) {
        error = place_look(to, &old);
        if (error == -ENOENT) {
            error = place_rename(from->dir_fd, from->name, to);
            r.created = error == 0;
        } else if (error == 0) {
            error = overwrite ? replace_old(from, to, &old, &r) : 412;
        }
    }
    if (error == 0)
        *ret_replacement = r;
    return error;
}

int replace_undo(const struct place *from, const struct place *to, const struct replacement *r)
{
    int error = place_rename(to->dir_fd, to->name, from);

    return error < 0 ? error : place_rename(r->aside_fd, r->aside_name, to);
}
