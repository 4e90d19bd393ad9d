#include "script_dav.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fault.h"
#include "script_folder.h"

#define OLD "puts/sub/old"
#define NEW "puts/sub/new"

static const char name[] = "user.fastfile.properties";
static const struct span before = SPAN("1\0y\0a\0\0before\0"), after = SPAN("1\0y\0a\0\0after\0");
static const time_t time_after = 1500000000;

/* Whether there is such a thing here at all. */
static bool is_kept_here = true;

void restore_marked(int root_fd)
{
    unlinkat(root_fd, OLD, 0);
    unlinkat(root_fd, NEW, 0);
    script_make_file(root_fd, OLD, SPAN("what was there before"));
    int fd = openat(root_fd, OLD, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        script_fatal(OLD);
    is_kept_here = fsetxattr(fd, name, before.data, before.len, 0) == 0;
    close(fd);
}

/* "" for none. */
static struct span read_mark(int root_fd, const char *path, struct stat *ret_st)
{
    static char memory[256];
    int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, ret_st) < 0) {
        *ret_st = (struct stat){0};
        return SPAN("");
    }
    ssize_t len = fgetxattr(fd, name, memory, sizeof(memory));
    close(fd);
    return span_of(memory, len > 0 ? (size_t)len : 0);
}

/* The file system has said that it has no such thing, or it may have. */
static bool may_be_lost(void)
{
    int error = fault_tally()->error;

    return !is_kept_here || fault_kind_now() == FAULTS_MANY || error == EOPNOTSUPP ||
           error == EPERM || error == EINVAL || error == EACCES;
}

const char *is_marked(int root_fd, bool acknowledged)
{
    struct stat st;

    (void)acknowledged;
    struct span mark = read_mark(root_fd, OLD, &st);
    if (is_kept_here && !span_equal(mark, before))
        return "the property has changed";
    return st.st_mtim.tv_sec != time_after ? NULL : "the time has changed";
}

/* Both or neither, but where nothing could be taken back. */
const char *is_patched(int root_fd, bool acknowledged)
{
    struct stat st;
    struct span mark = read_mark(root_fd, OLD, &st);
    bool is_new = span_equal(mark, after);

    if (!is_kept_here)
        return NULL;
    if (acknowledged)
        return is_new && st.st_mtim.tv_sec == time_after ? NULL : "what was acknowledged is not so";
    if (fault_kind_now() == FAULTS_MANY)
        return NULL;
    if (!is_new && !span_equal(mark, before))
        return "the property is another one";
    return is_new == (st.st_mtim.tv_sec == time_after) ? NULL : "half of it has happened";
}

const char *is_unmarked(int root_fd, bool acknowledged)
{
    struct stat st;
    struct span mark = read_mark(root_fd, OLD, &st);

    if (acknowledged && fault_tally()->error != EOPNOTSUPP && fault_kind_now() != FAULTS_MANY &&
        mark.len > 0)
        return "the property is there still";
    return mark.len == 0 || span_equal(mark, before) ? NULL : "the property is another one";
}

static const char *check_mark(int root_fd, const char *path)
{
    struct stat st;

    if (span_equal(read_mark(root_fd, path, &st), before) || may_be_lost())
        return NULL;
    return "the property is gone";
}

const char *is_still_marked(int root_fd, bool acknowledged)
{
    const char *what = is_old_hello(root_fd, acknowledged);

    return what ? what : check_mark(root_fd, OLD);
}

const char *is_marked_twice(int root_fd, bool acknowledged)
{
    const char *what = is_marked(root_fd, acknowledged);

    return what || !acknowledged ? what : check_mark(root_fd, NEW);
}
