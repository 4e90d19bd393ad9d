#include "files/extents.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/ioctl.h>

enum {
    EXTENTS = 64, /* asked for at a time */
    MAP_BYTES = sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent),
};

/* The extents from `from` to `size`. Returns how many, or -errno. */
static int read_map(int fd, uint64_t from, uint64_t size, struct fiemap *ret_map)
{
    *ret_map = (struct fiemap){.fm_start = from,
                               .fm_length = size - from,
                               .fm_flags = FIEMAP_FLAG_SYNC,
                               .fm_extent_count = EXTENTS};
    return ioctl(fd, FS_IOC_FIEMAP, ret_map) < 0 ? -errno : (int)ret_map->fm_mapped_extents;
}

static bool is_unknown(int r)
{
    return r == -ENOTTY || r == -EOPNOTSUPP || r == -ENOSYS || r == -EBADR;
}

/* Moves `*end` behind the extents that follow each other there. False: at one that does not, or
 * that nothing has been written to. */
static bool follow(const struct fiemap *map, int count, uint64_t *end)
{
    for (int i = 0; i < count; i++) {
        const struct fiemap_extent *e = &map->fm_extents[i];
        if (e->fe_logical > *end || (e->fe_flags & FIEMAP_EXTENT_UNWRITTEN))
            return false;
        *end = e->fe_logical + e->fe_length;
    }
    return count > 0;
}

int extents_written(int fd, uint64_t size, uint64_t *ret_end)
{
    uint64_t end = 0;
    uint64_t memory[MAP_BYTES / sizeof(uint64_t)];
    struct fiemap *map = (void *)memory;
    int count;

    do {
        count = end < size ? read_map(fd, end, size, map) : 0;
        if (is_unknown(count))
            end = size;
        else if (count < 0)
            return count;
    } while (follow(map, count, &end));
    *ret_end = end < size ? end : size;
    return 0;
}
