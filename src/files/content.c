#include "files/content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "files/root.h"
#include "files/slices.h"

enum {
    IN_KERNEL_BYTES = 4 * 1024 * 1024,
    BUFFER_BYTES = 256 * 1024,
};

/* Where the next bytes are that are no hole, and how many in one piece. Returns 1, 0 at the end of
 * the file, or -errno. */
static int find_data(struct content *c, size_t most, size_t *ret_len)
{
    struct stat st;

    int r = file_stat(c->from, &st);
    if (r < 0)
        return r;
    c->size = (uint64_t)st.st_size;
    if (c->at >= c->size)
        return 0;
    off_t data = lseek(c->from, (off_t)c->at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) { /* nothing but a hole up to the end */
        c->at = c->size;
        return 0;
    }
    off_t hole = data < 0 ? -1 : lseek(c->from, data, SEEK_HOLE);
    if (data >= 0)
        c->at = (uint64_t)data;
    uint64_t end = hole > data ? (uint64_t)hole : c->size;
    *ret_len = end > c->at && end - c->at < most ? (size_t)(end - c->at) : most;
    return 1;
}

static ssize_t copy_in_kernel(const struct content *c, size_t len)
{
    off_t in = (off_t)c->at, out = (off_t)c->at;
    ssize_t n = copy_file_range(c->from, &in, c->to, &out, len, 0);

    return n < 0 ? -errno : n;
}

static ssize_t copy_buffered(const struct content *c, size_t len)
{
    size_t done = 0;

    ssize_t n = pread(c->from, c->buffer, len < BUFFER_BYTES ? len : BUFFER_BYTES, (off_t)c->at);
    if (n < 0)
        return -errno;
    while (done < (size_t)n) {
        ssize_t written = pwrite(c->to, c->buffer + done, (size_t)n - done, (off_t)(c->at + done));
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        done += (size_t)written;
    }
    return n;
}

/* What the kernel says where it cannot copy between these two (before 5.19 any two file systems);
 * and nothing at all from files that are made as they are read. */
static bool is_not_possible(ssize_t r)
{
    return r == 0 || r == -EXDEV || r == -EOPNOTSUPP || r == -ENOSYS || r == -EINVAL ||
           r == -EPERM || r == -EBADF || r == -ETXTBSY;
}

static int use_buffer(struct content *c)
{
    c->way = CONTENT_BUFFER;
    c->buffer = malloc(BUFFER_BYTES);
    return c->buffer ? SLICE_MORE : -ENOMEM;
}

/* Nothing was read where there was something: it may have become shorter meanwhile. */
static int end_here(const struct content *c)
{
    struct stat st;

    int r = file_stat(c->from, &st);
    if (r < 0)
        return r;
    return (uint64_t)st.st_size <= c->at ? SLICE_DONE : -EIO;
}

int content_step(struct content *c)
{
    size_t len = 0;

    if (c->way == CONTENT_CLONE) {
        if (ioctl(c->to, FICLONE, c->from) == 0)
            return SLICE_DONE;
        if (errno == ENOSPC || errno == EDQUOT || errno == EIO)
            return -errno;
        c->way = CONTENT_IN_KERNEL;
    }
    int r = find_data(c, IN_KERNEL_BYTES, &len);
    if (r < 0)
        return r;
    if (r == 0 && c->end == c->size)
        return SLICE_DONE;
    if (r == 0) /* the hole at the end */
        return ftruncate(c->to, (off_t)c->size) < 0 ? -errno : SLICE_DONE;
    ssize_t n = c->way == CONTENT_BUFFER ? copy_buffered(c, len) : copy_in_kernel(c, len);
    if (c->way == CONTENT_IN_KERNEL && is_not_possible(n))
        return use_buffer(c);
    if (n == 0)
        return end_here(c);
    if (n > 0)
        c->end = c->at += (uint64_t)n;
    return n > 0 || n == -EINTR ? SLICE_MORE : (int)n;
}

void content_finish(struct content *c)
{
    free(c->buffer);
    c->buffer = NULL;
}

/* What a file system says that has no such thing: vfat has no modes, others have no times. */
static bool is_unknown(int error)
{
    return error == EPERM || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

int content_set_mtime(int fd, const struct timespec *mtime)
{
    struct timespec times[2];

    /* Both: much of what uses FUSE sets neither where one is to be left out, and says nothing. */
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[1] = *mtime;
    if (futimens(fd, times) == 0)
        return 0;
    return is_unknown(errno) ? 0 : -errno;
}

int content_keep_attributes(int to, const struct stat *from)
{
    struct stat st;

    int r = file_stat(to, &st);
    if (r < 0)
        return r;
    mode_t inherited = S_ISDIR(st.st_mode) ? st.st_mode & S_ISGID : 0;
    mode_t mode = (from->st_mode & 0777) | inherited;
    if ((st.st_mode & 07777) != mode && fchmod(to, mode) < 0 && !is_unknown(errno))
        return -errno;
    return content_set_mtime(to, &from->st_mtim);
}
