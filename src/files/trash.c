#include "files/trash.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "auth/digest.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "http/uri.h"

enum {
    /* Of the original name; the rest is for a number, and for ".trashinfo" in the other folder. */
    NAME_KEPT = 220,
    NAME_TRIES = 1000,
    INFO_BYTES = 3 * (LIMIT_PATH_BYTES + LIMIT_PATH_BYTES) + 128,
};

/* --- the folder --- */

static int open_folder(int dir_fd, const char *name, bool make)
{
    const uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

    if (make && mkdirat(dir_fd, name, S_IRWXU) < 0 && errno != EEXIST)
        return -errno;
    return root_open_raw(dir_fd, name, flags, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

int trash_open(int dir_fd, const char *name, uid_t owner, bool make, struct trash *ret_trash)
{
    struct trash trash = TRASH_NONE;
    _cleanup_close_ int fd = open_folder(dir_fd, name, make);

    if (fd < 0)
        return fd;
    int r = file_stat(fd, &trash.folder);
    if (r == 0 && trash.folder.st_uid != owner)
        r = -EPERM;
    if (r == 0 && (trash.files_fd = open_folder(fd, "files", make)) < 0)
        r = trash.files_fd;
    if (r == 0 && (trash.info_fd = open_folder(fd, "info", make)) < 0)
        r = trash.info_fd;
    if (r < 0)
        trash_close(&trash);
    else
        *ret_trash = trash;
    return r;
}

void trash_close(struct trash *trash)
{
    if (trash->files_fd >= 0)
        close(trash->files_fd);
    if (trash->info_fd >= 0)
        close(trash->info_fd);
    *trash = TRASH_NONE;
}

int trash_sync(const struct trash *trash)
{
    return fsync(trash->files_fd) < 0 ? -errno : 0;
}

/* --- what goes into it --- */

/* The original name, cut between two characters, and from the second try on a number. */
static void make_name(const char *original, int tries, char out[TRASH_NAME_MAX + 1])
{
    size_t len = strlen(original);

    if (len > NAME_KEPT) {
        len = NAME_KEPT;
        while (len > 0 && ((unsigned char)original[len] & 0xC0) == 0x80)
            len--;
    }
    if (tries == 0)
        snprintf(out, TRASH_NAME_MAX + 1, "%.*s", (int)len, original);
    else
        snprintf(out, TRASH_NAME_MAX + 1, "%.*s.%d", (int)len, original, tries + 1);
}

static void make_info_name(const struct trash_item *item, char out[NAME_MAX + 1])
{
    snprintf(out, NAME_MAX + 1, "%.*s" TRASH_INFO_ENDING, TRASH_NAME_MAX, item->name);
}

/* The text about it. Whoever reads one passes over the lines that the specification does not have.
 * Returns 0, or -EINVAL for a time that is none. */
static int format_info(struct buf *out, struct span original, const struct trash_item *item)
{
    char memory[64];
    time_t seconds = (time_t)item->deleted_s;
    struct tm tm;

    if (!localtime_r(&seconds, &tm))
        return -EINVAL;
    size_t date = strftime(memory, sizeof(memory), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_append(out, SPAN("[Trash Info]\nPath="));
    uri_encode_path(out, original);
    buf_append(out, SPAN("\nDeletionDate="));
    buf_append(out, span_of(memory, date));
    buf_append(out, SPAN("\nX-Fastfile-Deletion="));
    for (unsigned i = 0; i < TRASH_KEY_BYTES; i++)
        buf_printf(out, "%02x", item->key[i]);
    buf_append_char(out, '\n');
    return 0;
}

static int write_info(int fd, struct span original, const struct trash_item *item)
{
    struct buf text;

    buf_init_growing(&text, INFO_BYTES);
    int r = format_info(&text, original, item);
    if (r == 0 && buf_failed(&text))
        r = -ENOMEM;
    if (r == 0) {
        ssize_t written = write(fd, text.data, text.len);
        r = written < 0 ? -errno : (size_t)written < text.len ? -ENOSPC : 0;
    }
    buf_finish(&text);
    return r;
}

/* Exclusively: whoever has made it has the name. */
static int make_info(const struct trash *trash, const char *info, struct span original,
                     const struct trash_item *item, bool durable)
{
    const uint64_t flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    _cleanup_close_ int fd = root_open_raw(trash->info_fd, info, flags, S_IRUSR | S_IWUSR, 0);

    if (fd < 0)
        return fd;
    int r = write_info(fd, original, item);
    if (r == 0 && durable && (fsync(fd) < 0 || fsync(trash->info_fd) < 0))
        r = -errno;
    if (r < 0)
        unlinkat(trash->info_fd, info, 0);
    return r;
}

/* The info first: whatever happens then, nothing lies in the trash that nobody knows the place of.
 */
static int take_as(const struct trash *trash, const struct place *place,
                   const struct trash_item *item, struct span original, bool durable)
{
    char info[NAME_MAX + 1];
    struct place to = {.dir_fd = trash->files_fd};

    make_info_name(item, info);
    memcpy(to.name, item->name, sizeof(item->name));
    int r = make_info(trash, info, original, item, durable);
    if (r < 0)
        return r;
    r = place_rename(place->dir_fd, place->name, &to);
    if (r < 0)
        unlinkat(trash->info_fd, info, 0);
    return r;
}

int trash_take(const struct trash *trash, const struct place *place, struct span original,
               bool durable, struct trash_item *ret_item)
{
    struct trash_item item = {.deleted_s = time(NULL)};
    int r = -EEXIST;

    if (getrandom(item.key, sizeof(item.key), 0) != sizeof(item.key))
        return -EIO;
    for (int tries = 0; r == -EEXIST && tries < NAME_TRIES; tries++) {
        make_name(place->name, tries, item.name);
        r = take_as(trash, place, &item, original, durable);
    }
    if (r == 0)
        *ret_item = item;
    return r;
}

/* --- what comes out of it again --- */

/* Returns how many bytes were read, or -errno. */
static ssize_t read_info(const struct trash *trash, const struct trash_item *item, char *out,
                         size_t size)
{
    const uint64_t flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    char info[NAME_MAX + 1];

    make_info_name(item, info);
    _cleanup_close_ int fd = root_open_raw(trash->info_fd, info, flags, 0, 0);
    if (fd < 0)
        return fd;
    ssize_t len = read(fd, out, size);
    return len < 0 ? -errno : len;
}

/* Whether its text is the one that trash_take() wrote for this. Returns 0, TRASH_MISSING, or
 * -errno. */
static int check_info(const struct trash *trash, const struct trash_item *item,
                      struct span original)
{
    _cleanup_free_ char *memory = malloc(2 * INFO_BYTES);
    struct buf expected;

    if (!memory)
        return -ENOMEM;
    buf_init_fixed(&expected, memory, INFO_BYTES);
    int r = format_info(&expected, original, item);
    if (r < 0)
        return r;
    char *text = memory + INFO_BYTES;
    ssize_t len = read_info(trash, item, text, INFO_BYTES);
    if (len < 0)
        return len == -ENOENT ? TRASH_MISSING : (int)len;
    bool same = digest_equal_bytes(span_of(text, (size_t)len), buf_span(&expected));
    return same ? 0 : TRASH_MISSING;
}

/* Whether something lies there under the name. Returns 0, -ENOENT, or another -errno. */
static int look_at(const struct trash *trash, const struct trash_item *item)
{
    struct place place = {.dir_fd = trash->files_fd};
    struct stat st;

    memcpy(place.name, item->name, sizeof(item->name));
    return place_look(&place, &st);
}

int trash_give_back(const struct trash *trash, const struct trash_item *item, struct span original,
                    const struct place *place)
{
    int r = check_info(trash, item, original);

    if (r != 0)
        return r;
    r = place_rename(trash->files_fd, item->name, place);
    /* Which of the two is not there? */
    return r == -ENOENT && look_at(trash, item) == -ENOENT ? TRASH_MISSING : r;
}

int trash_forget(const struct trash *trash, const struct trash_item *item, struct span original,
                 bool durable)
{
    char info[NAME_MAX + 1];
    int r = check_info(trash, item, original);

    if (r != 0)
        return r == TRASH_MISSING ? 0 : r;
    r = look_at(trash, item);
    if (r != -ENOENT)
        return r == 0 ? -EEXIST : r;
    make_info_name(item, info);
    if (durable && fsync(trash->files_fd) < 0)
        return -errno;
    if (unlinkat(trash->info_fd, info, 0) < 0 && errno != ENOENT)
        return -errno;
    return durable && fsync(trash->info_fd) < 0 ? -errno : 0;
}
