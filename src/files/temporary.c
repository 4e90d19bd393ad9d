#include "files/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"

/* umask and default ACLs take away what should not be. */
enum { MODE_NEW = 0666, NAME_TRIES = 16 };

#define NAME_BEGINNING ".fastfile-"
enum { NAME_DIGITS = 16, PROCESS_DIGITS = 8 };

/* Of the names of this process; 0 before the first one. */
static _Atomic unsigned process_bits;

static int make_name(char out[TEMPORARY_NAME_BYTES], const char *beginning)
{
    static _Atomic unsigned count;
    unsigned random[2], none = 0;

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    atomic_compare_exchange_strong(&process_bits, &none, random[0] | 1);
    /* Never the same twice, whatever the source of chance is worth. */
    snprintf(out, TEMPORARY_NAME_BYTES, "%s%08x%08x", beginning, process_bits, random[1] + count++);
    return 0;
}

int temporary_make_name(char out[TEMPORARY_NAME_BYTES])
{
    return make_name(out, NAME_BEGINNING);
}

int temporary_make_kept_name(char out[TEMPORARY_NAME_BYTES])
{
    return make_name(out, NAME_BEGINNING "kept-");
}

bool temporary_is_leftover(struct span name)
{
    static const char hex[] = "0123456789abcdef";
    char own[PROCESS_DIGITS + 1];

    if (name.len != sizeof(NAME_BEGINNING) - 1 + NAME_DIGITS ||
        !span_starts_with(name, SPAN(NAME_BEGINNING)))
        return false;
    const char *digits = name.data + sizeof(NAME_BEGINNING) - 1;
    for (size_t i = 0; i < NAME_DIGITS; i++)
        if (!memchr(hex, digits[i], sizeof(hex) - 1))
            return false;
    snprintf(own, sizeof(own), "%08x", process_bits);
    return memcmp(digits, own, PROCESS_DIGITS) != 0;
}

static int create_named(const struct place *place, struct temporary *tmp)
{
    int r = -EEXIST;

    for (int tries = 0; r == -EEXIST && tries < NAME_TRIES; tries++) {
        r = temporary_make_name(tmp->name);
        if (r == 0)
            r = root_open_raw(place->dir_fd, tmp->name, O_WRONLY | O_CREAT | O_EXCL, MODE_NEW, 0);
    }
    if (r < 0)
        return r;
    tmp->fd = r;
    tmp->is_named = true;
    return 0;
}

/* Names a file by its descriptor: allowed to whoever has opened it since Linux 6.10; -ENOENT
 * before, but for CAP_DAC_READ_SEARCH. */
static int link_descriptor(int fd, int dir_fd, const char *name)
{
    return linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int open_unnamed(const struct place *place)
{
    return root_open_raw(place->dir_fd, ".", O_TMPFILE | O_WRONLY, MODE_NEW, 0);
}

/* What cannot be done in a folder that is gone says nothing about the kernel. */
static bool is_there(const struct place *place)
{
    struct stat st;

    return file_stat(place->dir_fd, &st) == 0 && st.st_nlink > 0;
}

/* Whether this kernel does, and this file system knows links: tried before the first upload, with a
 * name that nobody sees and a file of its own, because one that has lost its last name never gets
 * another. */
static bool can_link_descriptors(const struct place *place)
{
    static _Atomic bool never;   /* the kernel does not */
    static _Atomic dev_t device; /* the last file system that could */
    struct temporary tmp;

    if (never || device == place->dir.st_dev)
        return !never;
    _cleanup_close_ int fd = open_unnamed(place);
    int r = fd < 0 ? fd : temporary_make_name(tmp.name);
    if (r == 0)
        r = link_descriptor(fd, place->dir_fd, tmp.name);
    if (r == 0) {
        unlinkat(place->dir_fd, tmp.name, 0);
        device = place->dir.st_dev;
    } else if (r == -ENOENT && fd >= 0 && is_there(place)) {
        never = true;
    }
    return r == 0;
}

int temporary_create(const struct place *place, struct temporary *ret_temporary)
{
    struct temporary tmp = TEMPORARY_NONE;

    tmp.dir_fd = place->dir_fd;
    tmp.fd = can_link_descriptors(place) ? open_unnamed(place) : -EOPNOTSUPP;
    int r = tmp.fd < 0 ? tmp.fd : 0;
    /* EISDIR and EINVAL: file systems that look at O_DIRECTORY in O_TMPFILE only. */
    if (r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL)
        r = create_named(place, &tmp);
    if (r == 0)
        *ret_temporary = tmp;
    return r;
}

int temporary_link(struct temporary *tmp, const struct place *place)
{
    if (!tmp->is_named)
        return link_descriptor(tmp->fd, place->dir_fd, place->name);
    int r = place_rename(tmp->dir_fd, tmp->name, place);
    if (r == 0)
        tmp->is_named = false;
    return r;
}

int temporary_name(struct temporary *tmp)
{
    int r = tmp->is_named ? 0 : -EEXIST;

    for (int tries = 0; r == -EEXIST && tries < NAME_TRIES; tries++) {
        r = temporary_make_name(tmp->name);
        if (r == 0)
            r = link_descriptor(tmp->fd, tmp->dir_fd, tmp->name);
        tmp->is_named = r == 0;
    }
    return r;
}

int temporary_replace(struct temporary *tmp, const struct place *place)
{
    int r = temporary_name(tmp);

    if (r < 0)
        return r;
    if (renameat(tmp->dir_fd, tmp->name, place->dir_fd, place->name) < 0)
        return -errno;
    tmp->is_named = false;
    return 0;
}

void temporary_close(struct temporary *tmp)
{
    if (tmp->is_named)
        unlinkat(tmp->dir_fd, tmp->name, 0);
    tmp->is_named = false;
    if (tmp->fd >= 0)
        close(tmp->fd);
    tmp->fd = -1;
}
