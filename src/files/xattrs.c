#include "files/xattrs.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define PREFIX SPAN("user.")

static const char own_name[] = "user.fastfile.properties";

enum { NAMES_BYTES = 1024 }; /* nearly always enough */

/* --- carrying --- */

/* Names, each followed by a NUL. */
struct names {
    size_t len;
    char *bytes; /* `few`, or of the heap */
    char few[NAMES_BYTES];
};

static void names_finish(struct names *n)
{
    if (n->bytes != n->few)
        free(n->bytes);
}

static int names_list(int fd, struct names *n)
{
    n->bytes = n->few;
    ssize_t len = flistxattr(fd, n->few, sizeof(n->few));
    if (len < 0 && errno == ERANGE) {
        n->bytes = malloc(XATTR_LIST_MAX);
        if (!n->bytes)
            return -ENOMEM;
        len = flistxattr(fd, n->bytes, XATTR_LIST_MAX);
    }
    if (len < 0) {
        int error = -errno;
        names_finish(n);
        return error;
    }
    n->len = (size_t)len;
    return 0;
}

/* The next one of "user.*". Returns false at the end. */
static bool next_name(const struct names *n, size_t *at, const char **ret_name)
{
    while (*at < n->len) {
        const char *name = n->bytes + *at;
        *at += strlen(name) + 1;
        if (span_starts_with(span_str(name), PREFIX)) {
            *ret_name = name;
            return true;
        }
    }
    return false;
}

static bool has_name(const struct names *n, const char *name)
{
    const char *other;

    for (size_t at = 0; next_name(n, &at, &other);)
        if (strcmp(other, name) == 0)
            return true;
    return false;
}

bool xattrs_any(int fd)
{
    struct names names;
    const char *name;
    size_t at = 0;

    int r = names_list(fd, &names);
    if (r < 0)
        return r != -EOPNOTSUPP;
    bool any = next_name(&names, &at, &name);
    names_finish(&names);
    return any;
}

/* The file system has no such thing, or not this one, or not for us. */
static bool is_unknown_there(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS || error == EPERM || error == EACCES ||
           error == EINVAL || error == E2BIG || error == ERANGE || error == ENODATA;
}

static int carry_one(int from, int to, const char *name, char *value)
{
    ssize_t len = fgetxattr(from, name, value, XATTR_SIZE_MAX);

    if (len < 0)
        return is_unknown_there(errno) ? 0 : -errno;
    return fsetxattr(to, name, value, (size_t)len, 0) == 0 || is_unknown_there(errno) ? 0 : -errno;
}

static int remove_others(int to, const struct names *wanted)
{
    struct names names;
    const char *name;

    int r = names_list(to, &names);
    if (r < 0)
        return is_unknown_there(-r) ? 0 : r;
    for (size_t at = 0; next_name(&names, &at, &name);)
        if (!has_name(wanted, name) && fremovexattr(to, name) < 0 && !is_unknown_there(errno))
            r = -errno;
    names_finish(&names);
    return r;
}

static int carry(int from, int to, const struct names *names)
{
    _cleanup_free_ char *value = NULL;
    const char *name;

    int r = remove_others(to, names);
    for (size_t at = 0; r == 0 && next_name(names, &at, &name);) {
        if (!value)
            value = malloc(XATTR_SIZE_MAX);
        r = value ? carry_one(from, to, name, value) : -ENOMEM;
    }
    return r;
}

int xattrs_carry(int from, int to)
{
    struct names names;

    int r = names_list(from, &names);
    if (r < 0)
        return is_unknown_there(-r) ? 0 : r;
    r = carry(from, to, &names);
    names_finish(&names);
    return r;
}

/* --- ours --- */

int xattrs_get_own(int fd, struct buf *out)
{
    ssize_t len = fgetxattr(fd, own_name, NULL, 0);

    if (len > LIMIT_DEAD_BYTES) /* somebody else's */
        len = 0;
    char *room = len > 0 ? buf_reserve(out, (size_t)len) : NULL;
    if (len > 0 && !room)
        return -ENOMEM;
    if (len > 0)
        len = fgetxattr(fd, own_name, room, (size_t)len);
    if (len < 0) /* none, or (-ERANGE) another one meanwhile */
        return errno == ENODATA || errno == EOPNOTSUPP || errno == ERANGE ? 0 : -errno;
    out->len += (size_t)len;
    return 0;
}

int xattrs_set_own(int fd, struct span value)
{
    if (value.len > 0)
        return fsetxattr(fd, own_name, value.data, value.len, 0) < 0 ? -errno : 0;
    return fremovexattr(fd, own_name) < 0 && errno != ENODATA && errno != EOPNOTSUPP ? -errno : 0;
}
