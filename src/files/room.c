#include "files/room.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/vfs.h>

int room_check(int dir_fd, uint64_t bytes)
{
    struct statfs fs;

    if (fstatfs(dir_fd, &fs) < 0 || fs.f_blocks == 0)
        return 0;
    uint64_t block = (uint64_t)(fs.f_frsize ? fs.f_frsize : fs.f_bsize);
    return bytes / block > (uint64_t)fs.f_bavail ? 507 : 0;
}

/* btrfs would not compress what is reserved, and others have not been measured. */
static bool is_worth_it(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC);
}

int room_reserve(int fd, uint64_t length, uint64_t *reserved)
{
    uint64_t from = *reserved, left = length - from;
    uint64_t step = left < ROOM_RESERVE_STEP ? left : ROOM_RESERVE_STEP;

    *reserved = length;
    if (step < ROOM_RESERVE_LEAST || !is_worth_it(fd))
        return 0;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)step) == 0)
        *reserved = from + step;
    else if (errno == ENOSPC || errno == EDQUOT)
        return -errno;
    return 0; /* for all other errors, a filter's EPERM too, there is write() */
}
