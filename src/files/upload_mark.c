#include "files/upload_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "files/extents.h"

/* An offset that no data has. */
#define NAMED UPLOAD_LENGTH_MAX

/* Over the old one: a line that lies in one sector of the disk is the old one or the new one. */
static int write_mark(struct upload *u, const struct upload_mark *mark, bool sync)
{
    _cleanup_close_ int fd = upload_folder_open_file(u->folder_fd, u->name, UPLOAD_INFO, O_WRONLY);
    char memory[UPLOAD_MARK_BYTES + 1];
    struct buf line;

    if (fd < 0)
        return fd;
    buf_init_fixed(&line, memory, sizeof(memory));
    upload_info_format_mark(&line, mark);
    int r = upload_file_write(fd, buf_span(&line), UPLOAD_MARK_AT);
    if (r < 0)
        return r;
    if (sync && fsync(fd) < 0)
        return -errno;
    u->info.mark = *mark;
    return 0;
}

static struct upload_mark mark_at(const struct upload *u, uint64_t offset)
{
    struct upload_mark mark = {.offset = offset};

    memcpy(mark.boot, u->by.boot, sizeof(mark.boot));
    return mark;
}

static bool is_this_boot(const struct upload *u)
{
    return memcmp(u->info.mark.boot, u->by.boot, BOOT_ID_CHARS) == 0;
}

/* A disk can lose its power alone, in the same boot. Returns 1, 0, or -errno. */
static int is_all_there(const struct upload *u, uint64_t size)
{
    uint64_t written;

    if (u->info.mark.offset > size || !is_this_boot(u))
        return 0;
    if (u->info.mark.offset < size && !upload_mark_is_aligned(u))
        return 0;
    int r = extents_written(u->data_fd, size, &written);
    return r < 0 ? r : written == size;
}

int upload_mark_find(struct upload *u, uint64_t size)
{
    u->offset = size;
    int r = u->by.durable ? is_all_there(u, size) : 1;
    if (r != 0)
        return r < 0 ? r : 0;
    r = upload_mark_give_up(u);
    const struct upload_mark mark = mark_at(u, u->offset);
    return r < 0 ? r : write_mark(u, &mark, true);
}

int upload_mark_set(struct upload *u, uint64_t offset)
{
    const struct upload_mark mark = mark_at(u, offset);

    if (fsync(u->data_fd) < 0)
        return -errno;
    return offset == u->info.mark.offset ? 0 : write_mark(u, &mark, true);
}

int upload_mark_give_up(struct upload *u)
{
    uint64_t mark = u->info.mark.offset;

    if (u->offset <= mark)
        return 0;
    u->offset = mark;
    return ftruncate(u->data_fd, (off_t)mark) < 0 ? -errno : 0;
}

int upload_mark_set_named(struct upload *u)
{
    const struct upload_mark mark = mark_at(u, NAMED);

    return write_mark(u, &mark, false);
}

bool upload_mark_is_named(const struct upload *u)
{
    return u->info.mark.offset == NAMED && is_this_boot(u);
}
