#include "files/rights.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "files/root.h"

static const char list_name[] = "system.posix_acl_access";

/* linux/posix_acl_xattr.h */
struct list_entry {
    uint16_t tag, bits;
    uint32_t id;
};

enum {
    LIST_HEADER_BYTES = 4,
    TAG_USER = 0x02,
    TAG_GROUP = 0x04,
    TAG_OTHER_GROUP = 0x08,
    TAG_MOST = 0x10, /* that users, the group and other groups have */
    TAG_OTHERS = 0x20,
};

/* Some file systems know no rights or owners that could be set, or not these. */
static bool is_unknown_there(int error)
{
    return error == EPERM || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

int rights_take(int fd, const struct stat *st, struct rights *ret_rights)
{
    ret_rights->uid = st->st_uid;
    ret_rights->gid = st->st_gid;
    ret_rights->mode = st->st_mode & 0777;
    ret_rights->list_bytes = 0;
    ssize_t bytes = fgetxattr(fd, list_name, ret_rights->list, sizeof(ret_rights->list));
    if (bytes < 0)
        return errno == ENODATA || is_unknown_there(errno) ? 0 : -errno;
    ret_rights->list_bytes = (size_t)bytes;
    return 0;
}

bool rights_equal(const struct rights *a, const struct rights *b)
{
    return a->uid == b->uid && a->gid == b->gid && a->mode == b->mode &&
           a->list_bytes == b->list_bytes && memcmp(a->list, b->list, a->list_bytes) == 0;
}

/* Takes the entry behind `*at`; false at the end. */
static bool next_entry(const struct rights *r, size_t *at, struct list_entry *ret_entry)
{
    if (*at + sizeof(*ret_entry) > r->list_bytes)
        return false;
    memcpy(ret_entry, r->list + *at, sizeof(*ret_entry));
    *at += sizeof(*ret_entry);
    ret_entry->tag = le16toh(ret_entry->tag);
    ret_entry->bits = le16toh(ret_entry->bits);
    return true;
}

/* Another group: what the old one might, this one may not, unless everybody may. */
static void group_as_others(struct rights *r)
{
    struct list_entry entry;
    uint16_t others = htole16(r->mode & 7);

    r->mode = (r->mode & 0707) | (r->mode & 7) << 3;
    for (size_t at = LIST_HEADER_BYTES; next_entry(r, &at, &entry);)
        if (entry.tag == TAG_GROUP)
            memcpy(r->list + at - sizeof(entry) + offsetof(struct list_entry, bits), &others,
                   sizeof(others));
}

/* As much of it as a mode can say. Who is named in the list is no longer told from the group and
 * from others, so none of these may more than any of them. */
static void list_to_mode(struct rights *r)
{
    struct list_entry entry;
    mode_t most = 7, named = 7, group = 0, others = 0;

    for (size_t at = LIST_HEADER_BYTES; next_entry(r, &at, &entry);)
        switch (entry.tag) {
        case TAG_USER:
        case TAG_OTHER_GROUP:
            named &= entry.bits;
            break;
        case TAG_GROUP:
            group = entry.bits & 7u;
            break;
        case TAG_MOST:
            most = entry.bits & 7u;
            break;
        case TAG_OTHERS:
            others = entry.bits & 7u;
            break;
        default:
            break;
        }
    named &= most;
    r->mode = (r->mode & 0700) | (group & named) << 3 | (others & named);
    r->list_bytes = 0;
}

static int give_owner(int fd, const struct stat *st, const struct rights *r)
{
    if (st->st_uid != r->uid && fchown(fd, r->uid, (gid_t)-1) < 0 && !is_unknown_there(errno))
        return -errno;
    if (st->st_gid != r->gid && fchown(fd, (uid_t)-1, r->gid) < 0 && !is_unknown_there(errno))
        return -errno;
    return 0;
}

/* The folder may have given it one, as to any new file. */
static int remove_list(int fd)
{
    return fgetxattr(fd, list_name, NULL, 0) > 0 && fremovexattr(fd, list_name) < 0 ? -errno : 0;
}

/* In a user namespace (home's sandbox) only those users and groups can be named that it knows. */
static int give_list(int fd, struct rights *r)
{
    if (r->list_bytes > 0 && fsetxattr(fd, list_name, r->list, r->list_bytes, 0) == 0)
        return 0;
    if (r->list_bytes > 0 && !is_unknown_there(errno))
        return -errno;
    if (r->list_bytes > 0)
        list_to_mode(r);
    return remove_list(fd);
}

int rights_give(int fd, const struct rights *rights)
{
    struct rights given = *rights;
    struct stat st;

    /* Owner first: chown(2) takes set-user-ID away, which nobody uploads. */
    int r = file_stat(fd, &st);
    if (r == 0)
        r = give_owner(fd, &st, &given);
    if (r == 0)
        r = file_stat(fd, &st);
    if (r < 0)
        return r;
    if (st.st_gid != given.gid)
        group_as_others(&given);
    r = give_list(fd, &given);
    if (r < 0)
        return r;
    /* A list has the mode in it. */
    r = given.list_bytes > 0 ? 0 : file_stat(fd, &st);
    if (r == 0 && given.list_bytes == 0 && (st.st_mode & 0777) != given.mode &&
        fchmod(fd, given.mode) < 0 && !is_unknown_there(errno))
        r = -errno;
    return r;
}
